"""Rows from files of any size: JSON lines, CSV, Parquet, and whatever the `datasets` library opens.

A source is read in blocks. Text files are scanned once, remembering where each block starts (eight bytes
for a thousand rows), so that blocks can then be read in any order and a file larger than memory can be
shuffled. Rows that can't be read become `Corrupt` with their line number and never stop the scan.
"""

from __future__ import annotations

import csv
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

from merf.tasks.extras import require

Row = dict[str, Any]

BLOCK = 1024
"""Rows of a block."""

FIELD = 64 << 20
"""Characters of the longest CSV field."""

LONGEST_RECORD = 5000
"""Lines of one CSV record. An unclosed quote would otherwise swallow the rest of the file without a word."""


@dataclass(frozen=True)
class Corrupt:
    """A row that can't be read, and why."""

    reason: str


@dataclass(frozen=True)
class Record:
    """`line` is where a person finds the row: the line of a text file, the row number of others, from 1."""

    line: int
    row: Row | Corrupt


class Source(ABC):
    """Rows in blocks; `path` is how messages call it."""

    path: str

    @abstractmethod
    def block(self, number: int) -> list[Record]: ...

    @property
    @abstractmethod
    def blocks(self) -> int:
        """How many blocks there are."""

    def order(self, rng: Random) -> list[int]:
        """The blocks in random order."""
        numbers = list(range(self.blocks))
        rng.shuffle(numbers)
        return numbers

    def __iter__(self) -> Iterator[list[Record]]:
        """All blocks, in the file's order."""
        return map(self.block, range(self.blocks))


class TextFile(Source):
    """A file of lines. Subclasses say how records are made of them."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.starts: list[tuple[int, int]] = []
        """Byte offset and line number of each block's first record."""
        with path.open("rb") as file:
            self._scan(file)

    @abstractmethod
    def _scan(self, file: io.BufferedReader) -> None:
        """Note where every `BLOCK`-th record starts."""

    @property
    def blocks(self) -> int:
        return len(self.starts)


class JsonLines(TextFile):
    """One JSON object per line; blank lines don't count."""

    def _scan(self, file: io.BufferedReader) -> None:
        offset, count = 0, 0
        for number, line in enumerate(file, 1):
            if line.strip():
                if count % BLOCK == 0:
                    self.starts.append((offset, number))
                count += 1
            offset += len(line)

    def block(self, number: int) -> list[Record]:
        offset, line_number = self.starts[number]
        found: list[Record] = []
        with Path(self.path).open("rb") as file:
            file.seek(offset)
            for line in file:
                if line.strip():
                    found.append(Record(line_number, json_row(line)))
                    if len(found) == BLOCK:
                        break
                line_number += 1
        return found


def json_row(line: bytes) -> Row | Corrupt:
    """One line of a JSON-lines file."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Corrupt(f"not JSON: {error}"[:100])
    return row if isinstance(row, dict) else Corrupt(f"a JSON {type(row).__name__}, not an object")


class Csv(TextFile):
    """Comma- or (`.tsv`) tab-separated values with a header; a quoted field may run over several lines."""

    def _scan(self, file: io.BufferedReader) -> None:
        csv.field_size_limit(FIELD)
        self.delimiter = "\t" if self.path.endswith(".tsv") else ","
        lines = _Lines(file)
        reader = csv.reader(lines, delimiter=self.delimiter)
        self.header = next(reader, [])
        count, offset, number = 0, lines.offset, lines.number
        while True:
            # The reader asks for lines as it needs them, so where it stands is where the next record starts.
            try:
                record = next(reader, None)
            except csv.Error:
                record = [""]
            if record is None:
                return
            if lines.number - number > LONGEST_RECORD:
                raise ValueError(f"{self.path}, line {number + 1}: a quote that is never closed")
            if record:
                if count % BLOCK == 0:
                    self.starts.append((offset, number + 1))
                count += 1
            offset, number = lines.offset, lines.number

    def block(self, number: int) -> list[Record]:
        offset, line = self.starts[number]
        found: list[Record] = []
        with Path(self.path).open("rb") as file:
            file.seek(offset)
            lines = _Lines(file, line - 1)
            reader = csv.reader(lines, delimiter=self.delimiter)
            while len(found) < BLOCK:
                first = lines.number + 1
                try:
                    values = next(reader, None)
                except csv.Error as error:
                    found.append(Record(first, Corrupt(f"not CSV: {error}")))
                    continue
                if values is None:
                    break
                if values:
                    found.append(Record(first, self._row(values)))
        return found

    def _row(self, values: list[str]) -> Row | Corrupt:
        if len(values) != len(self.header):
            return Corrupt(f"{len(values)} fields instead of {len(self.header)}")
        if any("\ufffd" in value for value in values):
            return Corrupt("not UTF-8")
        return dict(zip(self.header, values, strict=True))


class _Lines:
    """The lines of a binary file as text, counting bytes and lines."""

    def __init__(self, file: io.BufferedReader, number: int = 0) -> None:
        self.file, self.number = file, number
        self.offset = file.tell()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self.file.readline()
        if not line:
            raise StopIteration
        self.offset += len(line)
        self.number += 1
        return line.decode("utf-8-sig" if self.offset == len(line) else "utf-8", "replace")


class Table(Source):
    """Rows that are held in memory (a `.json` file with one list)."""

    def __init__(self, path: str, rows: Sequence[Any]) -> None:
        self.path = path
        self.rows = rows

    @property
    def blocks(self) -> int:
        return -(-len(self.rows) // BLOCK)

    def block(self, number: int) -> list[Record]:
        start = number * BLOCK
        return [
            Record(start + i + 1, row if isinstance(row, dict) else Corrupt("not an object"))
            for i, row in enumerate(self.rows[start : start + BLOCK])
        ]


class Parquet(Source):
    """A Parquet file. Its row groups are decoded whole, so blocks of one group stay together in any order."""

    def __init__(self, path: Path) -> None:
        require("pyarrow", "data", "reading Parquet")
        from pyarrow import parquet

        self.path = str(path)
        self.file = parquet.ParquetFile(path)
        counts = [self.file.metadata.row_group(g).num_rows for g in range(self.file.num_row_groups)]
        self.slices = [(g, start) for g, rows in enumerate(counts) for start in range(0, rows, BLOCK)]
        self.first = [sum(counts[:g]) for g in range(len(counts))]
        self._group = lru_cache(maxsize=2)(self.file.read_row_group)

    @property
    def blocks(self) -> int:
        return len(self.slices)

    def block(self, number: int) -> list[Record]:
        group, start = self.slices[number]
        rows = self._group(group).slice(start, BLOCK).to_pylist()
        return [Record(self.first[group] + start + i + 1, row) for i, row in enumerate(rows)]

    def order(self, rng: Random) -> list[int]:
        groups: dict[int, list[int]] = {}
        for number, (group, _) in enumerate(self.slices):
            groups.setdefault(group, []).append(number)
        shuffled = list(groups.values())
        rng.shuffle(shuffled)
        return [number for blocks in shuffled for number in rng.sample(blocks, len(blocks))]

    def __reduce__(self) -> Any:
        return (Parquet, (Path(self.path),))


class HubRows(Source):
    """A split of a dataset opened by the `datasets` library, which maps it into memory from disk."""

    def __init__(self, path: str, rows: Any) -> None:
        self.path, self.rows = path, rows

    @property
    def blocks(self) -> int:
        return -(-len(self.rows) // BLOCK)

    def block(self, number: int) -> list[Record]:
        start = number * BLOCK
        columns = self.rows[start : start + BLOCK]
        names = list(columns)
        return [
            Record(start + i + 1, dict(zip(names, values, strict=True)))
            for i, values in enumerate(zip(*columns.values(), strict=True))
        ]


def open_sources(where: str, subset: str | None = None) -> dict[str, Source]:
    """The splits found at a path or hub id; a single file is one split, called `train`.

    FileNotFoundError where there is neither; MissingExtra where a library is needed that isn't installed.
    """
    path = Path(where).expanduser()
    if path.is_file():
        return {"train": open_file(path)}
    if path.is_dir() and not list(path.iterdir()):
        raise FileNotFoundError(f"{path} is an empty folder")
    if not path.exists() and (path.suffix or where.startswith((".", "/", "~"))):
        raise FileNotFoundError(f"there is no file {where}")
    require("datasets", "data", f"opening the dataset {where}")
    import datasets

    saved = path.is_dir() and any((path / name).exists() for name in ("dataset_dict.json", "state.json"))
    opened = datasets.load_from_disk(str(path)) if saved else datasets.load_dataset(where, subset)
    splits = opened if isinstance(opened, dict) else {"train": opened}
    return {name: HubRows(f"{where}[{name}]", rows) for name, rows in splits.items()}


def open_file(path: Path) -> Source:
    """A source by the file's ending. ValueError for one that isn't known."""
    match path.suffix.lower():
        case ".jsonl" | ".ndjson":
            return JsonLines(path)
        case ".csv" | ".tsv":
            return Csv(path)
        case ".parquet":
            return Parquet(path)
        case ".json":
            with path.open(encoding="utf-8") as file:
                if file.read(1000).lstrip()[:1] != "[":
                    return JsonLines(path)
                file.seek(0)
                try:
                    return Table(str(path), json.load(file))
                except ValueError as error:
                    raise ValueError(f"{path} is not JSON: {error}") from error
    raise ValueError(f"{path}: files end in .jsonl, .json, .csv, .tsv or .parquet")
