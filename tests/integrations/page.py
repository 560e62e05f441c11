"""The examples in docs/integrations.md."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "integrations.md"


def examples(heading: str) -> list[tuple[str, str]]:
    """(code, output that follows it or "") of every Python block under a heading, up to the next one."""
    text = PAGE.read_text(encoding="utf-8")
    start = text.index(f"\n{heading}\n")
    end = re.search(r"\n#+ ", text[start + 2 :])
    section = text[start : start + 2 + end.start()] if end else text[start:]
    found = re.findall(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", section, re.DOTALL)
    return [(code, output) for code, output in found]
