"""In-context motivation: where the rulebook's text goes, whose prompt carries it, and for how long.

MeRF (arXiv 2506.18485) puts the rules of the reward into every training prompt and validates without
them. Everything around that choice is a variable here: what is told, where, to which group members, and
whether the gradient sees it.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal, get_args

from merf.core.problem import Message, Messages, Problem, Prompt
from merf.core.progress import Constant, Linear, Progress, Schedule, Sigmoid
from merf.core.seams import Rewards
from merf.core.seeds import derive

Variant = Literal["none", "truth", "suboptimal", "adverse", "shuffled", "neutral"]
Position = Literal["system", "before", "after"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)
POSITIONS: tuple[Position, ...] = get_args(Position)

Exposure = Literal["always", "half", "linear", "sigmoid"]
EXPOSURES: dict[Exposure, Schedule] = {
    "always": Constant(1.0),
    "half": Constant(0.5),
    "linear": Linear(1.0, 0.0),
    "sigmoid": Sigmoid(steepness=12.0, middle=0.5),
}
"""Who is told, by name: everybody; half of every group; a share that falls from everybody to nobody."""

NEUTRAL = (
    "The island is small and green, with a harbour in the south and a hill in the north.",
    "It rains there in the morning, and most people keep goats.",
    "There are two villages, joined by a narrow road along the coast.",
    "Boats come on Mondays with flour, paper and lamp oil.",
    "In summer the evenings are long, and music is heard in both villages.",
    "The old lighthouse has a red roof and a blue door.",
    "Bread is baked at night and sold at dawn.",
    "Nobody remembers who planted the olive trees by the well.",
)
"""Sentences about nothing that is scored, for measuring what a motivation's length alone does."""


def neutral_text(words: int, seed: int = 0) -> str:
    """Neutral sentences up to about `words` words, at least one."""
    order = Random(derive("neutral", seed)).sample(NEUTRAL, len(NEUTRAL))
    chosen: list[str] = []
    while not chosen or len(" ".join(chosen).split()) < words:
        chosen.append(order[len(chosen) % len(order)])
    return " ".join(chosen)


@dataclass(frozen=True)
class Telling:
    """Turns a rulebook into the text the model gets.

    truth       the rulebook's own description
    suboptimal  correctness only, though the other parts are paid too (MeRF's ablation)
    adverse     every score's sign flipped in the text, the payment unchanged (MeRF's ablation)
    shuffled    the words of the truth in random order
    neutral     text of the truth's length about something else
    none        nothing: plain RLVR
    """

    variant: Variant = "truth"
    style: str = "full"
    wording: int = 0

    def __call__(self, rulebook: Rewards) -> str:
        truth = rulebook.describe(self.style, self.wording)
        match self.variant:
            case "truth":
                return truth
            case "suboptimal":
                return rulebook.only("correctness").describe(self.style, self.wording)
            case "adverse":
                return rulebook.inverted().describe(self.style, self.wording)
            case "shuffled":
                words = truth.split()
                return " ".join(Random(derive("shuffled", truth)).sample(words, len(words)))
            case "neutral":
                return neutral_text(len(truth.split()))
        return ""


def place(system: str, problem: Problem, extra: str, position: Position) -> Messages:
    """The conversation with `extra` text in the system turn, or before or after the last user turn's text."""
    turns = list(problem.messages)
    if extra and position == "system":
        system = f"{system}\n{extra}".strip()
    elif extra:
        last = max(i for i, turn in enumerate(turns) if turn["role"] == "user")
        text = turns[last]["content"]
        joined = f"{extra}\n{text}" if position == "before" else f"{text}\n{extra}"
        turns[last] = Message(role="user", content=joined)
    if turns[0]["role"] == "system":
        own = turns.pop(0)["content"]
        system = f"{own}\n{system}".strip()
    head = [Message(role="system", content=system)] if system else []
    return tuple(head + turns)


@dataclass(frozen=True)
class Motivated:
    """The task's instruction in every prompt, the motivation in some.

    `exposure` gives the share of each group that is told, as a function of training progress: 1 is MeRF
    as published, 0.5 leaves half of every group without the text. With `learning="bare"` the gradient
    always sees the prompt without it.
    """

    system: str
    telling: Telling = Telling()
    position: Position = "system"
    exposure: Schedule = Constant(1.0)
    learning: Literal["acting", "bare"] = "acting"

    def __call__(self, problem: Problem, member: int, group_size: int, progress: Progress, rulebook: Rewards) -> Prompt:
        told = member < round(self.exposure(progress.fraction) * group_size)
        return self.frame(problem, rulebook, told)

    def frame(self, problem: Problem, rulebook: Rewards, told: bool) -> Prompt:
        text = self.telling(rulebook) if told else ""
        bare = place(self.system, problem, "", self.position)
        acting = place(self.system, problem, text, self.position) if text else bare
        learning = acting if self.learning == "acting" else bare
        return Prompt(acting=acting, learning=learning, exposure=float(bool(text)))
