"""What people get wrong: one clear line that says what to do next, before a model is loaded wherever possible."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from merf import cli
from merf.tasks import extras
from merf.train.options import from_dict
from merf.train.teachable import EARLY, Teachable

Refused = Callable[..., str]


@pytest.fixture
def refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], saved_models: dict[str, Path]
) -> Refused:
    """Runs `merf train`, which must end with exit code 1 and without a run folder; returns what it said."""

    def run(*arguments: str) -> str:
        model = () if "--model" in arguments else ("--model", str(saved_models["qwen2"]))
        quick = ("--steps", "2", "--problems", "2", "--max-tokens", "8", "--quiet", "--out", str(tmp_path / "run"))
        monkeypatch.setattr("sys.argv", ["merf", "train", *arguments, *model, *quick])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        assert stopped.value.code == 1
        assert not (tmp_path / "run").exists()
        said = capsys.readouterr().err
        assert "Traceback" not in said
        return said

    return run


@pytest.fixture
def lines(tmp_path: Path) -> Callable[..., str]:
    """Writes a dataset of JSON lines; rows that are text go in as they are."""

    def write(*rows: Any) -> str:
        path = tmp_path / "rows.jsonl"
        path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
        return str(path)

    return write


def numbered(n: int, **more: Any) -> list[dict[str, Any]]:
    return [{"question": f"What is {i} plus 1?", "answer": str(i + 1), **more} for i in range(n)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "/nowhere/model"), "neither a local folder nor a model that can be fetched"),
        (("--model", "lab:nothing"), "there is no lab base 'nothing'"),
        (("--task", "cuontdown"), "there is no task 'cuontdown'; did you mean 'countdown'?"),
        (("--task", "rg:chainsum"), "did you mean 'chain_sum'?"),
        (("--task", "countdown", "--set", "numbrs=[3, 3]"), "has no option 'numbrs'; did you mean 'numbers'?"),
        (("--task", "countdown", "--set", "numbers=[1, 9]"), "between 2 and 8"),
        (("--task", "countdown", "--set", "numbers"), "--set numbers: expected OPTION=VALUE"),
        (("--task", "countdown", "--data", "x.jsonl"), "there is no file"),
        (("--task", "rg:maze", "--data", "x.jsonl"), "leave --task out"),
        (("--task", "gsm8k"), "needs data"),
        (("--group-size", "1"), "a group needs at least 2"),
        (("--rulebook", "nowhere.toml"), "nowhere.toml"),
    ],
)
def test_what_doesnt_exist_is_named_with_the_nearest(
    arguments: tuple[str, ...], message: str, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert message in refused(*arguments)


def test_columns_that_are_missing_are_named_with_the_nearest(refused: Refused, lines: Any) -> None:
    said = refused("--data", lines(*({"questoin": "a", "reply": "b"} for _ in range(3))))
    assert "no column looks like the prompt" in said
    assert "the columns are questoin, reply; is it 'questoin'?" in said
    said = refused("--data", lines(*numbered(9)), "--prompt-column", "quest", "--answer-column", "answer")
    assert "the data has no column 'quest' for prompt; did you mean 'question'?" in said


@pytest.mark.parametrize("rows", [(), ("", " ")])
def test_an_empty_dataset(rows: tuple[str, ...], refused: Refused, lines: Any) -> None:
    assert "rows.jsonl has no rows" in refused("--data", lines(*rows))


def test_a_dataset_too_small_to_hold_anything_out(refused: Refused, lines: Any) -> None:
    said = refused("--data", lines(*numbered(20)), "--set", "holdout=0.0")
    assert "has no problems to evaluate on" in said
    assert "--set holdout=0.3" in said


def test_more_than_one_percent_of_corrupt_lines(refused: Refused, lines: Any) -> None:
    rows = [*numbered(50), "{not json", *numbered(100)[50:]]
    said = refused("--data", lines(*rows, '{"question": "no answer"}'))
    assert "2 of 102 rows can't be used (2.0%, above 1.0%)" in said
    assert "rows.jsonl line 51: not JSON" in said
    assert "line 102: no answer" in said


def test_answers_that_the_verifier_cant_read(refused: Refused, lines: Any) -> None:
    rows = [{"question": f"Who is who on island {i}?", "answer": r"\frac{"} for i in range(20)]
    said = refused("--data", lines(*rows), "--verifier", "math")
    assert "the verifier 'math' can't judge 20 of 20 answers" in said
    assert "line 1: " in said


def test_a_prompt_longer_than_the_context_is_named(refused: Refused, lines: Any) -> None:
    rows = numbered(40)
    rows[16]["question"] += " Think it over." * 2000
    said = refused("--data", lines(*rows), "--steps", "40")
    assert "/17: the longest prompt has" in said
    assert "the model's context holds 2048" in said


def test_a_rulebook_whose_rules_pay_everybody_alike(refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "book.toml"
    path.write_text('part = [{ rule = "Correct", right = 1.0, wrong = 1.0, unreadable = 1.0 }]')
    assert "would pay every response 1, so it can't tell any two apart" in refused("--rulebook", str(path))


def test_a_missing_extra_is_named(refused: Refused, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    assert "pip install 'merf[sql]'" in refused("--task", "sql")
    (tmp_path / "rows.parquet").write_bytes(b"PAR1")
    assert "pip install 'merf[data]'" in refused("--data", str(tmp_path / "rows.parquet"))


def test_an_option_that_doesnt_exist_in_a_run_file(refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("[evaluation]\nevry = 3\n")
    assert "unknown option evaluation.evry; did you mean evaluation.every?" in refused("--config", str(path))


def test_a_value_of_the_wrong_kind_in_a_run_file() -> None:
    for wrong, message in (
        ({"steps": "many"}, "steps = 'many': expected a whole number"),
        ({"steps": 2.5}, "expected a whole number"),
        ({"people": 3}, "people = 3: expected a list"),
        ({"evaluation": 7}, "evaluation = 7: expected a table"),
        ({"evaluation": {"every": None}}, "evaluation.every = None: expected a whole number"),
        ({"task": 7}, "task = 7: expected a text"),
        ({"objective": {"scale": "groups"}}, "objective.scale = 'groups': expected one of group, batch, none"),
        ({"task_options": [1]}, "task_options = [1]: expected a table"),
        ({"trust_remote_code": "no"}, "expected true or false"),
    ):
        with pytest.raises(ValueError, match="expected") as caught:
            from_dict(wrong)
        assert message in str(caught.value)
    assert from_dict({"temperature": 1, "people": [3, 4], "optimizer": {"betas": [0.9, 1]}}).temperature == 1


def records_of(warner: Teachable) -> list[str]:
    told: list[str] = []
    warner.watch = lambda kind, record: told.append(record["text"]) if kind == "warning" else None
    return told


def evaluation(mode: str, accuracy: float, **more: float) -> dict[str, Any]:
    rates = {"accuracy": accuracy, "formatted": 0.5, "lenient": 0.25, "cut_off": 0.125}
    return {"step": 0, "mode": mode, **rates, **more}


def test_problems_that_are_all_too_hard_are_warned_of_with_the_rates() -> None:
    warner = Teachable(lambda kind, record: None, responses=480)
    told = records_of(warner)
    levels = {"accuracy/3": 0.0, "accuracy/4": 0.0}
    warner("evaluation", evaluation("bare", 0.0, **levels))
    assert told == []
    warner("evaluation", evaluation("told", 0.0, **levels))
    assert len(told) == 1
    assert "none of 480 responses to the held-out problems was right" in told[0]
    assert (
        "layout kept in 50.0%; right if the layout is overlooked in 25.0%; cut off at the length limit in 12.5%"
        in (told[0])
    )
    assert "right by difficulty 3: 0.0%, 4: 0.0%" in told[0]


def test_problems_that_are_all_too_easy_are_warned_of_with_the_rates() -> None:
    warner = Teachable(lambda kind, record: None, responses=80)
    told = records_of(warner)
    warner("evaluation", evaluation("bare", 0.9925))
    warner("evaluation", evaluation("told", 1.0))
    assert "99.2% of 80 responses to the held-out problems were right already" in told[0]


def test_problems_that_are_sometimes_solved_are_not_warned_of() -> None:
    warner = Teachable(lambda kind, record: None, responses=80)
    told = records_of(warner)
    warner("evaluation", evaluation("bare", 0.0))
    warner("evaluation", evaluation("told", 0.01))
    # Later evaluations are what training made of it.
    warner("evaluation", {**evaluation("bare", 1.0), "step": 20})
    warner("evaluation", {**evaluation("told", 1.0), "step": 20})
    assert told == []


@pytest.mark.parametrize(("live", "warned"), [(0.0, True), (0.25, False)])
def test_groups_whose_members_are_all_paid_alike_are_warned_of_once(live: float, warned: bool) -> None:
    warner = Teachable(lambda kind, record: None, responses=80)
    told = records_of(warner)
    for step in range(EARLY + 3):
        parts = {"rewards/correctness/mean": -2.0, "rewards/format/mean": -1.0}
        warner("step", {"step": step, "live_groups": live if step == 2 else 0.0, "correct": 0.125, **parts})
    assert len(told) == warned
    if warned:
        assert f"in the first {EARLY} steps all members of every group were paid alike" in told[0]
        assert "12.5% of the answers right; paid on average: correctness -2.00, format -1.00" in told[0]


def test_the_warnings_of_a_real_run_reach_the_terminal(
    saved_models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: Any
) -> None:
    """A random model solves nothing; 1 of 120 answers of the data is no number."""
    from merf.cli.train import main

    rows = [*numbered(120), {"question": "And this?", "answer": r"\frac{"}]
    quick = ["--steps", str(EARLY), "--problems", "2", "--group-size", "2", "--max-tokens", "4", "--quiet"]
    quick += ["--evaluation.every", "99", "--evaluation.problems", "2", "--evaluation.samples", "2"]
    data = ["--data", lines(*rows), "--verifier", "math"]
    main([*data, *quick, "--model", str(saved_models["llama"]), "--out", str(tmp_path / "run")])
    said = capsys.readouterr().err
    assert "can't judge 1 of 121 answers checked, which are left out: line 121: " in said
    assert "none of 4 responses to the held-out problems was right" in said
    assert f"in the first {EARLY} steps all members of every group were paid alike" in said
    assert len(said.strip().splitlines()) == 3
