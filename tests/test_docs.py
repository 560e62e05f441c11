"""The code on the pages that teach is run as a newcomer would: block after block."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from merf.methods import registry

ROOT = Path(__file__).parents[1]


def blocks(page: str) -> str:
    """All Python of a page, with line numbers kept for tracebacks."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    assert found, f"{page} has no Python"
    return "\n".join(found)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Run in an empty folder, with methods registered here forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_METHODS", dict(registry.load_all()))


@pytest.mark.slow
def test_extending(elsewhere, capsys):
    exec(compile(blocks("docs/extending.md"), "extending.md", "exec"), {"__name__": "page"})
    printed = capsys.readouterr().out
    assert "ranked and grpo both decide the credit" in printed
    assert "reasoning goes through at least two cases" in printed


@pytest.mark.slow
def test_readme(elsewhere, capsys):
    shorter = blocks("README.md").replace("steps=20", 'steps=1, problems=2, evaluation={"problems": 4}')
    exec(compile(shorter, "README.md", "exec"), {"__name__": "page"})
    assert 'each beginning with "If"' in capsys.readouterr().out


def test_pages_link_to_files_that_exist():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if not target.startswith(("http:", "https:", "mailto:")):
                assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"
