"""Scoring a file of completions as a stream: any size, any number of interruptions, no line lost or written twice.

Scores are written to `OUTPUT.part`, which becomes `OUTPUT` when all is done. About once a second, what has been
written is made safe on disk, and how far that goes is noted in `OUTPUT.part.json`. Whoever continues cuts off
what came after the last note and goes on from there, so a run may be killed at any moment.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from merf.core.layout import Layout
from merf.core.progress import Progress
from merf.core.response import Response, Responses
from merf.rules.format import Format
from merf.rules.rulebook import Rulebook
from merf.rules.scoring import Outcome, Scorer, compares_groups, wanted, within
from merf.tasks.columns import has, pick
from merf.tasks.completions import Reading, understand
from merf.tasks.records import Corrupt, Row, json_row

SAMPLE = 256
"""Rows that are looked at to find out which column is what."""

LONGEST = 16 << 20
"""Bytes of a line. Longer ones are set aside without being held in memory."""

LARGEST = 4096
"""Responses of a group, and bad lines in a row that still don't end it."""

EARLIEST = 200
"""Responses before the share of failures is judged."""

SAVED_EVERY = 1.0
"""Seconds between two notes of how far the scoring has come."""

SAVING = 0.05
"""Share of the time that may go into that, where the disk is slow."""


class TooManyFailures(RuntimeError):
    """More verifications failed than was tolerated."""


@dataclass
class PartTally:
    """What one part has paid so far."""

    count: int = 0
    total: float = 0.0
    lowest: float = math.inf
    highest: float = -math.inf

    def add(self, value: float) -> None:
        if not math.isnan(value):
            self.count += 1
            self.total += value
            self.lowest, self.highest = min(self.lowest, value), max(self.highest, value)

    @property
    def mean(self) -> float:
        return self.total / self.count if self.count else math.nan


@dataclass
class Tally:
    """What has been done so far.

    lines    lines with a score, or with None
    failed   … of which a verifier failed or the rules were cut off
    reasons  why, and how often
    bad      lines set aside; `examples` are the first of them, as (line, reason)
    parts    what each part paid, and "total"
    """

    lines: int = 0
    failed: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    bad: int = 0
    examples: list[tuple[int, str]] = field(default_factory=list)
    parts: dict[str, PartTally] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, saved: Mapping[str, Any]) -> Tally:
        parts = {name: PartTally(**part) for name, part in saved["parts"].items()}
        examples = [(line, reason) for line, reason in saved["examples"]]
        return cls(**{**saved, "parts": parts, "examples": examples})


@dataclass(frozen=True)
class Line:
    """One line of the input, or why it can't be used. `end` is where the next one starts, in bytes."""

    number: int
    end: int
    row: Row | Corrupt
    raw: bytes | None = None


@dataclass(frozen=True)
class Place:
    """How far the input has been dealt with: bytes and lines."""

    offset: int = 0
    line: int = 0


@dataclass(frozen=True)
class Unit:
    """What is scored as a whole: the responses of some groups. `bad` are lines met on the way, `end` is where
    the next unit begins."""

    lines: list[Line]
    responses: Responses
    bad: list[Line]
    end: Place


@dataclass(frozen=True)
class Job:
    """A file to be scored.

    seconds, memory, workers   as in `Scorer`
    groups      how many groups are a batch, for rules that compare the questions of a batch
    alone       every line is a group of its own
    progress    where in training the scores are to be those of, from 0 to 1, for rules that change over training
    max_failed  share of responses whose verification may fail before the run stops
    keep        put the input's columns into the output, as `row`
    """

    book: Rulebook
    reading: Reading
    source: Path
    target: Path
    seconds: float = 10.0
    memory: int | None = 1 << 30
    workers: int | None = None
    groups: int = 1
    alone: bool = False
    progress: float = 0.0
    max_failed: float = 0.05
    keep: bool = False

    @property
    def part(self) -> Path:
        return self.target.with_name(self.target.name + ".part")

    @property
    def note(self) -> Path:
        return self.target.with_name(self.target.name + ".part.json")

    @property
    def aside(self) -> Path:
        """Where lines go that can't be scored."""
        return self.target.with_name(f"{self.target.stem}.bad.jsonl")

    def identity(self) -> str:
        """What must not change between two halves of a run: the rules, the input, how it is read and written."""
        with self.source.open("rb") as file:
            size, head = os.fstat(file.fileno()).st_size, file.read(1 << 16)
        try:
            rules = self.book.as_toml()
        except ValueError:
            rules = "\n".join(part.describe() for part in self.book)
        said = (rules, str(self.reading), size, self.groups, self.alone, self.progress, self.keep)
        return hashlib.blake2b(repr(said).encode("utf-8", "replace") + head, digest_size=16).hexdigest()

    def run(self, told: Callable[[int, Tally], None] = lambda offset, tally: None) -> Tally:
        """Score the file, or what is left of it; `told(bytes read, tally)` is called as it goes on.

        FileExistsError where it is done already, ValueError where a run with other rules or other input was
        begun, TooManyFailures where verification fails too often. What is written stays in every case.
        """
        if self.target.exists():
            raise FileExistsError(f"{self.target} is there already: name another output, or start anew (--overwrite)")
        with self.part.open("ab") as out, self.aside.open("ab") as aside:
            lock(out, self.part)
            identity = self.identity()
            place, tally = self._resume(identity, out, aside)
            told(place.offset, tally)
            due = time.monotonic() + SAVED_EVERY
            with self.source.open("rb") as file, self._scorer() as scorer:
                waiting: list[Unit] = []
                for outcome in scorer.stream(_noted(self._units(file, place), waiting)):
                    unit = waiting.pop(0)
                    self._write(out, aside, unit, outcome, tally)
                    place = unit.end
                    told(place.offset, tally)
                    too_many = tally.lines >= EARLIEST and tally.failed > self.max_failed * tally.lines
                    if too_many:
                        break
                    if (began := time.monotonic()) > due:
                        self._save(identity, out, aside, place, tally)
                        now = time.monotonic()
                        due = now + max(SAVED_EVERY, (now - began) / SAVING)
            self._save(identity, out, aside, place, tally)
        if tally.failed > self.max_failed * tally.lines:
            reasons = "; ".join(f"{count} × {why}" for why, count in list(tally.reasons.items())[:3])
            raise TooManyFailures(
                f"{tally.failed} of {tally.lines} responses could not be judged, more than {self.max_failed:.1%}: "
                f"{reasons}\n"
                f"Nothing is lost: the same command with a higher --max-failed goes on after line {place.line}."
            )
        if not tally.bad:
            self.aside.unlink()
        os.replace(self.part, self.target)
        self.note.unlink()
        return tally

    def discard(self) -> None:
        """Delete whatever an earlier run has written."""
        for path in (self.note, self.part, self.aside, self.target):
            path.unlink(missing_ok=True)

    def _scorer(self) -> Scorer:
        return Scorer(self.book, seconds=self.seconds, memory=self.memory, workers=self.workers)

    def _resume(self, identity: str, out: BinaryIO, aside: BinaryIO) -> tuple[Place, Tally]:
        """Where to go on; cuts off what isn't covered by the note."""
        saved = json.loads(self.note.read_text()) if self.note.exists() else None
        if saved and (size(out) < saved["out"] or size(aside) < saved["aside"]):
            saved = None  # a note that was left behind: what it speaks of is gone
        if saved is None:
            out.truncate(0)
            aside.truncate(0)
            return Place(), Tally(parts={name: PartTally() for name in ("total", *(part.name for part in self.book))})
        if saved["identity"] != identity:
            raise ValueError(
                f"{self.part} was begun with another rulebook, input or options: repeat the command that began it, "
                "name another output, or start anew (--overwrite)"
            )
        out.truncate(saved["out"])
        aside.truncate(saved["aside"])
        return Place(saved["offset"], saved["line"]), Tally.of(saved["tally"])

    def _save(self, identity: str, out: BinaryIO, aside: BinaryIO, place: Place, tally: Tally) -> None:
        """Make safe what has been written, and note how far it goes."""
        for file in (out, aside):
            file.flush()
            os.fsync(file.fileno())
        note = {"identity": identity, "offset": place.offset, "line": place.line, "tally": asdict(tally)}
        fresh = self.note.with_name(self.note.name + ".new")
        with fresh.open("w") as writing:
            json.dump({**note, "out": size(out), "aside": size(aside)}, writing)
            writing.flush()
            os.fsync(writing.fileno())
        os.replace(fresh, self.note)

    def _units(self, file: BufferedReader, place: Place) -> Iterator[Unit]:
        """The rest of the file, in units. Bad lines don't end a group, and belong to the unit they are in."""
        groups: list[list[Line]] = []
        bad: list[Line] = []
        key: str | None = None
        for line in lines_of(file, place.offset, place.line):
            if isinstance(line.row, Corrupt):
                bad.append(line)
                if len(bad) >= LARGEST:
                    yield self._unit(groups, bad, Place(line.end, line.number))
                    groups, bad = [], []
            else:
                belongs = None if self.alone else self.reading.group(line.row)
                if belongs is None or belongs != key or not groups:
                    if len(groups) == self.groups:
                        yield self._unit(groups, bad, place)
                        groups, bad = [], []
                    groups.append([])
                groups[-1].append(line)
                key = belongs
                if len(groups[-1]) > LARGEST:
                    raise ValueError(
                        f"lines {groups[-1][0].number} to {line.number} would be one group: name the column that says "
                        "which lines belong together (--columns group=NAME), or score every line by itself (--alone)"
                    )
            place = Place(line.end, line.number)
        if groups or bad:
            yield self._unit(groups, bad, place)

    def _unit(self, groups: list[list[Line]], bad: list[Line], end: Place) -> Unit:
        lines: list[Line] = []
        responses: list[Response] = []
        numbers: list[int] = []
        for number, group in enumerate(groups):
            member = 0
            for line in group:
                assert not isinstance(line.row, Corrupt)
                try:
                    response = self.reading.response(line.row, member, self.reading.group(line.row) or "")
                except ValueError as error:
                    bad.append(Line(line.number, line.end, Corrupt(str(error)), line.raw))
                    continue
                member += 1
                lines.append(line)
                responses.append(response)
                numbers.append(number)
        progress = Progress(round(self.progress * 10_000), 10_001)
        return Unit(lines, Responses(responses, np.array(numbers, np.int64), progress), bad, end)

    def _write(self, out: BinaryIO, aside: BinaryIO, unit: Unit, outcome: Outcome, tally: Tally) -> None:
        scores = outcome.scores
        for line in sorted(unit.bad, key=lambda line: line.number):
            assert isinstance(line.row, Corrupt)
            tally.bad += 1
            if len(tally.examples) < 5:
                tally.examples.append((line.number, line.row.reason))
            aside.write(as_line({"line": line.number, "reason": line.row.reason, "text": as_text(line.raw)}))
        for i, line in enumerate(unit.lines):
            assert not isinstance(line.row, Corrupt)
            parts = {name: number_or_none(values[i]) for name, values in scores.parts.items()}
            written: dict[str, Any] = {"line": line.number}
            if (column := self.reading.columns.get("group")) and has(line.row, column):
                written["group"] = pick(line.row, column)
            written |= {"total": number_or_none(scores.total[i]), "parts": parts, "note": scores.notes[i]}
            if self.keep:
                written["row"] = line.row
            out.write(as_line(written))
            tally.lines += 1
            for name, value in (("total", scores.total[i]), *((name, v[i]) for name, v in scores.parts.items())):
                tally.parts[name].add(float(value))
            if outcome.failed[i]:
                tally.failed += 1
                reason = scores.notes[i][:100] or "the verifier failed"
                tally.reasons = dict((Counter(tally.reasons) + Counter([reason])).most_common(100))
        for warning in outcome.warnings:
            if warning not in tally.warnings and len(tally.warnings) < 20:
                tally.warnings.append(warning)


def prepared(
    book: Rulebook,
    source: str | Path,
    target: str | Path,
    *,
    task: str = "",
    layout: Layout | None = None,
    columns: Mapping[str, str] | None = None,
    **options: Any,
) -> Job:
    """The job of scoring `source`, after everything was checked that can be checked before work begins.

    ValueError, KeyError or OSError, with what to do next, where the file, a column or the rulebook won't do.
    """
    source, target = Path(source), Path(target)
    if source.suffix.lower() not in (".jsonl", ".ndjson", ".json"):
        raise ValueError(f"{source}: completions come as JSON lines, one object per line, in a .jsonl file")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {target.parent}")
    if target.exists() and target.samefile(source):
        raise ValueError("the output can't be the input")
    with source.open("rb") as file:
        lines = [*islice(lines_of(file), SAMPLE)]
    rows = [line.row for line in lines if isinstance(line.row, dict)]
    if not rows:
        why = f": {lines[0].row.reason}" if lines and isinstance(lines[0].row, Corrupt) else ""
        raise ValueError(f"{source} has no line that can be read{why}")
    needs = wanted(book)
    if layout is None:
        layout = next((value.layout for value in within(book) if isinstance(value, Format)), None)
    reading = understand(rows, task=task, layout=layout, judged="verdict" in needs, columns=columns)
    job = Job(book, reading, source, target, **options)
    if "tokens" in needs and "tokens" not in reading.columns:
        raise ValueError(
            "the rulebook counts tokens, and no column says how many there are: name it (--columns tokens=NAME); it "
            "holds numbers or lists of token ids"
        )
    if compares_groups(book) and job.groups == 1:
        raise ValueError(
            "the rulebook compares the questions of a batch: say how many make one (--batch 32), as in training"
        )
    if job.groups < 1 or not 0 <= job.progress <= 1 or not 0 <= job.max_failed <= 1:
        raise ValueError("--batch is at least 1; --progress and --max-failed lie between 0 and 1")
    return job


def lines_of(file: BufferedReader, offset: int = 0, number: int = 0) -> Iterator[Line]:
    """The lines that aren't blank, from a place on."""
    file.seek(offset)
    while line := file.readline(LONGEST + 1):
        number += 1
        offset += len(line)
        if len(line) > LONGEST:
            while (more := file.readline(LONGEST)) and not more.endswith(b"\n"):
                offset += len(more)
            offset += len(more)
            yield Line(number, offset, Corrupt(f"longer than {LONGEST >> 20} MiB; not copied here"))
        elif line.strip():
            yield Line(number, offset, json_row(line), line)


def as_text(raw: bytes | None) -> str | None:
    """A line as text; encoding it with errors="surrogateescape" gives back the very bytes."""
    return None if raw is None else raw.rstrip(b"\r\n").decode("utf-8", "surrogateescape")


def as_line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"


def number_or_none(value: Any) -> float | None:
    return None if math.isnan(value) else float(value)


def _noted(units: Iterator[Unit], waiting: list[Unit]) -> Iterator[Responses]:
    """The responses of each unit, which is put down as under way."""
    for unit in units:
        waiting.append(unit)
        yield unit.responses


def lock(file: BinaryIO, path: Path) -> None:
    """Refuse to write what another process writes, where the system can tell."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise ValueError(f"{path} is being written by another process") from error


def size(file: BinaryIO) -> int:
    """What the file holds on disk, in bytes."""
    return os.fstat(file.fileno()).st_size
