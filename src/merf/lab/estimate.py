"""How long a build will take, measured on this machine before it begins."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import mean, median
from typing import Any

from merf.core.sampling import Sampling
from merf.lab.build import Base
from merf.lab.card import cells
from merf.lab.corpus import document
from merf.lab.fingerprint import SEED
from merf.lab.pretrain import Stage, new_model, pretrain
from merf.lab.worlds import get
from merf.policy.policy import Policy

STEPS = 4
"""Steps of each stage that are timed; the first of them doesn't count."""

ROWS = 128
"""Responses that are sampled to time the card."""


@dataclass(frozen=True)
class Estimate:
    """Seconds."""

    trunk: float
    branch: float
    card: float
    parameters: int

    @property
    def total(self) -> float:
        return self.trunk + self.branch + self.card

    def __str__(self) -> str:
        def minutes(seconds: float) -> str:
            return f"{seconds / 60:.0f}" if seconds >= 60 else "less than 1"

        parts = [("trunk", self.trunk), ("mixture", self.branch), ("card", self.card)]
        listed = ", ".join(f"{name} {minutes(seconds)}" for name, seconds in parts if seconds)
        return f"about {minutes(self.total)} minutes ({listed}; {self.parameters / 1e6:.1f} million parameters)"


def estimate(base: Base, tokenizer: Any, with_trunk: bool, device: str = "cpu") -> Estimate:
    """Time a few steps of every stage, and a few responses, with an untrained model of the base's shape."""
    model = new_model(base.shape, tokenizer, SEED).to(device)
    trunk = sum(seconds_per_step(model, tokenizer, stage) * stage.steps for stage in base.trunk if with_trunk)
    branch = seconds_per_step(model, tokenizer, base.stage) * base.stage.steps
    each = seconds_per_response(Policy(model, tokenizer, device), base)
    card = each * cells(get(base.dials.world), base.samples)
    return Estimate(trunk, branch, card, sum(p.numel() for p in model.parameters()))


def seconds_per_step(model: Any, tokenizer: Any, stage: Stage) -> float:
    ticks = [time.perf_counter()]
    few = replace(stage, steps=STEPS, lr=0.0, end=0.0)
    pretrain(model, tokenizer, few, SEED, 0, lambda step, loss: ticks.append(time.perf_counter()))
    return median(after - before for before, after in pairwise(ticks[1:]))


def seconds_per_response(policy: Policy, base: Base) -> float:
    """An untrained model seldom stops by itself, so responses get the mean length of the corpus's own."""
    docs = [document(index, SEED, base.dials) for index in range(ROWS)]
    length = mean(len(policy.tokenize(text)) for doc in docs for text in doc.responses)
    prompts = [policy.encode(doc.prompt).ids for doc in docs]
    start = time.perf_counter()
    policy.sample(prompts, Sampling(max_tokens=max(round(length), 1)), list(range(ROWS)))
    return (time.perf_counter() - start) / ROWS
