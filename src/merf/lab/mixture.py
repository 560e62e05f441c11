"""A base model's mixture as TOML: what it reads, in which order, and how large it is.

about = "what this base is for"
world = "arithmetic"

[shape]                  # merf.lab.pretrain.Shape
width = 128
[[trunk]]                # worked solutions only, unless it has dials of its own
steps = 600
sizes = [0.5, 0.5, 0, 0]
[branch]                 # then the mixture
steps = 800
end = 0.0
[dials]                  # merf.lab.corpus.Dials
told = 0.5
styles = { careful = 0.7, terse = 0.3 }
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from merf.core.toml import read_toml
from merf.lab.corpus import Dials
from merf.lab.kinds import KINDS
from merf.lab.pretrain import Shape, Stage
from merf.lab.worlds import WORLDS, get
from merf.tasks import nearest
from merf.train.options import fitting

FOLDER = Path(__file__).parent / "worlds"
WORKED: dict[str, Any] = {"told": 0.0, "neutral": 0.0, "asked": 1.0, "asked_work": 1.0, "responses": 1, "styles": {}}
"""Dials of a trunk: every document is a worked solution that was asked for, in the world's main style."""

DIALS = {one.name for one in fields(Dials)}


@dataclass(frozen=True)
class Mixture:
    """
    about    one line for lists
    world    one of `merf.lab.worlds.WORLDS`
    trunk    what the base learns its craft from, before it reads the mixture
    branch   the mixture; its learning rate should fall to zero
    samples  responses in each cell of the competence card
    """

    world: str
    branch: Stage
    trunk: tuple[Stage, ...] = ()
    shape: Shape = field(default_factory=Shape)
    about: str = ""
    samples: int = 200

    @classmethod
    def load(cls, path: Path) -> Mixture:
        """The mixture in a file; what is misspelt or out of range is refused, with the nearest valid name."""
        table = read_toml(path)
        try:
            return cls.of(table)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> Mixture:
        known = {one.name for one in fields(cls)} | {"dials"}
        for name in table:
            if name not in known:
                raise ValueError(f"unknown table or key {name!r}{nearest(name, known)}")
        for needed in ("world", "branch"):
            if needed not in table:
                raise ValueError(f'{needed!r} is missing: a mixture needs world = "…" and a [branch] with its steps')
        if table["world"] not in WORLDS:
            raise ValueError(f"there is no world {table['world']!r}{nearest(str(table['world']), WORLDS)}")
        dials = {**table.get("dials", {}), "world": table["world"]}
        trunk = [stage(one, {**dials, **without_kinds(), **WORKED}, "trunk") for one in table.get("trunk", [])]
        given = {**table, "branch": stage(table["branch"], dials, "branch"), "trunk": trunk}
        given.pop("dials", None)
        mixture: Mixture = fitting(cls, given, "")
        for one in (*mixture.trunk, mixture.branch):
            check(one.dials)
        return mixture


def without_kinds() -> dict[str, float]:
    return dict.fromkeys(KINDS, 0.0)


def stage(table: Any, dials: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A stage's table with its dials, which may stand in it directly, laid over `dials`."""
    if not isinstance(table, Mapping) or "steps" not in table:
        raise ValueError(f"{where}: say how many steps it takes, such as steps = 500")
    own = {name: value for name, value in table.items() if name in DIALS}
    rest = {name: value for name, value in table.items() if name not in DIALS}
    return {**rest, "dials": {**dials, **own}}


def check(dials: Dials) -> None:
    """Refuse shares that are none, and names that the world doesn't have."""
    world = get(dials.world)
    shares = {one.name: getattr(dials, one.name) for one in fields(Dials) if one.type == "float"}
    for name, value in shares.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} = {value}: a share lies between 0 and 1")
    kinds = ("told", "neutral", "asked", *KINDS)
    if (total := sum(shares[kind] for kind in kinds)) > 1 + 1e-9:
        raise ValueError(f"{', '.join(kinds)} add up to {total:g}: they share the documents, so to 1 at most")
    if len(dials.sizes) != len(world.levels) or not sum(dials.sizes) > 0 or min(dials.sizes) < 0:
        raise ValueError(
            f"sizes = {list(dials.sizes)}: give a share for each difficulty of {world.name}, which has "
            f"{', '.join(map(str, world.levels))}"
        )
    for style, value in dials.styles.items():
        if style not in world.styles:
            raise ValueError(f"styles: {world.name} has no style {style!r}{nearest(style, world.styles)}")
        if not isinstance(value, int | float) or value < 0:
            raise ValueError(f"styles.{style} = {value!r}: a share is a number, 0 or more")
    if dials.responses < 1:
        raise ValueError(f"responses = {dials.responses}: write at least one response to each prompt")


def mixtures() -> dict[str, Path]:
    """The worlds' own mixtures, by base name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.toml"))}
