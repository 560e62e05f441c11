from __future__ import annotations

from pathlib import Path

import pytest

from merf import Correct, Rulebook
from merf.rules import gallery
from merf.rules.form import RULES, SIDE_BY_SIDE, VERBS
from merf.rules.python import NAMES

CODES = [
    entry.code for entries in (gallery.RULE_ENTRIES, gallery.OPERATION_ENTRIES) for e in entries.values() for entry in e
]


def test_the_committed_page_is_the_generated_one() -> None:
    assert gallery.PAGE.read_text(encoding="utf-8") == gallery.page(), "run: python -m merf.rules.gallery"


def test_every_rule_operation_and_condition_is_on_the_page() -> None:
    shown = " ".join(CODES)
    written = {"times": " * ", "plus": " + ", "multiplied_by": "* (", "squash": ".squash(", "clip": ".clip("}
    for name in RULES:
        assert f"{name}(" in shown
    for verb in VERBS:
        assert written.get(verb, f".{verb}(") in shown
    for key in (*SIDE_BY_SIDE, "priority", "easiest", "solved", "best_groups"):
        assert f"{key}(" in shown or key == "sum"
    for name in ("Linear", "Cosine", "Sigmoid", "Exponential", "Switch", "Constant"):
        assert name in NAMES
        assert f"{name}(" in shown


def test_tags_in_sentences_are_escaped_so_that_markdown_shows_them() -> None:
    quoted = [line for line in gallery.page().splitlines() if line.startswith("> ")]
    assert any("&lt;think>" in line for line in quoted)
    assert not any("<think>" in line for line in quoted)


def test_the_scoring_snippet_runs() -> None:
    names = {"book": Rulebook(Correct(right=2, wrong=-1, unreadable=-2))}
    exec(gallery.SCORING, names)
    assert names["scores"].total.tolist() == [2, -2]


def test_the_page_can_be_written_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setattr(sys, "argv", ["gallery", str(tmp_path / "docs" / "rules.md")])
    gallery.main()
    assert (tmp_path / "docs" / "rules.md").read_text(encoding="utf-8").startswith("<!--")
