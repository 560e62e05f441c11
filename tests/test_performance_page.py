"""The page on performance says what the measured files say."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def page(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import page

    yield page
    del sys.modules["page"], sys.modules["common"]


def test_the_page_is_what_its_command_writes(page):
    assert page.PAGE.read_text() == page.page(), "run: python benchmarks/page.py"


def test_verdicts_follow_from_the_figures(page, tmp_path):
    record = json.loads((page.RESULTS / "scoring.json").read_text())
    for ratios, verdict in (([3.5, 3.2, 2.0], "met"), ([2.9, 2.8, 5.0], "missed")):
        record["ratios"]["whole numbers"]["TRL"] = ratios
        (tmp_path / "scoring.json").write_text(json.dumps(record))
        (row,) = [line for line in page.page(tmp_path).splitlines() if line.startswith("| Scoring whole numbers")]
        assert row.endswith(f"| {verdict} |")
    (row,) = [line for line in page.page(tmp_path).splitlines() if line.startswith("| Time to a reward")]
    assert row.endswith("|  | not run |")


def test_every_benchmark_is_on_the_page_and_in_the_list(page):
    listed = (ROOT / "benchmarks" / "README.md").read_text()
    for _, _, script, _ in page.SECTIONS:
        assert (ROOT / "benchmarks" / script).exists()
        assert f"python benchmarks/{script}" in listed
        assert f"python benchmarks/{script}" in page.page()
