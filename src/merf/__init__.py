"""MeRF: reinforcement finetuning that tells the model the rules of the game.

    >>> from merf import Correct, Format, Rulebook
    >>> book = Rulebook(Correct(right=2, wrong=-1.5, unreadable=-2), Format(good=1, bad=-1))
    >>> print(book.describe("terse"))
    Scoring: right +2, wrong -1.5, unreadable -2; format kept (<think>...</think><answer>...</answer>) +1, format broken -1. Maximise the sum.

Importing `merf` imports no torch; everything that trains is in `merf[train]`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from merf.core.layout import Boxed, FinalLine, Plain, ThinkAnswer
    from merf.core.problem import Problem, Prompt
    from merf.core.response import Response, Responses, Scores, Verdict
    from merf.rules.leaves import Concise, Correct, Format, Steps
    from merf.rules.rule import Rule
    from merf.rules.rulebook import Rulebook

_HOMES = {
    "merf.core.layout": ("Boxed", "FinalLine", "Plain", "ThinkAnswer"),
    "merf.core.problem": ("Problem", "Prompt"),
    "merf.core.response": ("Response", "Responses", "Scores", "Verdict"),
    "merf.rules.leaves": ("Concise", "Correct", "Format", "Steps"),
    "merf.rules.rule": ("Rule",),
    "merf.rules.rulebook": ("Rulebook",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *_HOME_OF]


def __getattr__(name: str) -> Any:
    """Import public names from their homes when they are first used, so that `import merf` stays instant."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'merf' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)
