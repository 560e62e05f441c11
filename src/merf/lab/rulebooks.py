"""Rulebooks of the shipped experiments."""

from merf.rules.correctness import Correct
from merf.rules.rulebook import Rulebook

sparse = Rulebook(Correct(1.0, 0.0, 0.0))
"""One point for a right answer, nothing else."""
