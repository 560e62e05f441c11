"""Claims: which runs they need, and what their numbers allow to say."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from merf.cli.claims import made_by
from merf.cli.methods import main as methods_command
from merf.evaluate.statistics import Interval
from merf.lab.claims import (
    as_numbers,
    base_of,
    cases_of,
    experiment_of,
    measure,
    seeds_needed,
    value,
    verdict,
    within,
    worlds_of,
)
from merf.methods.registry import Claim, Method, load_all, measured
from merf.report.forest import write_findings, write_page
from merf.report.runs import ArmRecord, RunRecord
from merf.train.options import to_dict


def claim(expect=">", margin=0.0, control="", metric="accuracy", by_work=True):
    return Claim("it helps", "knights", ("base", "better"), metric, expect, margin, control, by_work)


def case(**how):
    method = Method("m", "0000.00000", frozenset({"credit"}), lambda recipe: recipe, (claim(**how),))
    return cases_of([method])[0]


@pytest.fixture
def runs(tmp_path):
    """Make runs by arm: three tokens-and-accuracy evaluations per seed."""

    def make(**arms):
        out = {}
        for arm, finals in arms.items():
            out[arm] = {}
            for seed, final in enumerate(finals):
                folder = tmp_path / arm / f"seed-{seed}"
                folder.mkdir(parents=True)
                rate = 100 if arm == "base" else 200  # tokens per step
                steps = [{"step": step, "num_tokens": rate * (step + 1)} for step in range(4)]
                (folder / "metrics.jsonl").write_text("".join(json.dumps(s) + "\n" for s in steps))
                told = [
                    {"step": step, "mode": mode, "full": step in (0, 4), "accuracy": final * step / 4, "tokens": 50.0}
                    for step in (0, 2, 4)
                    for mode in ("bare", "told")
                ]
                (folder / "evaluations.jsonl").write_text("".join(json.dumps(e) + "\n" for e in told))
                out[arm][seed] = RunRecord(folder)
        return out

    return make


def test_an_arm_that_claims_share_is_trained_once():
    cases = cases_of(load_all().values())
    experiment = experiment_of("knights", cases)
    names = [arm.name for arm in experiment.arms]
    assert len(names) == len(set(names)) < sum(len(one.arms) for one in cases)
    assert len({arm.slug for arm in experiment.arms}) == len(names)
    for arm in experiment.arms:
        options = experiment.options(arm, 3)
        assert (options.methods, options.model, options.seed) == ((arm.name,), "lab:knights", 3)
        assert to_dict(options)["methods"] == [arm.name]


def test_every_claim_names_arms_that_compose_in_a_known_world():
    from merf.lab.build import BASES
    from merf.lab.mixture import mixtures
    from merf.lab.worlds import task_for
    from merf.train.build import build_recipe

    cases = cases_of(load_all().values())
    for world in worlds_of(cases):
        experiment = experiment_of(world, cases)
        assert base_of(experiment).removeprefix("lab:") in BASES.keys() | mixtures().keys()
        for arm in experiment.arms:
            options = experiment.options(arm, 0)
            build_recipe(options, task_for(options))


def test_a_world_can_be_a_shipped_experiment_and_its_arms():
    cases = cases_of([load_all()["merf"]])
    experiment = experiment_of("merf-kk", cases)
    assert "none (RLVR)" in [arm.name for arm in experiment.arms]
    assert experiment.shared["model"] == "lab:knights-0"
    assert all(not experiment.options(arm, 0).methods for arm in experiment.arms)


@pytest.mark.parametrize(
    ("low", "high", "expect", "margin", "outcome"),
    [
        (0.01, 0.2, ">", 0.0, "reproduced"),
        (-0.2, -0.01, ">", 0.0, "contradicted"),
        (-0.1, 0.2, ">", 0.0, "inconclusive"),
        (-0.2, -0.01, "<", 0.0, "reproduced"),
        (0.01, 0.2, "<", 0.0, "contradicted"),
        (-0.04, 0.04, "=", 0.05, "reproduced"),
        (-0.04, 0.08, "=", 0.05, "inconclusive"),
        (0.06, 0.08, "=", 0.05, "contradicted"),
        (float("nan"), float("nan"), ">", 0.0, "not measured"),
    ],
)
def test_verdicts_follow_from_where_the_interval_lies(low, high, expect, margin, outcome):
    found = Interval((low + high) / 2, low, high, 5)
    assert verdict(found, claim(expect, margin))[0] == outcome


def test_the_seeds_needed_shrink_the_interval_to_the_effect():
    # Half-width 0.2 with 4 seeds, effect 0.1: twice as narrow takes four times the seeds.
    assert seeds_needed(Interval(0.1, -0.1, 0.3, 4), 0.1) == "about 16 seeds would decide"
    assert seeds_needed(Interval(0.001, -0.1, 0.1, 4), 0.001) == "an effect of this size is out of reach"


def test_a_claim_is_measured_on_the_seeds_that_all_arms_share(runs):
    found = measure(case(), runs(base=[0.4, 0.5, 0.6, 0.1], better=[0.6, 0.7, 0.8]), world_pays=0.5)
    assert found.outcome == "reproduced"
    assert found.seeds == (0, 1, 2)
    assert found.difference.mean == pytest.approx(0.2)


def test_at_equal_tokens_the_thriftier_arm_counts_more(runs):
    made = runs(base=[0.5, 0.5, 0.5], better=[0.6, 0.6, 0.6])
    one = made["better"][0]
    assert value(one, "accuracy") == value(one, "told:accuracy") == pytest.approx(0.6)
    # 400 tokens are two steps of the arm that spends 200 a step: half of its curve.
    assert within(one, "accuracy", 400) == pytest.approx(0.3)
    # Between two evaluations the metric lies between theirs, and is not the earlier one's.
    assert within(one, "accuracy", 500) == pytest.approx(0.375)
    found = measure(case(), made, 0.5)
    assert found.difference.mean == pytest.approx(0.1)
    assert found.at_equal_tokens.mean == pytest.approx(0.3 - 0.5)


def test_metrics_are_read_at_the_end_before_training_over_it_and_between_modes(runs):
    one = runs(base=[0.8])["base"][0]
    assert value(one, "start:accuracy") == 0.0
    assert value(one, "average:accuracy") == pytest.approx(0.4)
    assert value(one, "gap:accuracy") == 0.0
    assert value(one, "training:num_tokens") == 250
    assert value(one, "late:num_tokens") == 350
    with pytest.raises(ValueError, match="'end' is no way"):
        value(one, "end:accuracy")


def test_a_claim_about_one_arm_compares_it_with_zero(runs):
    alone = Claim("it ends near 0.5", "knights", ("base",), "accuracy", "=", 0.6)
    method = Method("m", "0000.00000", frozenset({"credit"}), lambda recipe: recipe, (alone,))
    found = measure(cases_of([method])[0], runs(base=[0.5, 0.5, 0.5]), 0.5)
    assert (found.outcome, found.difference.mean) == ("reproduced", pytest.approx(0.5))
    assert as_numbers(found)["at_equal_tokens"] is None


def test_before_training_seeds_do_not_count_as_repetitions(runs):
    made = runs(base=[0.5, 0.5, 0.5])
    for run in made["base"].values():
        for one, (share, error) in zip(run.evaluations[:2], ((0.3, 0.03), (0.6, 0.04)), strict=True):
            one |= {"accuracy": share, "standard_error": error}
    alone = Claim("nothing changes", "knights", ("base",), "start:gap:accuracy", "=", 0.05)
    method = Method("m", "0000.00000", frozenset({"credit"}), lambda recipe: recipe, (alone,))
    found = measure(cases_of([method])[0], made, 0.5).difference
    assert (found.low, found.mean, found.high) == pytest.approx((0.202, 0.3, 0.398))


def test_a_claim_that_was_written_down_after_a_look_is_judged_by_later_seeds(runs):
    made = runs(base=[0.1, 0.1, 0.4, 0.5, 0.6], better=[0.9, 0.9, 0.6, 0.7, 0.8])
    after_a_look = replace(claim(), from_seed=2)
    case = cases_of([Method("m", "", frozenset({"credit"}), lambda recipe: recipe, (after_a_look,))])[0]
    found = measure(case, made, 0.5)
    assert found.seeds == (2, 3, 4)
    assert found.difference.mean == pytest.approx(0.2)
    assert found.note == "seeds from 2, which nobody had seen when it was written down"
    too_few = measure(replace(case, claim=replace(after_a_look, from_seed=3)), made, 0.5)
    assert too_few.outcome == "not measured"


def test_no_verdict_where_the_behaviour_does_not_pay_and_none_from_two_seeds(runs):
    assert measure(case(), runs(base=[0.4, 0.5, 0.6], better=[0.6, 0.7, 0.8]), 0.1).outcome == "no verdict"
    assert measure(case(), {"base": {}, "better": {}}, 0.5).outcome == "not measured"


def test_what_does_not_come_about_by_work_has_a_verdict_where_work_does_not_pay(runs):
    made = runs(base=[0.4, 0.5, 0.6], better=[0.6, 0.7, 0.8])
    assert measure(case(by_work=False), made, 0.1).outcome == "reproduced"


def test_a_control_that_shows_the_effect_is_named(runs):
    made = runs(base=[0.4, 0.5, 0.6], better=[0.6, 0.7, 0.8], odd=[0.7, 0.8, 0.9])
    found = measure(case(control="odd"), made, 0.5)
    assert (found.outcome, found.note) == ("reproduced", "the control shows it too")


def test_findings_become_a_page_a_plot_and_numbers(runs, tmp_path):
    good = as_numbers(measure(case(), runs(base=[0.4, 0.5, 0.6], better=[0.6, 0.7, 0.8]), 0.5))
    missing = as_numbers(measure(case(expect="<"), {"base": {}, "better": {}}, 0.5))
    write_findings(tmp_path / "docs", [good, missing], {}, "merf claims run", "30 steps.")
    page = (tmp_path / "docs" / "claims.md").read_text()
    assert "+0.20 [+0.20, +0.20]" in page
    assert "reproduced" in page
    assert "not measured (0 of at least 3 seeds)" in page
    assert (tmp_path / "docs" / "claims.svg").read_text().count("<svg") == 1
    stored = json.loads((tmp_path / "docs" / "claims.json").read_text())["findings"]
    assert stored[0]["difference"] == [0.2, 0.2, 0.2]
    assert stored[0]["values"] == {"base": [0.4, 0.5, 0.6], "better": [0.6, 0.7, 0.8]}
    assert stored[1]["difference"] is None


def test_claims_have_a_page_that_opens_from_disk(runs, tmp_path):
    made = runs(base=[0.4, 0.5, 0.6], better=[0.6, 0.7, 0.8])
    found = as_numbers(measure(case(), made, 0.5)) | {"says": "better </script><b>than</b>"}
    arms = [ArmRecord(name, list(seeds.values())) for name, seeds in made.items()]
    write_page(tmp_path / "claims.html", [found], {found["claim"]: arms}, "merf claims report", "Runs of 4 steps.")
    page = (tmp_path / "claims.html").read_text()
    assert "better &lt;/script&gt;&lt;b&gt;than&lt;/b&gt;" in page
    assert "1 reproduced" in page
    assert "src=" not in page.split("</style>")[0]
    (figure,) = json.loads(page.split('id="figures">')[1].split("</script>")[0])
    means = {trace["name"]: trace["y"] for trace in figure["data"] if trace.get("showlegend")}
    assert set(means) == {"base", "better"}
    assert means["better"][-1] == pytest.approx(0.7)


def test_published_claims_come_with_the_commands_that_make_their_runs():
    def method(name, claims):
        return Method(name, "", frozenset({"credit"}), lambda recipe: recipe, (claim(),) * claims)

    cases = cases_of([method("a", 2), method("b", 1), method("c", 1)])
    seeds = {"a-1": [0, 1, 2], "a-2": [5, 6, 7], "b-1": [0, 1, 2, 3, 4], "c-1": [0]}
    outcome = {1: "not measured"}
    found = {name: {"seeds": one, "outcome": outcome.get(len(one), "reproduced")} for name, one in seeds.items()}
    assert made_by(cases, found) == [
        "merf claims run --seeds 3",
        "merf claims run a-2 b --seeds 5",
        "merf claims run a-2 --seeds 8",
    ]


def test_the_published_findings_are_of_the_claims_that_there_are():
    ours = [one for one in load_all().values() if one.apply.__module__.startswith("merf.methods.")]
    names = [name for one in ours for name in one.claim_names]
    assert sorted(measured()) == sorted(names)


def test_methods_are_listed_with_what_became_of_their_claims(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    found = measured()
    methods_command(["show", "ruscarl"])
    said = capsys.readouterr().out
    for name in ("ruscarl-1", "ruscarl-2"):
        mean, low, high = found[name]["difference"]
        numbers = f"{mean:+.2f} [{low:+.2f}, {high:+.2f}], {len(found[name]['seeds'])} seeds"
        assert f"{found[name]['outcome']}, {numbers}" in said
    methods_command([])
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("grpo-lambda ")]
    assert f"1 {found['grpo-lambda-1']['outcome']}" in row or f"2 {found['grpo-lambda-1']['outcome']}" in row
