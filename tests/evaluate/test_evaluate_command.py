"""`merf evaluate` on the lab's base, as people run it."""

from __future__ import annotations

import json

import pytest

from merf.cli import evaluate
from merf.cli.train import main as train

pytestmark = pytest.mark.slow
SMALL = ["--people", "2", "2", "--problems", "4", "--samples", "4"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    few = ["--evaluation.problems", "2", "--evaluation.samples", "1", "--evaluation.quick-problems", "1"]
    train(
        [
            "--people",
            "2",
            "2",
            "--steps",
            "2",
            "--problems",
            "2",
            "--group-size",
            "4",
            *few,
            "--out",
            str(folder),
            "--quiet",
        ]
    )
    return folder


def numbers(folder, name):
    assert "<script" in (folder / f"{name}.html").read_text()
    return json.loads((folder / f"{name}.json").read_text())


def test_limits_of_a_run_beside_the_base_it_started_from(run, tmp_path, capsys):
    evaluate.main(["limits", str(run), *SMALL, "--told", "--out", str(tmp_path)])
    found = numbers(tmp_path, "limits")
    assert set(found["base"]) == set(found["trained"]) == {"1", "2", "4"}
    assert found["perplexity"]["base"][2] >= 1
    assert found["command"].startswith(f"merf evaluate limits {run}")
    assert "Which problems" in capsys.readouterr().out


def test_a_model_beside_itself_is_the_same(tmp_path):
    evaluate.main(["limits", "lab:knights", "--base", "lab:knights", *SMALL, "--told", "--out", str(tmp_path)])
    found = numbers(tmp_path, "limits")
    assert all(one["mean"] == 0 for one in found["difference"].values())
    assert found["perplexity"]["base"] == found["perplexity"]["trained"]
    with pytest.raises(ValueError, match="name it with --base"):
        evaluate.main(["limits", "lab:knights"])


def test_judges(tmp_path, capsys):
    few = ["--problems", "3", "--set", "people=[2,2]", "--out", str(tmp_path)]
    evaluate.main(["judge", *few])
    assert numbers(tmp_path, "master-keys")["kappa"] == 1
    evaluate.main(["judge", "--model", "lab:knights", "--without-question", *few])
    assert numbers(tmp_path, "master-keys")["judge"] == "lab:knights without the question"
    assert "False positives by key" in capsys.readouterr().out


def test_confidence_read_and_stated(tmp_path):
    evaluate.main(["confidence", "lab:knights", "--how", "read", *SMALL, "--told", "--out", str(tmp_path)])
    found = numbers(tmp_path, "confidence")
    assert found["stated"] > 0.9
    assert 0 <= found["ece"]["mean"] <= 1
    evaluate.main(["confidence", "lab:knights", *SMALL, "--out", str(tmp_path)])
    assert numbers(tmp_path, "confidence")["stated"] == 0  # it has never seen the tag
