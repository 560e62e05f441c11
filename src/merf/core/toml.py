"""Reading TOML on every supported Python."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read_toml(path: Path) -> dict[str, Any]:
    """The table in the file at `path`; an error names the file and the line."""
    return parse_toml(path.read_text(encoding="utf-8"), str(path))


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """The table written in `text`; `where` names the text in errors."""
    try:
        table: dict[str, Any] = tomllib.loads(text)
        return table
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{where} is not valid TOML: {error}") from error
