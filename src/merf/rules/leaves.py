"""The four rules of a first rulebook, under one roof."""

from merf.rules.correctness import Correct
from merf.rules.format import Format
from merf.rules.length import Concise
from merf.rules.steps import Steps

__all__ = ["Concise", "Correct", "Format", "Steps"]
