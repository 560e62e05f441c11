"""Any dataset as a task: rows from a file, a folder or the hub, judged by a verifier of choice.

    get("data:problems.jsonl", verifier="math", prompt="question", answer="final")
    get("gsm8k", data="gsm8k/train.parquet", test="gsm8k/test.parquet")

Everything is looked at once before the first problem is handed out: rows that can't be read, columns that
aren't there, duplicates, questions that occur in training and test data alike, and answers that the
verifier itself can't make sense of. All of it is in `report`, and what a person should know of is warned of.
"""

from __future__ import annotations

import inspect
import re
import unicodedata
import warnings
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from merf.core.layout import Boxed, FinalLine, Layout, ThinkAnswer
from merf.core.problem import Problem
from merf.core.response import Verdict
from merf.core.seeds import derive
from merf.tasks import nearest
from merf.tasks.answers import ANSWERS, Answers, answers_named
from merf.tasks.columns import KNOWN, TEMPLATE_SIGNS, guess_verifier, map_columns, need, pick, read_prompt, text_of
from merf.tasks.facts import Facts
from merf.tasks.procedural import check_split
from merf.tasks.records import Corrupt, Record, Row, Source, open_sources

Duplicates = Literal["normalised", "exact", "keep"]

WINDOW = 16
"""Blocks that are shuffled together: 16,384 rows. Smaller datasets are shuffled as a whole."""

EXAMPLES = 3
"""Examples in a warning."""


class DataWarning(UserWarning):
    """Something about the data that a person should know before training on it."""


@dataclass
class Report:
    """What was found when the data was read.

    rows        rows that can be used, by split
    corrupt     (file, line, reason) of rows that can't be read or have no prompt or answer
    duplicates  rows left out because an earlier one asks the same
    disputed    … of which with another answer
    unusable    (file, line, reason) of answers that the verifier can't judge against; left out too
    checked     answers that were put to the verifier
    overlap     questions of the test data that are in the training data, and examples
    """

    rows: dict[str, int] = field(default_factory=dict)
    corrupt: list[tuple[str, int, str]] = field(default_factory=list)
    duplicates: int = 0
    disputed: int = 0
    unusable: list[tuple[str, int, str]] = field(default_factory=list)
    checked: int = 0
    overlap: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Part:
    """The rows of a source: `kept` says which are used, `digests` are of their questions, both by record number;
    `starts` is the number of each block's first record."""

    source: Source
    kept: NDArray[np.bool_]
    digests: NDArray[np.uint64]
    starts: list[int]

    def records(self, blocks: Iterable[int]) -> Iterator[tuple[int, Record]]:
        """The records of some blocks, with their numbers."""
        for block in blocks:
            yield from enumerate(self.source.block(block), self.starts[block])


class Data:
    """A dataset as a task.

    path         a .jsonl, .json, .csv, .tsv or .parquet file, a dataset's folder, or a hub id
    verifier     how answers are judged: exact, math, choice, knights-knaves, countdown, code or sql; without
                 one it is recognised where the rows say what they are, and else exact
    test         another path for the test split. Without it: the dataset's own test (or validation) split, or
                 a share `holdout` of the questions, chosen by their text
    subset       the configuration of a hub dataset
    duplicates   what counts as the same question: "normalised" (case, white space and punctuation apart),
                 "exact", or "keep" to leave all rows in
    tolerated    share of corrupt rows above which the data is refused
    checked      most answers put to the verifier before training, spread over the data
    columns      the column of a field by its name: prompt, answer, solution, rubric, images, choices, tests,
                 entry, schema, database, difficulty; dots go into nested columns
    """

    def __init__(
        self,
        path: str,
        *,
        verifier: str | None = None,
        layout: Layout | None = None,
        test: str | None = None,
        subset: str | None = None,
        holdout: float = 0.1,
        duplicates: Duplicates = "normalised",
        tolerated: float = 0.01,
        checked: int = 2000,
        name: str = "",
        **columns: str,
    ) -> None:
        if not path:
            raise ValueError("name a file, a folder or a hub id: data:problems.jsonl")
        if duplicates not in ("normalised", "exact", "keep"):
            raise ValueError(f"duplicates={duplicates!r}: choose normalised, exact or keep")
        if not 0 <= holdout < 1:
            raise ValueError(f"holdout={holdout}: a share of the questions from 0 up to 1")
        for given in columns:
            if given not in KNOWN:
                raise ValueError(f"data has no option or field {given!r}{nearest(given, [*KNOWN, *options()])}")
        self.path, self.holdout, self.duplicates = path, holdout, duplicates
        self.name = name or f"data:{path}"
        train, held = choose_splits(open_sources(path, subset), open_sources(test, subset) if test else {})
        first = first_row(train)
        self.columns = map_columns(first, columns)
        self.answers = answers_named(verifier or guess_verifier(first, self.columns))
        for group in self.answers.wants:
            need(self.columns, group, first)
        read = {"prompt", "entry", "solution", "rubric", "images", "difficulty"}.union(*self.answers.wants)
        self.columns = {field: column for field, column in self.columns.items() if field in read}
        self.layout: Layout = layout or self.answers.layout
        self.report = Report()
        self.train = self._read(train)
        self.test = self._read(held) if held else None
        self._refuse(tolerated)
        for part in filter(None, (self.train, self.test)):
            self._check_answers(part, checked)
        self.report.rows = {split: int(self._chosen(split)[1].sum()) for split in ("train", "test")}
        if self.report.rows["train"] == 0:
            raise ValueError(f"{path} has no rows to train on")
        self._compare_splits()
        self._warn()

    # Reading.

    def _read(self, source: Source) -> Part:
        """Look at every row once: is it readable, and has its question been asked before?"""
        readable, digests, claims, starts = bytearray(), array("Q"), array("Q"), array("Q")
        for records in source:
            starts.append(len(readable))
            for record in records:
                try:
                    problem = self._problem(record, "")
                except ValueError as error:
                    self.report.corrupt.append((source.path, record.line, str(error)))
                    problem = None
                readable.append(problem is not None)
                digests.append(derive("question", self._identity(problem)) if problem else 0)
                claims.append(derive("claim", repr(problem.answer)) if problem else 0)
        kept = np.frombuffer(bytes(readable), np.bool_).copy()
        questions, claimed = np.array(digests, np.uint64), np.array(claims, np.uint64)
        if self.duplicates != "keep":
            rows = np.flatnonzero(kept)
            _, first, which = np.unique(questions[rows], return_index=True, return_inverse=True)
            again = np.setdiff1d(np.arange(len(rows)), first)
            self.report.duplicates += len(again)
            self.report.disputed += int((claimed[rows[again]] != claimed[rows[first[which[again]]]]).sum())
            kept[rows[again]] = False
        return Part(source, kept, questions, list(starts))

    def _identity(self, problem: Problem) -> str:
        text = text_of(problem.prompt)
        return text if self.duplicates == "exact" else normalised(text)

    def _problem(self, record: Record, split: str) -> Problem:
        """The row as a problem. ValueError where it can't be one."""
        if isinstance(record.row, Corrupt):
            raise ValueError(record.row.reason)
        problem = read_problem(record.row, self.columns, self.answers)
        return replace(problem, task=self.name, id=f"{self.name}/{split}/{record.line}")

    def _refuse(self, tolerated: float) -> None:
        """Too much that can't be read means that something is wrong with all of it."""
        total = sum(len(part.kept) for part in filter(None, (self.train, self.test)))
        bad = len(self.report.corrupt)
        if bad > tolerated * total:
            listed = "; ".join(f"{Path(file).name} line {line}: {why}" for file, line, why in self.report.corrupt[:5])
            raise ValueError(
                f"{bad} of {total} rows can't be used ({bad / total:.1%}, above {tolerated:.1%}): {listed}"
                + ("; …" if bad > 5 else "")
            )

    def _check_answers(self, part: Part, most: int) -> None:
        """Put answers to the verifier; what it can't judge against is left out."""
        usable = np.flatnonzero(part.kept)
        chosen = set(usable[np.linspace(0, len(usable) - 1, min(most, len(usable))).astype(int)].tolist())
        bad = []
        for number, record in part.records(range(part.source.blocks)):
            if number in chosen and (why := self.answers.unusable(self._problem(record, "").answer)):
                bad.append((part.source.path, record.line, why))
                part.kept[number] = False
        self.report.checked += len(chosen)
        self.report.unusable += bad
        if len(bad) > len(chosen) / 2:
            file, line, why = bad[0]
            raise ValueError(
                f"the verifier {self.answers.name!r} can't judge {len(bad)} of {len(chosen)} answers "
                f"({Path(file).name} line {line}: {why}); another column or another verifier?"
            )

    def _chosen(self, split: str) -> tuple[Part, NDArray[np.bool_]]:
        """Which records a split consists of. Without test data of their own, questions are held out by their
        text, so that no duplicate and no other seed can bring one back into training."""
        check_split(split)
        if self.test is not None:
            part = self.test if split == "test" else self.train
            return part, part.kept
        held = self.train.digests % np.uint64(10_000) < np.uint64(round(self.holdout * 10_000))
        return self.train, self.train.kept & (held if split == "test" else ~held)

    def _compare_splits(self) -> None:
        if self.test is None:
            return
        both = np.intersect1d(self.train.digests[self.train.kept], self.test.digests[self.test.kept])
        self.report.overlap = len(both)
        for number, record in self.test.records(range(self.test.source.blocks)):
            if len(self.report.examples) >= min(EXAMPLES, len(both)):
                break
            if self.test.kept[number] and self.test.digests[number] in both:
                text = text_of(self._problem(record, "test").prompt)
                self.report.examples.append(f"line {record.line}: {' '.join(text.split())[:80]!r}")

    def _warn(self) -> None:
        found = self.report
        place = Path(self.path).name
        if found.corrupt:
            lines = ", ".join(str(line) for _, line, _ in found.corrupt[:10])
            _tell(f"{place}: {len(found.corrupt)} rows left out as unreadable (lines {lines}): {found.corrupt[0][2]}")
        if found.disputed:
            _tell(f"{place}: {found.disputed} questions occur again with another answer; the first one counts")
        if found.unusable:
            listed = "; ".join(f"line {line}: {why}" for _, line, why in found.unusable[:5])
            _tell(
                f"{place}: the verifier {self.answers.name!r} can't judge {len(found.unusable)} of {found.checked} "
                f"answers checked, which are left out: {listed}"
            )
        if found.overlap:
            _tell(
                f"{place}: {found.overlap} of {found.rows['test']} test questions are in the training data: "
                + "; ".join(found.examples)
            )
        sample = next(self.problems("train"))
        if any(sign in text_of(sample.prompt) for sign in TEMPLATE_SIGNS):
            _tell(f"{place}: prompts contain a chat template already; it will be applied a second time")

    # The task.

    @property
    def instruction(self) -> str:
        return self.layout.instruction()

    @property
    def facts(self) -> Facts:
        return self.answers.facts

    def problems(self, split: str = "train", seed: int = 0) -> Iterator[Problem]:
        """Every row of the split once: the training split shuffled by `seed`, the test split as it stands."""
        part, chosen = self._chosen(split)
        rng = Random(derive("rows", seed))
        order = part.source.order(rng) if split == "train" else list(range(part.source.blocks))
        for start in range(0, len(order), WINDOW):
            window = order[start : start + WINDOW]
            records = [record for number, record in part.records(window) if chosen[number]]
            if split == "train":
                rng.shuffle(records)
            for record in records:
                yield self._problem(record, split)

    def verify(self, problem: Problem, answer: str) -> Verdict:
        return self.answers.verify(problem, answer)

    def describe(self) -> str:
        rows, verifier = self.report.rows, self.answers.facts.verifier
        return f"{rows['train']} problems from {self.path}, {rows['test']} held out; judged by {verifier}."


def read_problem(row: Row, columns: Mapping[str, str], answers: Answers) -> Problem:
    """A row as a problem; the prompt is empty where no column is one. ValueError where the row has no prompt
    or no answer that can be read."""
    fields: dict[str, Any] = {}
    for name, column in columns.items():
        try:
            fields[name] = pick(row, column)
        except KeyError:
            fields[name] = None
    for group in (("prompt",), *answers.wants) if "prompt" in columns else answers.wants:
        if all(fields.get(name) is None for name in group):
            raise ValueError(f"no {' or '.join(columns.get(name, name) for name in group)}")
    prompt = read_prompt(fields["prompt"]) if "prompt" in columns else ""
    try:
        answer = answers.read(fields, normalised(text_of(prompt)))
    except (TypeError, KeyError, IndexError, AttributeError) as error:
        raise ValueError(f"an answer in no known form: {type(error).__name__} {error}") from error
    meta = {name: value for name, value in row.items() if name not in columns.values()}
    meta.update({name: fields[name] for name in ("solution", "rubric", "images") if fields.get(name) is not None})
    digits = re.search(r"\d+", str(fields.get("difficulty", "")))
    meta["difficulty"] = int(digits[0]) if digits else 0
    return Problem(prompt=answers.ask(prompt, answer), answer=answer, meta=meta)


def normalised(text: str) -> str:
    """The text by which questions are compared: case, accents' encoding, white space and punctuation apart."""
    text = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.sub(r"[^\w\s+\-*/=<>^.]", " ", text).split())


def _tell(message: str) -> None:
    warnings.warn(message, DataWarning, stacklevel=4)


def options() -> list[str]:
    """The options of `Data`, besides its columns."""
    return [name for name, p in inspect.signature(Data).parameters.items() if p.kind is p.KEYWORD_ONLY]


def first_row(source: Source) -> Row:
    """The first row that can be read. ValueError where there is none."""
    for records in source:
        for record in records:
            if isinstance(record.row, dict):
                return record.row
    raise ValueError(f"{source.path} has no rows")


def choose_splits(found: dict[str, Source], held: dict[str, Source]) -> tuple[Source, Source | None]:
    """Where training and test rows come from: the dataset itself, and `held`, another one named for the test."""
    train = found.get("train") or next(iter(found.values()))
    test = held.get("test") or next(iter(held.values()), None) or found.get("test") or found.get("validation")
    return train, test if test is not train else None


@dataclass(frozen=True)
class Preset:
    """A kind of data with a name of its own, which takes its file as the option `data`."""

    name: str
    about: str
    verifier: str
    layout: Layout

    @property
    def facts(self) -> Facts:
        return ANSWERS[self.verifier].facts

    def __call__(self, data: str = "", **options: Any) -> Data:
        if not data:
            raise ValueError(
                f"the task {self.name} needs data: give a .jsonl, .csv or .parquet file, a dataset's folder "
                f"or a hub id as data=…"
            )
        return Data(data, **{"verifier": self.verifier, "layout": self.layout, "name": self.name, **options})


math = Preset("math", "Problems whose answers are formulas, in MATH's style.", "math", Boxed())
gsm8k = Preset("gsm8k", "Word problems with `#### answer`, in GSM8K's style.", "math", FinalLine())
multiple_choice = Preset("multiple-choice", "Questions with options, shuffled.", "choice", ThinkAnswer())
