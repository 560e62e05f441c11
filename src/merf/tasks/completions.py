"""Rows that hold completions, as the responses that rules score.

    reading = understand(rows[:100], task="math")
    response = reading.response(rows[0])

Which column is what is recognised from the conventions of `tasks.columns` and of those who sample: TRL's
`completion` (text or messages), `response`, `output`, `finish_reason`, `completion_ids`…
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from merf.core.layout import LAYOUTS, Layout, Plain
from merf.core.problem import Problem
from merf.core.response import Response, Verdict, no_verifier
from merf.tasks import TASKS, get, load, mathematics, nearest
from merf.tasks.answers import ANSWERS, Answers, Choice, Exact, Fields, answers_named
from merf.tasks.columns import KNOWN as PROBLEM
from merf.tasks.columns import guess_verifier, has, map_columns, need, pick
from merf.tasks.data import Preset, read_problem
from merf.tasks.facts import DescribedTask, Facts
from merf.tasks.records import Row

KNOWN: dict[str, tuple[str, ...]] = {
    "completion": (
        *("completion", "response", "generation", "generated_text", "completion_text", "response_text"),
        *("model_output", "output", "prediction", "solution_str"),
    ),
    "group": ("group", "group_id", "uid", "problem_id", "prompt_id", "question_id"),
    "tokens": ("tokens", "completion_tokens", "response_tokens", "completion_length", "completion_ids", "token_ids"),
    "finished": ("finished", "finish_reason"),
}
"""For every field of a completion, the columns it is taken from, the first that is there."""


@dataclass(frozen=True)
class Unjudged(Exact):
    """Where no rule asks whether the answer is right: nothing is read and nothing is worked out."""

    name: str = "none"
    facts: Facts = Facts("nobody: no rule asks whether an answer is right")
    wants: tuple[tuple[str, ...], ...] = ()

    def read(self, fields: Fields, key: str) -> Any:
        return fields.get("answer")

    def verify(self, problem: Problem, answer: str) -> Verdict:
        return no_verifier(problem, answer)


@dataclass(frozen=True)
class OfTask(Exact):
    """Answers that a task's own verifier judges: the answer column holds what its problems hold as `answer`.
    For reasoning-gym that is a whole item; its columns question, answer and metadata do as well."""

    task: str = ""

    def read(self, fields: Fields, key: str) -> Any:
        given = fields["answer"]
        if self.task.startswith("rg:") and not isinstance(given, Mapping):
            return {"question": fields.get("prompt"), "answer": given, "metadata": fields.get("metadata") or {}}
        return given

    def verify(self, problem: Problem, answer: str) -> Verdict:
        return opened(self.task).verify(problem, answer)


@lru_cache(maxsize=8)
def opened(task: str) -> DescribedTask:
    return get(task)


@dataclass(frozen=True)
class Reading:
    """How rows become responses.

    columns  the column of every field that there is one for
    answers  how answers are read and judged
    layout   how responses are laid out: where the answer stands
    """

    columns: Mapping[str, str]
    answers: Answers
    layout: Layout

    def group(self, row: Row) -> str | None:
        """What rows of the same group have in common: the group's column or else the prompt's; None without either."""
        for field in ("group", "prompt"):
            if field in self.columns and has(row, self.columns[field]):
                return json.dumps(pick(row, self.columns[field]), sort_keys=True)
        return None

    def response(self, row: Row, member: int = 0, group: str = "") -> Response:
        """The row as a response. ValueError where it has no completion, or no answer where one is needed."""
        value = {field: pick(row, c) for field in KNOWN if (c := self.columns.get(field)) and has(row, c)}
        if "completion" not in value:
            raise ValueError(f"no {self.columns['completion']}")
        problem = read_problem(row, self.columns, self.answers)
        # Draws of random rules hang on the problem's id, so it must not depend on the line.
        return Response(
            problem=replace(problem, id=group),
            text=completion_text(value["completion"]),
            tokens=token_count(value.get("tokens", 0)),
            finished=was_finished(value.get("finished", True)),
            member=member,
            layout=self.layout,
            verify=self.answers.verify,
        )

    def __str__(self) -> str:
        named = ", ".join(f"{field} = {column}" for field, column in self.columns.items())
        return f"columns: {named}; layout: {self.layout.name}; answers judged by: {self.answers.facts.verifier}"


def completion_text(value: Any) -> str:
    """A completion as text: text, or the assistant's turns of a conversation."""
    if isinstance(value, str):
        return value
    turns = [value] if isinstance(value, Mapping) else value
    if isinstance(turns, list | tuple) and all(isinstance(turn, Mapping) and "content" in turn for turn in turns):
        texts = [turn["content"] for turn in turns if turn.get("role", "assistant") == "assistant"]
        if texts and all(text is None or isinstance(text, str) for text in texts):
            return "\n".join(text for text in texts if text is not None)
    if isinstance(value, list | tuple) and value and all(isinstance(one, str) for one in value):
        raise ValueError("a list of completions: give each of them a line of its own")
    raise ValueError("a completion that is neither text nor an assistant's turns")


def token_count(value: Any) -> int:
    """A number of tokens, or of the token ids in a list."""
    if isinstance(value, list | tuple):
        return len(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1 << 53 or value % 1:
        raise ValueError(f"a number of tokens that is none: {str(value)[:40]!r}")
    return int(value)


def was_finished(value: Any) -> bool:
    """Whether the response ended by itself: true or false, or a server's finish_reason."""
    return value not in ("length", "max_tokens", "abort") if isinstance(value, str) else bool(value)


def understand(
    sample: Sequence[Row],
    *,
    task: str = "",
    layout: Layout | None = None,
    judged: bool = True,
    columns: Mapping[str, str] | None = None,
) -> Reading:
    """How to read rows like those of `sample` (a few hundred are plenty).

    task     a task's or a verifier's name. Without one: what the columns say (`data_source`, choices, tests…),
             else math-verify where the answers look like mathematics, else the same text
    layout   without one: the one that completions of the sample keep to, or the task's if they keep to none
    judged   whether answers are to be judged at all
    columns  the column of a field by its name, where it isn't recognised

    ValueError or KeyError, with what to do, where a column is missing or a name unknown.
    """
    row: Row = {}
    for one in sample:
        row.update({column: value for column, value in one.items() if row.get(column) is None})
    found = find_columns(row, columns or {})
    verifier, usual = judge_named(task) if task else (guess_answers(sample, row, found), None)
    if isinstance(verifier, Choice):
        # The model saw the options as they stand in the file.
        verifier = replace(verifier, shuffled=False)
    if isinstance(verifier, OfTask) and has(row, "metadata"):
        found["metadata"] = "metadata"
    if not judged:
        verifier = Unjudged()
    for group in verifier.wants:
        need(found, group, row)
    if layout is None:
        texts = (text for one in sample if (text := _text_or_none(one, found["completion"])) is not None)
        layout = likely_layout(texts, usual or Plain())
    return Reading(found, verifier, layout)


def find_columns(row: Row, given: Mapping[str, str]) -> dict[str, str]:
    """The column of every field there is one for."""
    for field in given:
        if field not in (*KNOWN, *PROBLEM):
            raise ValueError(f"there is no field {field!r}{nearest(field, [*KNOWN, *PROBLEM])}")
    found = {field: column for field, column in given.items() if field in KNOWN}
    for field, column in found.items():
        if not has(row, column):
            raise ValueError(f"the rows have no column {column!r} for {field}{nearest(column, row)}")
    for field, names in KNOWN.items():
        free = (name for name in names if has(row, name) and name not in given.values())
        if field not in found and (name := next(free, "")):
            found[field] = name
    if "completion" not in found:
        raise ValueError(f"no column looks like the completion: name it; the columns are {', '.join(row)}")
    rest = {column: value for column, value in row.items() if column not in found.values()}
    told = {field: column for field, column in given.items() if field in PROBLEM}
    if "prompt" in told or any(has(rest, name) for name in PROBLEM["prompt"]):
        return {**map_columns(rest, told), **found}
    mapped = map_columns({**rest, "prompt": "none"}, told)
    del mapped["prompt"]
    return {**mapped, **found}


def judge_named(name: str) -> tuple[Answers, Layout]:
    """How the answers of a task are judged, and its layout; `name` may also be a verifier's."""
    if name in ANSWERS:
        return answers_named(name), ANSWERS[name].layout
    if name in TASKS and isinstance(preset := load(TASKS[name]), Preset):
        return answers_named(preset.verifier), preset.layout
    if name.startswith("data:"):
        raise ValueError(f"a completions file brings its own answers: name a verifier instead ({', '.join(ANSWERS)})")
    task = opened(name)
    return OfTask(name=name, facts=task.facts, task=name), task.layout


def guess_answers(sample: Sequence[Row], row: Row, columns: Mapping[str, str]) -> Answers:
    """The sensible verifier where no task is named."""
    name = guess_verifier(row, columns)
    if name == "exact" and "answer" in columns:
        golds = [pick(one, columns["answer"]) for one in sample if has(one, columns["answer"])]
        plain = [isinstance(gold, str | int | float) and not isinstance(gold, bool) for gold in golds]
        if all(plain) and not any(mathematics.is_text(mathematics.gold_answer(gold)) for gold in golds):
            name = "math"
    return answers_named(name)


def likely_layout(texts: Iterable[str], otherwise: Layout) -> Layout:
    """The first layout that at least half of the texts keep to, or else the one that most do; `otherwise` where none
    does. The strictest come first: a \\boxed{} may well stand inside of tags."""
    layouts = [layout for layout in LAYOUTS.values() if layout.name != Plain().name]
    kept = np.array([[layout.parse(text).well_formed for layout in layouts] for text in texts]).reshape(
        -1, len(layouts)
    )
    if not kept.any():
        return otherwise
    shares = kept.mean(axis=0)
    return layouts[int(np.argmax(np.minimum(shares, 0.5)))]


def _text_or_none(row: Row, column: str) -> str | None:
    try:
        return completion_text(pick(row, column))
    except (KeyError, ValueError):
        return None
