"""The comparison's numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from merf.evaluate.passk import pass_at_k
from merf.evaluate.statistics import bootstrap, paired
from merf.report.live import ArmView, sparkline
from merf.report.runs import ArmRecord, RunRecord, headline, steps_taken, table


def test_the_table_states_final_accuracies_differences_and_steps(arms):
    header, rows = table(arms)
    cells = [dict(zip(header, row, strict=True)) for row in rows]
    assert cells[0]["accuracy without motivation"].startswith("0.61")
    assert cells[1]["difference to its baseline, without"].startswith("0.21")
    assert cells[0]["difference to its baseline, without"] == ""
    assert cells[1]["steps to its baseline's final accuracy"] == "2"
    assert cells[0]["sampled tokens"] == "400"
    assert cells[0]["seconds"] == "12"


def test_the_headline_says_what_was_measured_and_cautions_about_few_seeds(arms):
    text = headline(arms)
    assert "RLVR ends at 0.61" in text
    assert "difference +0.21" in text
    assert text.endswith("3 seeds decide nothing.")


def test_intervals_need_three_values_and_contain_the_mean():
    assert np.isnan(bootstrap([0.1, 0.2]).low)
    found = bootstrap([0.1, 0.3, 0.2, 0.25, 0.15])
    assert found.low <= found.mean <= found.high
    assert bootstrap([0.5] * 4).low == bootstrap([0.5] * 4).high == 0.5
    assert bootstrap([]).n == 0


@pytest.mark.parametrize(
    ("reached", "said"),
    [
        ([10], "10"),
        ([float("inf")], "never"),
        ([10, 40, 20], "20"),
        ([10, float("inf"), 30], "20 (never in 1 of 3)"),
    ],
)
def test_steps_taken_are_a_median_and_a_count(reached, said):
    assert steps_taken(reached) == said


def test_paired_differences_use_the_pairing():
    found = paired([1.1, 2.1, 3.1, 4.1, 5.1], [1.0, 2.0, 3.0, 4.0, 5.0])
    assert found.mean == pytest.approx(0.1)
    assert found.high - found.low < 1e-6


def test_differences_of_three_seeds_exclude_zero_by_chance_about_once_in_twenty():
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(150):
        found = paired(list(rng.normal(size=3)), [0.0] * 3)
        wrong += found.low > 0 or found.high < 0
    # P(more than 19 of 150 | p = 0.05) < 1e-4; the bootstrap alone would have about 44.
    assert wrong <= 19


def test_bootstrap_intervals_cover_the_truth_about_as_often_as_they_say():
    """300 samples of ten normal values: BCa at this size covers about 90 %; fewer than 84 % or all 300 covered
    would happen by chance less than once in 1,000 tries, and the seed is fixed."""
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(300):
        found = bootstrap(rng.normal(size=10))
        hits += found.low <= 0 <= found.high
    assert 0.84 * 300 <= hits < 300


@pytest.mark.parametrize(("n", "c", "k"), [(8, 0, 1), (8, 8, 8), (8, 3, 1), (8, 3, 4), (10, 1, 10), (200, 7, 64)])
def test_pass_at_k_equals_the_count_of_subsets(n, c, k):
    from math import comb

    assert pass_at_k([c], n, k) == pytest.approx(1 - comb(n - c, k) / comb(n, k))


def test_pass_at_k_needs_k_samples():
    with pytest.raises(ValueError, match="draw at least k"):
        pass_at_k([1], 4, 8)


def test_sparklines_show_recent_values_in_their_range():
    assert sparkline([0.0, 1.0]) == "▁█"
    assert len(sparkline([0.5] * 100)) == 24
    assert sparkline([-5, 5]) == "▁█"


def test_a_view_takes_in_every_kind_of_record():
    view = ArmView("MeRF", 10)
    view.take("step", {"step": 3, "reward": 1.0})
    view.take("evaluation", {"mode": "bare", "accuracy": 0.5})
    view.take("warning", {"text": "careful"})
    view.take("status", {"state": "done"})
    assert (view.done, view.evaluations["bare"], view.warnings, view.state) == (4, [0.5], ["careful"], "done")


def test_the_average_over_training_is_the_area_under_the_curve(tmp_path):
    values = {0: 0.0, 2: 0.4, 8: 0.8}
    lines = [json.dumps({"step": s, "mode": "bare", "accuracy": v}) for s, v in values.items()]
    (tmp_path / "evaluations.jsonl").write_text("\n".join(lines) + "\n")
    # (0 + 0.4) / 2 over two steps, (0.4 + 0.8) / 2 over six.
    assert RunRecord(tmp_path).average("bare", "accuracy") == pytest.approx((0.2 * 2 + 0.6 * 6) / 8)


def test_a_rounded_nothing_has_no_sign():
    assert str(bootstrap([-0.001])) == "0.00"
    assert "-0.00" not in str(bootstrap([-0.004, 0.003, -0.001]))


def test_of_many_arms_the_headline_names_the_largest_difference(arms):
    copies = [ArmRecord(f"copy {n}", arms[0].runs, arms[0].name) for n in range(2)]
    text = headline([*arms, *copies])
    assert text.startswith("4 arms.")
    assert f"{arms[1].name}, 0.21" in text
