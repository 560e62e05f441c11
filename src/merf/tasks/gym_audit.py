"""Puts every scorer of reasoning-gym to the test and writes down what it found.

    python -m merf.tasks.gym_audit            # all datasets, some four minutes
    python -m merf.tasks.gym_audit dice maze  # these only

The findings are about the package's scorers as they come; `merf.tasks.gym` says what is done about them.
They are kept in `gym.json` beside this file.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

from merf.core.seeds import derive
from merf.tasks.deadline import Failure
from merf.tasks.gym import NONSENSE, contains, drawing
from merf.tasks.gym_table import PATH, Row

ITEMS = 30
SECONDS = 10.0
"""Stop making items of one dataset after this long."""

OFTEN = 0.2
"""Share of items from which on a blind or borrowed answer that pays in full is held against the scorer. Below
it are puzzles with few solutions, which share some."""

BLIND = ("0", "1", "-1", "True", "False", "Yes", "No", "A", "1 2 3 4 5 6 7 8 9 10")
PADDING = "Perhaps {answer} is what you want, or else it isn't."


def audit(name: str) -> Row:
    """Make some items of a dataset and try answers on them that ought to earn nothing."""
    from reasoning_gym.dataset import ProceduralDataset
    from reasoning_gym.factory import DATASETS

    dataset_class, make_config = DATASETS[name]
    dataset = dataset_class(make_config(seed=0, size=1))
    entries: list[dict[str, Any]] = []
    start = time.perf_counter()
    while len(entries) < ITEMS and time.perf_counter() - start < SECONDS:
        entry = drawing().call((name, None, {}, derive("audit", name, len(entries)) >> 33))
        if isinstance(entry, Failure):
            raise RuntimeError(f"{name}: {entry.note}")
        entries.append(entry)
    seconds = (time.perf_counter() - start) / len(entries)

    raised = False

    def marks(text: str | None, entry: dict[str, Any]) -> float:
        nonlocal raised
        try:
            return float(dataset.score_answer(text, entry))
        except Exception:
            raised = True
            return 0.0

    found: set[str] = set()
    blind, borrowed = dict.fromkeys(BLIND, 0), 0
    for number, entry in enumerate(entries):
        stored = entry["answer"]
        other = entries[number - 1]["answer"]
        nonsense = max(marks(text, entry) for text in NONSENSE)
        found |= {"any-text"} if nonsense == 1 else {"junk-marks"} if nonsense > 0 else set()
        for text in BLIND:
            blind[text] += marks(text, entry) == 1 and not _means(text, stored)
        borrowed += isinstance(other, str) and other != stored and marks(other, entry) == 1
        if not isinstance(stored, str) or marks(stored, entry) < 1:
            found.add("no-stored-answer")
        elif contains(padded := PADDING.format(answer=stored), stored) and nonsense < marks(padded, entry) < 1:
            found.add("padding")
    if max(blind.values()) >= OFTEN * len(entries):
        found.add("blind")
    if borrowed >= OFTEN * len(entries):
        found.add("any-solution")
    if raised:
        found.add("raises")
    return Row(
        flags=sorted(found),
        scorer="exact" if dataset_class.score_answer is ProceduralDataset.score_answer else "own",
        chars=round(statistics.median(len(entry["question"]) for entry in entries)),
        ms=_rounded(1000 * seconds),
    )


def _means(text: str, stored: object) -> bool:
    """Whether two answers are the same text or the same number."""
    if text.casefold() == str(stored).strip().casefold():
        return True
    try:
        return float(text) == float(str(stored))
    except ValueError:
        return False


def _rounded(ms: float) -> float:
    """To 1, 2 or 5 times a power of ten, so that a second measurement mostly agrees."""
    power = 10.0 ** math.floor(math.log10(ms))
    return float(f"{min((1, 2, 5, 10), key=lambda step: abs(step - ms / power)) * power:.1g}")


def main(chosen: Sequence[str]) -> None:
    from reasoning_gym.factory import DATASETS

    # `composite` mixes other datasets and has no problems of its own.
    names = chosen or sorted(set(DATASETS) - {"composite"})
    rows: dict[str, Row] = json.loads(PATH.read_text(encoding="utf-8")) if PATH.exists() else {}
    for name in names:
        with contextlib.redirect_stdout(io.StringIO()):
            rows[name] = audit(name)
        print(f"{name:<28} {rows[name]['ms']:>6g} ms  {', '.join(rows[name]['flags'])}", flush=True)
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(rows[name])}" for name in sorted(rows))
    PATH.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
