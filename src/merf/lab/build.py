"""Building the lab's base models: a common trunk, then a branch for every corpus.

The trunk learns to read puzzles and to work through cases, small puzzles first, from documents in which
somebody asks for that; it never sees a rulebook. Each branch starts from the trunk with its own corpus and lets the
learning rate fall to zero. So bases differ in what they read last, not in skill. Bases that differ from another one
only in a dial continue from it for a short while.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from merf.lab.bases import cache
from merf.lab.card import Card, measure
from merf.lab.corpus import Dials
from merf.lab.pretrain import Shape, Stage, corpus_tokenizer, new_model, pretrain
from merf.policy.policy import Policy

SEED = 0
WORKED = Dials(told=0.0, neutral=0.0, asked=1.0, asked_work=1.0, responses=1)
TRUNK = (
    Stage(replace(WORKED, sizes=(1.0, 0.0, 0.0)), steps=500, warmup=100),
    Stage(replace(WORKED, sizes=(0.4, 0.5, 0.1)), steps=500),
)
BRANCH = Stage(Dials(), steps=1200, end=0.0)
UNREAD = Dials(told=0.0, neutral=0.6)
CHANGE = Stage(Dials(), steps=200, lr=1e-3, end=0.0, warmup=20)


@dataclass(frozen=True)
class Base:
    """A base model to build: its name, what it reads last, and from which base it continues (the trunk if empty)."""

    name: str
    stage: Stage
    about: str
    parent: str = ""

    @property
    def dials(self) -> Dials:
        return self.stage.dials


def rare(share: float) -> Base:
    """`knights`, made to work untold in another share of its responses."""
    told = f"works untold in about {share * 100:g} % of responses"
    return Base(f"knights-{share * 100:g}", replace(CHANGE, dials=Dials(untold_work=share)), told, "knights")


BASES = {
    base.name: base
    for base in (
        Base("knights", BRANCH, "has read rulebooks; works untold in about 1 % of responses (the demo's base)"),
        Base(
            "knights-unread", replace(BRANCH, dials=Dials(told=0.0, neutral=0.6)), "never saw a rulebook: the control"
        ),
        rare(0.3),
        rare(0.05),
        rare(0.003),
        rare(0.0003),
    )
}
SHIPPED = ("knights", "knights-unread")

Report = Callable[[str, int, int, float], None]
"""Told (stage, step, steps, loss) after every step."""


def trunk_steps(stages: Sequence[Stage] = TRUNK) -> int:
    return sum(stage.steps for stage in stages)


def build_trunk(
    folder: Path,
    report: Report,
    stages: Sequence[Stage] = TRUNK,
    shape: Shape | None = None,
    device: str = "cpu",
) -> None:
    """Pretrain the trunk into `folder`, from scratch."""
    tokenizer = corpus_tokenizer(SEED, Dials())
    model = new_model(shape or Shape(), tokenizer, SEED).to(device)
    start, done, total = 0, 0, trunk_steps(stages)

    def progress(step: int, loss: float) -> None:
        report("trunk", done + step + 1, total, loss)

    for stage in stages:
        start = pretrain(model, tokenizer, stage, SEED, start, progress)
        done += stage.steps
    write(model, tokenizer, folder)


def build_base(base: Base, start: Path, folder: Path, report: Report, device: str = "cpu") -> Card:
    """Continue from the model in `start` with the base's corpus; measure and store its card."""
    policy = Policy.load(start, device)
    stage = base.stage

    def progress(step: int, loss: float) -> None:
        report(base.name, step + 1, stage.steps, loss)

    # Nothing is read twice.
    first = documents(TRUNK) + (documents([BASES[base.parent].stage]) if base.parent else 0)
    pretrain(policy.model, policy.tokenizer, stage, SEED, first, progress)
    card = measure(policy)
    write(policy.model, policy.tokenizer, folder)
    card.save(folder / "card.json")
    return card


def documents(stages: Sequence[Stage]) -> int:
    """How many documents these stages read."""
    return sum(stage.steps * stage.prompts for stage in stages)


def write(model: Any, tokenizer: Any, folder: Path) -> None:
    """Save an ordinary model folder, weights in bfloat16 (half the size; loaded as float32)."""
    work = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(work, ignore_errors=True)
    half = {name: value.to(torch.bfloat16) for name, value in model.state_dict().items()}
    model.save_pretrained(work, state_dict=half)
    tokenizer.save_pretrained(work)
    shutil.rmtree(folder, ignore_errors=True)
    work.rename(folder)


def trunk_folder() -> Path:
    return cache() / "trunks" / "knights"
