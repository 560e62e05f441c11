"""The command line, as a newcomer meets it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from merf import cli
from merf.cli import COMMANDS


def merf(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "merf", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )


def test_importing_merf_imports_no_torch():
    code = "import merf, sys; assert not {'torch', 'transformers', 'reasoning_gym'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_scoring_and_describing_import_no_torch():
    code = (
        "import sys; from merf import *; from merf.tasks.knights_knaves import KnightsKnaves; "
        "task = KnightsKnaves(); problem = next(task.problems()); "
        "response = Response(problem, task.layout.render('so', problem.meta['solution']), verify=task.verify); "
        "book = Rulebook(Correct(), Format()); "
        "assert book.score(Responses.of([response])).total[0] == 3; book.describe(); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_help_lists_every_command_and_loads_nothing_heavy():
    code = (
        "import sys; sys.argv = ['merf', '--help']; from merf.cli import main; main(); "
        "assert not {'torch', 'numpy', 'tyro', 'rich'} & set(sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert all(name in shown for name in COMMANDS)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_explains_itself(name):
    shown = merf(name, "--help")
    assert shown.returncode == 0, shown.stderr
    assert "usage" in shown.stdout.lower()
    assert "Traceback" not in shown.stderr


def test_a_mistyped_command_is_answered_with_the_nearest(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["merf", "trian"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 2
    assert "Did you mean `merf train`?" in capsys.readouterr().err


@pytest.fixture
def quick(saved_models):
    return [
        *("--model", str(saved_models["qwen2"]), "--people", "2", "2", "--steps", "2", "--problems", "2"),
        *("--group-size", "2", "--max-tokens", "8", "--evaluation.problems", "2", "--evaluation.samples", "1"),
        "--quiet",
    ]


def test_train_writes_a_run_folder_and_says_where(quick, tmp_path):
    done = merf("train", *quick, "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"config.toml", "environment.toml", "metrics.jsonl", "evaluations.jsonl", "samples.jsonl"} <= names
    assert json.loads((tmp_path / "run/status.json").read_text())["state"] == "done"
    assert 'variant = "truth"' in (tmp_path / "run/config.toml").read_text()


def test_resume_continues_with_the_options_of_the_run(quick, tmp_path):
    first = merf("train", *quick, "--out", str(tmp_path / "run"))
    assert first.returncode == 0, first.stderr
    again = merf("train", "--resume", str(tmp_path / "run"), "--quiet")
    assert again.returncode == 0, again.stderr
    assert len((tmp_path / "run/metrics.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "--model", "/nowhere/model", "--quiet"), "neither a local folder nor a model"),
        (("train", "--model", "lab:none", "--quiet"), "there is no lab base 'none'"),
        (("train", "--task", "chess", "--quiet"), "there is no task 'chess'"),
        (("train", "--resume", "/nowhere"), "is not a run folder"),
        (("compare", "nothing"), "there is no experiment 'nothing'"),
        (("lab", "build", "nothing"), "there is no base 'nothing'"),
    ],
)
def test_bad_input_gets_one_clear_line(arguments, message, tmp_path, saved_models):
    done = subprocess.run(
        [sys.executable, "-m", "merf", *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_group_size_one_is_refused_before_the_model_is_loaded(tmp_path, saved_models):
    done = merf(
        "train", "--model", str(saved_models["llama"]), "--group-size", "1", "--out", str(tmp_path / "r"), "--quiet"
    )
    assert done.returncode == 1
    assert "a group needs at least 2" in done.stderr
