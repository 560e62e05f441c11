"""The page on performance says what the measured files say."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

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


def test_a_missed_goal_is_followed_by_its_profile_and_by_what_was_written_about_it(page, tmp_path):
    def measured(share: float) -> str:
        width = {"seconds": [1.0], "gflops": 50.0, "peak": 100.0, "share": share}
        width |= {"parts": {"matmul": 0.4, "the rest": 0.6}, "operations": {"aten::mm": 0.4, "aten::silu": 0.2}}
        record = json.loads((page.RESULTS / "scoring.json").read_text())
        record = {"machine": record["machine"], "widths": {"128": {**width, "share": 0.1}, "1024": width}}
        (tmp_path / "peak_share.json").write_text(json.dumps(record))
        return page.page(tmp_path)

    why = "is missed. Time goes by operation: `aten::mm` 40%, `aten::silu` 20%."
    assert "| at least 50 % | 49 % | missed |" in measured(0.49)
    assert why in measured(0.49)
    assert "| at least 50 % | 51 % | met |" in measured(0.51)
    assert why not in measured(0.51)
    (tmp_path / "peak_share.md").write_text("Half of it is cache misses.\n")
    assert "Half of it is cache misses." in measured(0.49)


def test_growth_is_judged_between_neighbours(page):
    def points(*seconds: float) -> dict:
        sizes = [10 * 2**i for i in range(len(seconds))]
        return {
            "sweeps": {
                "a": [{"value": n, "sampling": s / 2, "update": s / 2} for n, s in zip(sizes, seconds, strict=True)]
            }
        }

    assert max(page.growths(points(1, 2, 4, 8)))[0] == pytest.approx(1)
    factor, where = max(page.growths(points(1, 1.1, 4.4, 8)))  # a cliff in the middle
    assert factor == pytest.approx(2)
    assert where.startswith("a 20 to 40: sampling 0.55 to 2.20 s")


def test_without_a_gpu_the_page_says_that_none_was_measured(page, tmp_path):
    assert "It has not been run: there was no GPU at hand." in page.page(tmp_path)


def test_rounds_end_in_time_and_at_least_one_is_taken(page, monkeypatch):
    import common

    now = [0.0]
    monkeypatch.setattr(common, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def taken(most: int, seconds: float, each: list[float]) -> int:
        count = 0
        for n in common.rounds(most, now[0] + seconds):
            now[0] += each[n]
            count += 1
        return count

    assert taken(10, 0, [5] * 10) == 1
    assert taken(10, 16, [5] * 10) == 3
    assert taken(10, 15, [2, 7, 2, 2, 2]) == 2  # another 7 would be too much
    assert taken(3, 100, [5] * 3) == 3
    now[0] = 0.0
    parts = []
    for _, until in common.shares("abc", 1):
        parts.append(until - now[0])
        now[0] += 10
    assert parts == [20, 25, 40]


def test_contestants_take_turns_and_say_why_they_ended(page, tmp_path):
    import common

    script = tmp_path / "counts.py"
    script.write_text(
        "import json, sys\nfrom common import Turns\nturns = Turns()\nprint('noise')\n"
        "for n in range(2):\n    turns.done(n=n, told=json.loads(sys.argv[1]))\nraise ValueError('out of steps')\n"
    )
    contestant = common.Contestant(str(script), {"a": 1}, 1)
    first, second = contestant.step(), contestant.step()
    assert (first["n"], second["n"], first["told"]) == (0, 1, {"a": 1})
    assert first["wall"] > 0
    assert first["memory"] > 0
    with pytest.raises(RuntimeError, match="out of steps"):
        contestant.step()
    contestant.stop()


def test_every_benchmark_is_on_the_page_and_in_the_list(page):
    listed = (ROOT / "benchmarks" / "README.md").read_text()
    for _, _, script, _ in page.SECTIONS:
        assert (ROOT / "benchmarks" / script).exists()
        assert f"python benchmarks/{script}" in listed
        assert f"python benchmarks/{script}" in page.page()
