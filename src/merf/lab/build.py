"""Building the lab's base models: a trunk for each world, then a branch for every corpus.

The trunk learns to read problems and to work through them, small ones first, from documents in which
somebody asks for that; it never sees a rulebook. Each branch starts from the trunk with its own corpus and lets the
learning rate fall to zero. So bases differ in what they read last, not in skill. Bases that differ from another one
only in a dial continue from it for a short while.

What is built is stamped with a fingerprint of all that made it (`merf.lab.fingerprint`), and isn't built again while
that stays the same.
"""

from __future__ import annotations

import itertools
import json
import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from merf.lab.bases import cache
from merf.lab.card import Card, measure, parts
from merf.lab.corpus import Dials
from merf.lab.fingerprint import SEED, of_file, of_stages
from merf.lab.mixture import Mixture, mixtures
from merf.lab.pretrain import Shape, Stage, corpus_tokenizer, new_model, pretrain
from merf.lab.worlds import get
from merf.policy.policy import Policy
from merf.tasks import nearest

STAMP = "built.json"
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
    """A base model to build: its name, what it reads last, and from which base it continues (its trunk if empty).

    Bases with the same trunk and shape share it. `samples` is the number of responses in each cell of the card.
    """

    name: str
    stage: Stage
    about: str
    parent: str = ""
    trunk: tuple[Stage, ...] = TRUNK
    shape: Shape = field(default_factory=Shape)
    samples: int = 400

    @property
    def dials(self) -> Dials:
        return self.stage.dials

    @classmethod
    def of(cls, path: Path) -> Base:
        """The base whose mixture is in this file."""
        m = Mixture.load(path)
        return cls(path.stem, m.branch, m.about, trunk=m.trunk, shape=m.shape, samples=m.samples)


def rare(share: float) -> Base:
    """`knights`, made to work untold in another share of its responses."""
    told = f"works untold in {share * 100:g} % of what it read last"
    return Base(f"knights-{share * 100:g}", replace(CHANGE, dials=Dials(untold_work=share)), told, "knights")


BASES = {
    base.name: base
    for base in (
        Base("knights", BRANCH, "has read rulebooks; works untold in about 1 % of responses"),
        Base(
            "knights-unread", replace(BRANCH, dials=Dials(told=0.0, neutral=0.6)), "never saw a rulebook: the control"
        ),
        rare(0.3),
        rare(0.05),
        rare(0.003),
        rare(0.0003),
        replace(rare(0.0), stage=replace(CHANGE, steps=400, dials=Dials(untold_work=0.0)), parent="knights-0.03"),
    )
}
SHIPPED = ("knights", "knights-unread", "knights-0")

Report = Callable[[str, int, int, float], None]
"""Told (stage, step, steps, loss) after every step."""


def known() -> dict[str, Base]:
    """Every base that can be built by its name."""
    return BASES | {name: Base.of(path) for name, path in mixtures().items()}


def base_named(name: str) -> Base:
    """The base of this name, or whose mixture is in the TOML file of this path."""
    if name.endswith(".toml"):
        return Base.of(Path(name))
    if name in BASES:
        return BASES[name]
    if name not in mixtures():
        raise ValueError(f"there is no base {name!r}{nearest(name, [*BASES, *mixtures()])}; `merf lab list` tells more")
    return Base.of(mixtures()[name])


def steps_of(stages: Sequence[Stage]) -> int:
    return sum(stage.steps for stage in stages)


def card_of(base: Base) -> str:
    """What the measuring of a base's card is called in reports."""
    return f"{base.name}: card"


def documents(stages: Sequence[Stage]) -> int:
    """How many documents these stages read."""
    return sum(stage.steps * stage.prompts for stage in stages)


def trunk_mark(base: Base) -> str:
    return of_stages(base.trunk, base.shape)


def base_mark(base: Base, start: Path | None) -> str:
    """The fingerprint of a base that continues from the model in `start`, or from its trunk."""
    before = of_file(start / "model.safetensors") if start else trunk_mark(base)
    return of_stages([base.stage], base.shape, before)


def fresh(folder: Path, mark: str, unstamped: bool = False) -> bool:
    """Whether the folder holds a model with this fingerprint; `unstamped` says what counts for one without any."""
    if not (folder / "config.json").exists():
        return False
    stamp = folder / STAMP
    return json.loads(stamp.read_text())["fingerprint"] == mark if stamp.exists() else unstamped


def tokenizer_for(base: Base) -> Any:
    """The tokenizer of a trunk: learnt from what its branch reads, so that all of it can be written."""
    # All bases on the knights' trunk have the tokenizer of the first of them.
    dials = Dials() if base.trunk == TRUNK else base.dials
    return corpus_tokenizer(SEED, dials, base.shape.read, base.shape.vocabulary)


def build_trunk(base: Base, folder: Path, report: Report, device: str = "cpu", tokenizer: Any = None) -> None:
    """Pretrain the base's trunk into `folder`, from scratch."""
    started = time.perf_counter()
    tokenizer = tokenizer or tokenizer_for(base)
    model = new_model(base.shape, tokenizer, SEED).to(device)
    start, done, total = 0, 0, steps_of(base.trunk)

    def progress(step: int, loss: float) -> None:
        report(f"{base.name}: trunk", done + step + 1, total, loss)

    for stage in base.trunk:
        start = pretrain(model, tokenizer, stage, SEED, start, progress)
        done += stage.steps
    write(model, tokenizer, folder, trunk_mark(base), started)


def ancestors(base: Base) -> list[Base]:
    """The bases that this one continues from, the nearest first."""
    parent = BASES.get(base.parent)
    return [parent, *ancestors(parent)] if parent else []


def build_base(base: Base, start: Path, folder: Path, report: Report, device: str = "cpu") -> Card:
    """Continue from the model in `start` with the base's corpus; measure and store its card."""
    started = time.perf_counter()
    mark = base_mark(base, start if base.parent else None)
    policy = Policy.load(start, device)
    stage = base.stage

    def progress(step: int, loss: float) -> None:
        report(base.name, step + 1, stage.steps, loss)

    first = documents([*base.trunk, *(one.stage for one in ancestors(base))])  # nothing is read twice
    pretrain(policy.model, policy.tokenizer, stage, SEED, first, progress)
    world, measured = get(base.dials.world), itertools.count(1)
    card = measure(
        policy, world, base.samples, lambda part: report(card_of(base), next(measured), parts(world), math.nan)
    )
    write(policy.model, policy.tokenizer, folder, mark, started, card)
    return card


def write(model: Any, tokenizer: Any, folder: Path, mark: str, started: float, card: Card | None = None) -> None:
    """Save an ordinary model folder, weights in bfloat16 (half the size; loaded as float32), stamp and card."""
    work = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(work, ignore_errors=True)
    half = {name: value.to(torch.bfloat16) for name, value in model.state_dict().items()}
    model.save_pretrained(work, state_dict=half)
    tokenizer.save_pretrained(work)
    if card is not None:
        card.save(work / "card.json")
    stamp = {"fingerprint": mark, "seconds": round(time.perf_counter() - started)}
    (work / STAMP).write_text(json.dumps(stamp))
    shutil.rmtree(folder, ignore_errors=True)
    work.rename(folder)


def trunk_folder(base: Base) -> Path:
    """Where the base's trunk is kept: one for all knights, one for each other mixture."""
    return cache() / "trunks" / ("knights" if base.trunk == TRUNK else base.name)
