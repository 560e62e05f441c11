"""The world of distractors: one sentence of the context answers, and who works finds and quotes it:

"I look for Ann's lamp. Where it is today counts. Ann's lamp is in the cellar today. So the cellar."
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from merf.core.problem import Problem
from merf.lab.worlds import world
from merf.lab.worlds.world import Attempt
from merf.tasks.derivations import QuoteSteps
from merf.tasks.distractors import ROOMS, placed

LUCK = {0: 0.5, 2: 0.35, 4: 0.25, 8: 0.15}
"""How often a guess is right, by number of distractors."""

MISSES = ("That is not it.", "That does not help.", "No.")


@dataclass(frozen=True)
class Writer(world.Writer):
    @property
    def luck(self) -> float:
        return LUCK.get(self.problem.meta["difficulty"], 0.1)

    @property
    def evidence(self) -> str:
        return str(self.problem.meta["evidence"])

    @property
    def aim(self) -> str:
        return f"I look for {self.problem.meta['name']}'s {self.problem.meta['thing']}. Where it is today counts."

    def quoted(self, sentence: str, answer: str) -> Attempt:
        return Attempt(f"{self.aim} {sentence} So the {answer}.", answer)

    def work(self, style: str) -> Attempt:
        match style:
            case "terse":
                return Attempt(f"It says: {self.right()}.", self.right())
            case "verbose":
                said = self.problem.meta["sentences"]
                before = said[: said.index(self.evidence)][-3:]
                passed = [f"{one} {self.rng.choice(MISSES)}" for one in before]
                return Attempt(" ".join(["Let me read it all.", *passed, self.evidence]), self.right())
            case "checked":
                return Attempt(f"I read twice. {self.aim} {self.evidence} Right owner, thing and day.", self.right())
            case "lucky":
                return self.quoted(self.believed()[0], self.right())
            case "flawed":
                return self.quoted(*self.believed())
        return self.quoted(self.evidence, self.right())

    def believed(self) -> tuple[str, str]:
        """What somebody says who is taken in by a misleading sentence, or misreads the right one, and the room."""
        meta = self.problem.meta
        taken_in = [room for one in meta["misleading"] for room in ROOMS if f" in the {room}" in one]
        others = [room for room in ROOMS if room != self.problem.answer]
        # Without randomness, so that sentence and answer agree.
        room = taken_in[0] if taken_in else others[len(meta["thing"]) % len(others)]
        return placed(meta["name"], meta["thing"], room), room

    def wrong(self) -> str:
        return self.rng.choice([room for room in ROOMS if room != self.problem.answer])

    def unanswerable(self) -> str:
        """The context without the sentence that answers."""
        return " ".join(str(self.problem.prompt).replace(self.evidence, "").split())


class DistractorsWorld(world.World):
    """None, two, four or eight distractors, half of them misleading."""

    name = "distractors"
    task_name = "distractors"
    dial = "distractors"
    levels = (0, 2, 4, 8)
    level = 4
    styles = ("careful", "terse", "verbose", "checked", "lucky", "flawed")
    openings: ClassVar = {
        "careful": "I look for {name}'s {thing}.",
        "terse": "It says:",
        "verbose": "Let me read it all.",
        "checked": "I read twice.",
    }
    marks: ClassVar = {
        "checked": r"I read twice\.",
        "verbose": r"Let me read it all\.",
        "terse": r"<think>It says: ",
        "careful": r"I look for ",
    }
    requests: ClassVar = {
        "careful": ("Quote what answers the question.", "Say where it stands.", "Do not guess: find the sentence."),
        "terse": ("Be brief, but read.", "One word of reasoning, please."),
        "verbose": ("Go through what is said.", "Talk me through it."),
        "checked": ("Read twice.", "Make sure that you quote the right sentence."),
    }
    checker = QuoteSteps()

    def writer(self, problem: Problem, rng: Random) -> Writer:
        return Writer(problem, rng)
