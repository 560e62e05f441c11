"""Whether a rulebook has anything to say to a policy that is trained by comparing the members of a group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from merf.audit.promises import level_rules
from merf.core.response import Array, Responses, Scores
from merf.rules.arithmetic import Shifted
from merf.rules.groups import standardised
from merf.rules.rulebook import Rulebook


@dataclass(frozen=True)
class Signals:
    """alive     share of the sample's groups in which two responses are paid differently
    constants  parts that add the same number to every response: invisible under group normalisation
    redundant  parts without which every group's normalised advantages would be the same
    silent     parts that paid every response of the sample alike
    unreached  (part, level in words) of levels that no response of the sample reached
    """

    alive: float
    constants: tuple[str, ...]
    redundant: tuple[str, ...]
    silent: tuple[str, ...]
    unreached: tuple[tuple[str, str], ...]


def signals(book: Rulebook, responses: Responses, scores: Scores) -> Signals:
    """What the sample says of each part. Every problem's responses are one group."""
    groups = [rows[~np.isnan(scores.total[rows])] for rows in responses.groups()]
    groups = [rows for rows in groups if len(rows) > 1]
    alive = [bool(standardised(scores.total[rows]).any()) for rows in groups]
    silent = {name for name, part in scores.parts.items() if flat(part[~np.isnan(part)])}
    redundant = [
        name
        for name, part in scores.parts.items()
        if len(scores.parts) > 1 and name not in silent and not matters(scores.total, part, groups)
    ]
    return Signals(
        alive=float(np.mean(alive)) if alive else 0.0,
        constants=tuple(part.name for part in book if isinstance(part, Shifted)),
        redundant=tuple(redundant),
        silent=tuple(name for name in scores.parts if name in silent),
        unreached=tuple(unreached(book, responses)),
    )


def flat(values: Array) -> bool:
    return len(values) == 0 or float(np.ptp(values)) <= 1e-12 * float(np.abs(values).max())


def matters(total: Array, part: Array, groups: list[np.ndarray[tuple[int, ...], np.dtype[np.intp]]]) -> bool:
    """Whether taking the part away would change some group's normalised advantages."""
    return any(
        not np.allclose(standardised(total[rows]), standardised(total[rows] - part[rows]), atol=1e-6) for rows in groups
    )


def unreached(book: Rulebook, responses: Responses) -> list[tuple[str, str]]:
    missing = []
    for part in book:
        for rule in level_rules(part):
            seen = {rule.classify(response) for response in responses}
            missing += [(part.name, level.condition("full")) for n, level in enumerate(rule.levels()) if n not in seen]
    return missing
