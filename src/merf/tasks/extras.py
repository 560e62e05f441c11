"""Optional dependencies, asked for by name."""

from __future__ import annotations

from importlib.util import find_spec


class MissingExtra(RuntimeError):
    """A package that isn't installed; the message says which extra brings it."""


def require(package: str, extra: str, purpose: str) -> None:
    """Raise MissingExtra unless `package` can be imported."""
    if find_spec(package) is None:
        raise MissingExtra(f"{purpose} needs {package}: pip install 'merf[{extra}]'")
