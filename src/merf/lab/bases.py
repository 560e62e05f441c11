"""Where the lab's base models live: shipped inside the package, or built into the user's cache."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

SHIPPED = Path(__file__).parent / "shipped"


def cache() -> Path:
    """`$MERF_CACHE`, or `merf` in the user's cache folder."""
    if "MERF_CACHE" in os.environ:
        return Path(os.environ["MERF_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "merf"


def available() -> dict[str, Path]:
    """Every base that can be loaded, by name; a base in the cache goes before a shipped one."""
    found: dict[str, Path] = {}
    for room in (SHIPPED, cache() / "bases"):
        if room.is_dir():
            found.update({path.name: path for path in sorted(room.iterdir()) if (path / "config.json").exists()})
    return found


def world_of(base: str) -> str:
    """The world whose problems a base has read, from its card; knights where there is none to look into."""
    folder = available().get(base)
    if folder is None or not (folder / "card.json").exists():
        return "knights"
    return str(json.loads((folder / "card.json").read_text()).get("world", "knights"))


def resolve(model: str) -> str:
    """The folder of `lab:NAME`; any other model name is returned unchanged."""
    if not model.startswith("lab:"):
        return model
    name = model.removeprefix("lab:")
    bases = available()
    if name not in bases:
        known = ", ".join(f"lab:{base}" for base in bases) or "none yet"
        raise ValueError(f"there is no lab base {name!r} (available: {known}); `merf lab build` makes them")
    return str(bases[name])


def require(models: Iterable[str]) -> None:
    """Raise ValueError, with the command that builds them, if any `lab:NAME` among the models isn't there."""
    names = dict.fromkeys(model.removeprefix("lab:") for model in models if model.startswith("lab:"))
    there = available()
    if missing := [name for name in names if name not in there]:
        raise ValueError(
            f"{', '.join(f'lab:{name}' for name in missing)} {'has' if len(missing) == 1 else 'have'} to be built "
            f"first: `merf lab build {' '.join(missing)}`"
        )


def build_first(models: Iterable[str]) -> str:
    """The command, with its line end, that builds what doesn't ship of these models; empty if all of it does."""
    names = dict.fromkeys(model.removeprefix("lab:") for model in models if model.startswith("lab:"))
    missing = [name for name in names if not (SHIPPED / name / "config.json").exists()]
    return f"merf lab build {' '.join(missing)}\n" if missing else ""
