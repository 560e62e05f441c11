"""Experiments: what their files say, and that they can be stopped and started."""

from __future__ import annotations

import json
import shlex
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import tyro

from merf.cli.compare import Command, as_typed
from merf.evaluate.statistics import bootstrap
from merf.lab.experiment import SHIPPED, Arm, Experiment, jobs_of, merged, run, seeds_in
from merf.report.page import write_report
from merf.report.published import Publication, verdict
from merf.report.runs import ArmRecord, RunRecord, baseline_of, table

SMALL = """
title = "Small"
[options]
model = "{model}"
people = [2, 2]
steps = 2
problems = 1
group_size = 2
max_tokens = 6
[options.evaluation]
problems = 2
samples = 2
quick_problems = 1
quick_samples = 1
[[arms]]
name = "RLVR"
motivation.variant = "none"
[[arms]]
name = "MeRF, half"
motivation.exposure = "half"
"""


@pytest.fixture
def experiment(tmp_path, saved_models):
    path = tmp_path / "small.toml"
    path.write_text(SMALL.format(model=saved_models["llama"]))
    return Experiment.load(path)


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.toml")), ids=lambda p: p.stem)
def test_shipped_experiments_name_only_options_that_exist(path):
    found = Experiment.load(path)
    assert len(found.arms) >= 2
    assert len({arm.slug for arm in found.arms}) == len(found.arms)


def test_arms_are_laid_over_the_shared_options(experiment):
    options = experiment.options(experiment.arms[1], seed=7)
    assert (options.steps, options.seed, options.motivation.exposure) == (2, 7, "half")
    assert experiment.options(experiment.arms[0], 0).motivation.variant == "none"


def test_merging_goes_table_by_table_and_changes_nothing_below():
    below = {"a": {"x": 1, "y": 2}, "b": 3}
    assert merged(below, {"a": {"y": 5}, "c": 6}) == {"a": {"x": 1, "y": 5}, "b": 3, "c": 6}
    assert below == {"a": {"x": 1, "y": 2}, "b": 3}


def test_slugs_are_safe_folder_names():
    assert Arm("MeRF, always / on (β=0)", {}).slug == "merf-always-on-0"


def test_an_unknown_option_is_refused_with_the_nearest_name(tmp_path):
    path = tmp_path / "typo.toml"
    path.write_text('[options]\nstepps = 3\n[[arms]]\nname = "a"\n')
    with pytest.raises(ValueError, match="unknown option stepps; did you mean steps"):
        Experiment.load(path)


def test_invalid_toml_names_the_file_and_the_line(tmp_path):
    path = tmp_path / "broken.toml"
    path.write_text("title = \n")
    with pytest.raises(ValueError, match=r"broken.toml is not valid TOML: .*line 1"):
        Experiment.load(path)


def test_an_experiment_without_arms_is_refused(tmp_path):
    path = tmp_path / "empty.toml"
    path.write_text('title = "x"\n')
    with pytest.raises(ValueError, match="no arms"):
        Experiment.load(path)


def test_unknown_arms_are_refused_with_the_known_ones(experiment):
    with pytest.raises(ValueError, match="this experiment has RLVR, MeRF, half"):
        experiment.only(["PPO"])


@pytest.mark.parametrize(
    ("change", "done"),
    [
        (lambda text: text, True),
        (lambda text: text.replace("static_decoding = false\n", ""), True),  # begun before there was such an option
        (lambda text: text.replace("seed = 0", "seed = 7"), False),
        (lambda text: text + "\n[forgotten]\noption = 1\n", False),
    ],
)
def test_a_run_is_done_where_its_options_are_the_wanted_ones(experiment, tmp_path, change, done):
    job = jobs_of(experiment, [0], tmp_path)[0]
    job.folder.mkdir(parents=True)
    (job.folder / "status.json").write_text('{"state": "done"}')
    assert "static_decoding = false\n" in job.config
    assert "seed = 0" in job.config
    (job.folder / "config.toml").write_text(change(job.config))
    assert job.done == done


def test_seeds_are_those_of_run_folders_alone(tmp_path):
    for name in ("a/seed-3", "a/seed-3.old-17", "b/seed-0", "b/notes", "a/seed-x"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "report.html").touch()
    assert seeds_in(tmp_path) == [0, 3]


@pytest.mark.slow
def test_an_experiment_runs_keeps_what_is_done_and_is_reported(experiment, tmp_path):
    folder = tmp_path / "runs"
    jobs = jobs_of(experiment, [0], folder)
    ticks = []
    assert run(jobs, 2, lambda running, waiting: ticks.append(len(running))) == []
    assert all(job.done for job in jobs)
    assert max(ticks) == 2
    stamp = (jobs[0].folder / "metrics.jsonl").stat().st_mtime_ns
    assert run(jobs, 2, lambda running, waiting: None) == []
    assert (jobs[0].folder / "metrics.jsonl").stat().st_mtime_ns == stamp

    arms = [ArmRecord(arm.name, [RunRecord(j.folder) for j in jobs if j.arm == arm]) for arm in experiment.arms]
    _, rows = table(arms)
    assert [row[0] for row in rows] == ["RLVR", "MeRF, half"]
    write_report(tmp_path / "report.html", experiment.title, "", arms)
    assert "MeRF, half" in (tmp_path / "report.html").read_text()


@pytest.mark.slow
def test_a_run_that_fails_is_named_and_its_reason_kept(experiment, tmp_path):
    jobs = jobs_of(experiment.only(["RLVR"]), [0], tmp_path / "runs")
    folder = jobs[0].folder / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "step-1").write_text("in the way")  # a file where a checkpoint folder should be
    broken = jobs[0].__class__(jobs[0].arm, 0, jobs[0].options.__class__(model="/nowhere"), jobs[0].folder)
    assert run([broken], 1) == [broken]
    assert "neither a local folder" in (broken.folder / "log.txt").read_text()
    assert json.dumps(broken.status)


def test_an_arm_is_compared_with_the_arm_it_names(tmp_path):
    def arm(name, against, *accuracies):
        runs = []
        for seed, value in enumerate(accuracies):
            folder = tmp_path / name / f"seed-{seed}"
            folder.mkdir(parents=True)
            record = {"step": 4, "mode": "bare", "full": True, "accuracy": value, "pass@1": value}
            (folder / "evaluations.jsonl").write_text(json.dumps(record) + "\n")
            runs.append(RunRecord(folder))
        return ArmRecord(name, runs, against)

    arms = [
        arm("a", "", 0.1, 0.2, 0.3),
        arm("b", "b", 0.5, 0.5, 0.5),
        arm("c", "b", 0.65, 0.7, 0.75),
        arm("d", "", 0.1, 0.2, 0.3),
    ]
    assert [(baseline_of(one, arms) or one).name for one in arms] == ["a", "b", "b", "a"]
    gain = arms[2].difference(arms[1], "bare", "accuracy")
    assert gain.mean == pytest.approx(0.2)
    assert gain.low > 0
    assert verdict(gain).startswith("higher")
    assert verdict(arms[3].difference(arms[0], "bare", "accuracy")).startswith("no difference shown")
    assert verdict(bootstrap([0.3, 0.4])).endswith("(too few seeds for an interval)")


def test_arms_against_unknown_arms_are_refused(tmp_path, saved_models):
    path = tmp_path / "small.toml"
    path.write_text(SMALL.format(model=saved_models["llama"]) + 'against = "RLHF"\n')
    with pytest.raises(ValueError, match="against 'RLHF', which is not an arm"):
        Experiment.load(path)


def test_results_are_published_as_page_picture_and_numbers(experiment, tmp_path):
    jobs = jobs_of(experiment, [0, 1], tmp_path / "runs")
    assert run(jobs, at_once=1, pause=0.05) == []
    arms = [ArmRecord(a.name, [RunRecord(j.folder) for j in jobs if j.arm == a], a.against) for a in experiment.arms]
    out = tmp_path / "results"
    card = {
        "samples": 7,
        "told": {"none": {"works": 0.005}, "truth": {"works": 0.81}},
        "accuracy": {"work": {"2": 0.75}, "guess": {"2": 0.24}},
    }
    Publication("small", experiment.title, "Is it?", "merf compare small", arms, {"lab:x": card}).write(out)
    page = (out / "small.md").read_text()
    assert "| `lab:x` | 0.5 % | 81 % | 0.75 | 0.24 |" in page
    assert "merf compare small" in page
    assert "**MeRF, half** against RLVR, asked with it" in page
    assert ET.parse(out / "small.svg").getroot().tag.endswith("svg")
    numbers = json.loads((out / "small.json").read_text())
    for stored, arm in zip(numbers["arms"], arms, strict=True):
        for kept, one in zip(stored["runs"], arm.runs, strict=True):
            last = [e for e in kept["evaluations"] if e["mode"] == "bare"][-1]
            assert last["accuracy"] == pytest.approx(one.final("bare", "accuracy"), abs=1e-4)
            assert kept["options"]["seed"] == kept["seed"]
            assert kept["environment"]["packages"]["torch"]


def test_the_command_under_published_results_makes_them_again():
    asked = Command("rarity", 20, 5, 2, ("5 %: RLVR", "5 %: MeRF"), None, Path("docs/results"), "more")
    assert tyro.cli(Command, args=[*shlex.split(as_typed(asked))[2:], "--jobs", "2"]) == asked
