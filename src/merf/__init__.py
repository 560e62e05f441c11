"""MeRF: reinforcement finetuning that tells the model the rules of the game.

    >>> from merf import Correct, Format, Rulebook
    >>> book = Rulebook(Correct(right=2, wrong=-1.5, unreadable=-2), Format(good=1, bad=-1))
    >>> print(book.describe("terse"))
    Scoring: right +2, wrong -1.5, unreadable -2; format kept (<think>...</think><answer>...</answer>) +1, format broken -1. Maximise the sum.

Importing `merf` imports no torch; everything that trains is in `merf[train]`.
"""  # noqa: E501 - the text that a model reads is one line

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from merf.core.layout import Boxed, FinalLine, Plain, ThinkAnswer, ThinkAnswerConfidence
    from merf.core.problem import Problem, Prompt
    from merf.core.progress import Constant, Cosine, Linear, Progress, Sigmoid
    from merf.core.response import Response, Responses, Scores, Verdict
    from merf.finetuning import finetune
    from merf.rules.arithmetic import highest, lowest
    from merf.rules.calibration import Calibrated
    from merf.rules.conditions import best_groups, easiest, hardest, solved
    from merf.rules.correctness import Correct, SaysWhetherRight
    from merf.rules.custom import rule
    from merf.rules.diversity import DistinctAnswer, Diversity
    from merf.rules.format import Format, JsonFormat, Matches
    from merf.rules.gates import priority
    from merf.rules.language import NoRepetition, Script
    from merf.rules.length import Brevity, Concise, Overlong
    from merf.rules.likelihood import Hesitation, ReferenceLikelihood, SelfAligned
    from merf.rules.overlap import Overlap
    from merf.rules.rule import Rule
    from merf.rules.rulebook import Rulebook
    from merf.rules.schedules import Exponential, Switch
    from merf.rules.similarity import Similar
    from merf.rules.steps import FreshSteps, StepRule, Steps

_HOMES = {
    "merf.core.layout": ("Boxed", "FinalLine", "Plain", "ThinkAnswer", "ThinkAnswerConfidence"),
    "merf.core.problem": ("Problem", "Prompt"),
    "merf.core.progress": ("Constant", "Cosine", "Linear", "Progress", "Sigmoid"),
    "merf.core.response": ("Response", "Responses", "Scores", "Verdict"),
    "merf.finetuning": ("finetune",),
    "merf.rules.arithmetic": ("highest", "lowest"),
    "merf.rules.calibration": ("Calibrated",),
    "merf.rules.conditions": ("best_groups", "easiest", "hardest", "solved"),
    "merf.rules.correctness": ("Correct", "SaysWhetherRight"),
    "merf.rules.custom": ("rule",),
    "merf.rules.diversity": ("DistinctAnswer", "Diversity"),
    "merf.rules.format": ("Format", "JsonFormat", "Matches"),
    "merf.rules.gates": ("priority",),
    "merf.rules.language": ("NoRepetition", "Script"),
    "merf.rules.length": ("Brevity", "Concise", "Overlong"),
    "merf.rules.likelihood": ("Hesitation", "ReferenceLikelihood", "SelfAligned"),
    "merf.rules.overlap": ("Overlap",),
    "merf.rules.rule": ("Rule",),
    "merf.rules.rulebook": ("Rulebook",),
    "merf.rules.schedules": ("Exponential", "Switch"),
    "merf.rules.similarity": ("Similar",),
    "merf.rules.steps": ("FreshSteps", "StepRule", "Steps"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *_HOME_OF]


def __getattr__(name: str) -> Any:
    """Import public names from their homes when they are first used, so that `import merf` stays instant."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'merf' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)
