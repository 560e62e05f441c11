"""The files of a run's folder: JSON lines, each whole or absent, small texts, and a lock."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout


def plain_number(value: Any) -> Any:
    """JSON has no NaN or infinity: they are written as null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: plain_number(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_number(item) for item in value]
    return value


def append(path: Path, record: Mapping[str, Any]) -> None:
    """Add one line with a single write, so that a kill leaves no half line that isn't the last. OSError if the disk
    doesn't take all of it; then the file is as it was."""
    line = (json.dumps(plain_number(record), ensure_ascii=False, allow_nan=False) + "\n").encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        before = os.fstat(descriptor).st_size
        try:
            while line:  # a disk that is nearly full takes what fits, and complains at the next write
                line = line[os.write(descriptor, line) :]
        except OSError:
            os.ftruncate(descriptor, before)
            raise
    finally:
        os.close(descriptor)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a file, without a last line that was cut short."""
    if not path.exists():
        return
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)


def keep_only(path: Path, wanted: Callable[[dict[str, Any]], bool]) -> None:
    """Rewrite a file with only the records that are wanted, in one atomic replacement."""
    if not path.exists():
        return
    work = path.with_name(f".{path.name}.part")
    with work.open("w", encoding="utf-8") as file:
        for record in read(path):
            if wanted(record):
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(work, path)


def write_text(path: Path, text: str) -> None:
    """Replace a small file atomically."""
    work = path.with_name(f".{path.name}.part")
    with work.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(work, path)


@contextmanager
def no_other_run_in(folder: Path) -> Iterator[None]:
    """Inside, the folder is ours. ValueError if another process has it; a process that dies lets go of it."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(
            f"another process is training into {folder} at this moment: wait until it ends, or choose another --out"
        ) from None
    try:
        yield
    finally:
        lock.release()
