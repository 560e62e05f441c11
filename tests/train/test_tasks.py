"""Short trainings on tasks other than the lab's, through the command line."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from merf.cli.train import Command, main, settle, slug
from merf.core.toml import read_toml
from merf.lab.worlds import task_for
from merf.lab.worlds.knights import CAST
from merf.tasks.answers import ANSWERS
from merf.train import records
from merf.train.build import build_recipe, build_task, evaluation_plan, longest_problems
from merf.train.options import EvaluationOptions, TrainOptions, from_dict, task_name, to_dict

Train = Callable[..., Path]


@pytest.fixture(params=["qwen2", "llama"])
def model(request: pytest.FixtureRequest, saved_models: dict[str, Path]) -> Path:
    return saved_models[request.param]


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """A run listens to signals; the tests after it should not."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def train(saved_models: dict[str, Path], tmp_path: Path) -> Train:
    """Runs `merf train` for two steps, in this process; returns the run's folder."""

    def run(*arguments: str, model: Path = saved_models["qwen2"], out: str = "run") -> Path:
        quick = ["--steps", "2", "--problems", "2", "--group-size", "2", "--max-tokens", "8", "--quiet"]
        quick += ["--evaluation.problems", "2", "--evaluation.samples", "1", "--evaluation.quick-samples", "1"]
        main([*arguments, *quick, "--model", str(model), "--out", str(tmp_path / out)])
        return tmp_path / out

    return run


def finished(folder: Path) -> list[dict[str, Any]]:
    """The training samples of a run that came to its end."""
    assert json.loads((folder / "status.json").read_text())["state"] == "done"
    assert [step["step"] for step in records.read(folder / "metrics.jsonl")] == [0, 1]
    modes = [(e["step"], e["mode"]) for e in records.read(folder / "evaluations.jsonl")]
    assert modes == [(0, "bare"), (0, "told"), (2, "bare"), (2, "told")]
    return [s for s in records.read(folder / "samples.jsonl") if s["where"] == "training"]


@pytest.mark.parametrize("task", ["rg:countdown", "countdown", "code"])
def test_a_task_by_its_name(task: str, model: Path, train: Train) -> None:
    samples = finished(train("--task", task, model=model))
    assert all(sample["problem"].startswith(f"{task}/train/0/") for sample in samples)
    assert "<think>" in samples[0]["prompt"][0]["content"]


@pytest.mark.parametrize("task", ["knights-knaves", "sql", "rg:chain_sum", "search-qa", "twenty-questions", "maze"])
def test_other_tasks_train_as_well(task: str, train: Train) -> None:
    finished(train("--task", task))


@pytest.fixture
def sums(tmp_path: Path) -> Path:
    path = tmp_path / "sums.jsonl"
    rows = [{"query": f"What is {n} + 1?", "sum": str(n + 1), "level": n % 3} for n in range(60)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_the_users_own_data(model: Path, sums: Path, train: Train) -> None:
    columns = ("--prompt-column", "query", "--answer-column", "sum", "--verifier", "math")
    folder = train("--data", str(sums), *columns, "--set", "layout=boxed", "holdout=0.2", model=model)
    samples = finished(folder)
    assert "\\boxed{}" in samples[0]["prompt"][0]["content"]
    assert samples[0]["prompt"][1]["content"].startswith("What is ")
    # The rulebook speaks of the layout that is asked for.
    assert "\\boxed{...}" in (folder / "motivation.txt").read_text()
    asked = {s["problem"] for s in records.read(folder / "samples.jsonl") if s["where"].startswith("evaluation")}
    assert asked
    assert all("/test/" in problem for problem in asked)


def test_data_judged_as_a_task_or_a_verifier_judges(sums: Path) -> None:
    names = {"prompt": "query", "answer": "sum"}
    for task, verifier in (("gsm8k", "math"), ("exact", "exact"), ("math", "math")):
        built = build_task(TrainOptions(task=task, data=str(sums), task_options=names))
        assert built.answers is ANSWERS[verifier]
    with pytest.raises(ValueError, match=r"--task rg:sudoku and --data can't go together.*exact, math, choice"):
        build_task(TrainOptions(task="rg:sudoku", data=str(sums)))


def test_a_run_on_data_is_taken_up_from_another_working_directory(
    sums: Path, train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = train("--task", "data:sums.jsonl", "--prompt-column", "query", "--answer-column", "sum")
    assert read_toml(folder / "config.toml")["data"] == str(sums)
    whole = list(records.read(folder / "metrics.jsonl"))
    # Back to the state before the first step.
    for checkpoint in (folder / "checkpoints").iterdir():
        checkpoint.rename(tmp_path / checkpoint.name)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    main(["--resume", str(folder), "--quiet"])
    again = list(records.read(folder / "metrics.jsonl"))
    assert [step["reward"] for step in again] == [step["reward"] for step in whole]
    assert [step["loss"] for step in again] == [step["loss"] for step in whole]


def test_a_rulebook_from_a_file(train: Train, tmp_path: Path) -> None:
    from merf import Concise, Correct, Rulebook

    path = tmp_path / "book.toml"
    Rulebook(Correct(right=7.0), Concise()).save(path)
    folder = train("--task", "countdown", "--rulebook", str(path))
    assert "7" in (folder / "motivation.txt").read_text()
    assert set(next(records.read(folder / "samples.jsonl"))["scores"]) == {"correctness", "length"}


def test_a_run_file_round_trips() -> None:
    import tomli_w

    from merf.core.toml import parse_toml

    options = TrainOptions(
        task="countdown",
        task_options={"numbers": (3, 4), "operations": "+-", "layout": "boxed"},
        evaluation=EvaluationOptions(problems=7),
        rulebook="book.toml",
    )
    written = tomli_w.dumps(to_dict(options))
    assert "[task_options]\nnumbers = [" in written
    back = from_dict(parse_toml(written, "here"))
    assert to_dict(back) == to_dict(options) | {"task_options": {**options.task_options, "numbers": [3, 4]}}
    assert build_task(back) == build_task(options)
    assert from_dict(parse_toml(tomli_w.dumps(to_dict(TrainOptions())), "here")) == TrainOptions()


def test_flags_about_the_task_are_laid_over_a_run_file(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('task = "countdown"\nsteps = 3\n[task_options]\nnumbers = [3, 3]\nlargest = 20\n')
    options, folder = settle(Command(config=path, set=("numbers=[4, 5]",)))
    assert options.steps == 3
    assert options.task_options == {"numbers": (4, 5), "largest": 20}
    assert folder == Path("runs/countdown-seed-0")
    assert build_task(options).numbers == (4, 5)
    assert read_toml(path)["task_options"]["largest"] == 20


def test_the_lab_options_still_mean_knights_and_knaves() -> None:
    lab = task_for(TrainOptions(people=(2, 2)))
    assert (lab.name, lab.people, lab.names) == ("knights-knaves", (2, 2), CAST)
    assert task_for(TrainOptions(model="some/model")).names != CAST
    assert task_for(TrainOptions(task_options={"people": [4, 5]})).people == (4, 5)
    assert task_name(TrainOptions()) == "knights-knaves"


def test_run_folders_are_named_after_the_task_or_the_file() -> None:
    assert slug(TrainOptions(task="rg:chain_sum")) == "rg-chain_sum"
    assert slug(TrainOptions(data="/far/away/my sums.jsonl")) == "my-sums"
    assert slug(TrainOptions(task="data:../x/y.csv")) == "data-..-x-y.csv"


def test_the_rulebook_and_the_evaluation_follow_the_task(sums: Path) -> None:
    options = TrainOptions(data=str(sums), task_options={"prompt": "query", "answer": "sum", "layout": "final-line"})
    task = build_task(options)
    recipe = build_recipe(options, task)
    assert "####" in recipe.rulebook.describe()
    held = {problem.id for problem in evaluation_plan(options, recipe).problems}
    drawn = {problem.id for problem in longest_problems(options, task)}
    assert held == {problem.id for problem in task.problems("test")}
    assert drawn <= {problem.id for problem in task.problems("train")}
