"""What is known of reasoning-gym's scorers: measured by `python -m merf.tasks.gym_audit`, kept in `gym.json`."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TypedDict

FLAGS: dict[str, str] = {
    "any-text": "full marks for any text",
    "blind": "full marks for a fixed answer that isn't the right one",
    "any-solution": "full marks for the answer of another problem",
    "junk-marks": "part marks for nonsense",
    "padding": "part marks for text that contains the right answer",
    "no-stored-answer": "doesn't pay the answer stored with the problem",
    "raises": "raises an exception on nonsense",
}
"""Everything that can be wrong with a scorer as it comes, and what it means."""


class Row(TypedDict):
    """flags   of the scorer as it comes; what is done about them is in `merf.tasks.gym`
    scorer  "exact" where the package compares texts, "own" where the dataset has a scorer
    chars   median length of a question, in characters
    ms      time to make one problem, in milliseconds, rounded to 1, 2 or 5 times a power of ten
    """

    flags: list[str]
    scorer: str
    chars: int
    ms: float


PATH = Path(__file__).with_name("gym.json")


@cache
def table() -> dict[str, Row]:
    """One row per dataset of reasoning-gym."""
    rows: dict[str, Row] = json.loads(PATH.read_text(encoding="utf-8"))
    return rows


def flags(name: str) -> tuple[str, ...]:
    """What the audit holds against the scorer of reasoning-gym's dataset `name`, as keys of FLAGS."""
    return tuple(table()[name]["flags"])
