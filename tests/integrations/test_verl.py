"""The files for verl by themselves; `test_verl_package.py` has verl's own classes read them."""

from __future__ import annotations

import runpy
import threading
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from merf import Brevity, Correct, Diversity, Format, Linear, Overlong, Plain, Rulebook, rule
from merf.integrations.rows import Rows, encode, solution_of
from merf.integrations.verl import ComputeScore
from merf.tasks import get
from tests.integrations.parity import Parity, book

KNIGHTS = Rulebook(Correct(right=2, wrong=-1.5, unreadable=-2), Format(good=1, bad=-1))


def rows_of(path: Path) -> list[dict[str, Any]]:
    from pyarrow import parquet

    rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return rows


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return KNIGHTS.for_verl(tmp_path_factory.mktemp("verl") / "kk", "knights-knaves", train=5, test=3, people=(2, 3))


def test_the_schema_and_the_motivation_in_the_prompt(files: Any) -> None:
    rows = rows_of(files.train)
    assert len(rows) == 5
    assert list(rows[0]) == ["data_source", "prompt", "ability", "reward_model", "extra_info"]
    task = get("knights-knaves", people=(2, 3))
    for i, (row, problem) in enumerate(zip(rows, task.problems("train", 0), strict=False)):
        system, user = row["prompt"]
        assert system == {"role": "system", "content": f"{task.instruction}\n{KNIGHTS.describe()}"}
        assert user == {"role": "user", "content": problem.prompt}
        assert row["reward_model"]["style"] == "rule"
        assert row["extra_info"] == {"split": "train", "index": i, "id": problem.id, "told": True}


def test_the_test_prompts_come_with_the_motivation_and_without(files: Any) -> None:
    told, bare = rows_of(files.test), rows_of(files.bare)
    assert [row["data_source"] for row in (told[0], bare[0])] == ["knights-knaves", "knights-knaves-bare"]
    assert [row["prompt"][1] for row in told] == [row["prompt"][1] for row in bare]
    assert KNIGHTS.describe() in told[0]["prompt"][0]["content"]
    assert bare[0]["prompt"][0]["content"] == get("knights-knaves").instruction
    assert {row["extra_info"]["split"] for row in told + bare} == {"test"}


def test_the_written_function_pays_every_row(files: Any) -> None:
    compute_score = runpy.run_path(str(files.reward))["compute_score"]
    task = get("knights-knaves", people=(2, 3))
    for row, problem in zip(rows_of(files.train), task.problems("train", 0), strict=False):
        truth = row["reward_model"]["ground_truth"]

        def pay(text: str, truth: str = truth) -> dict[str, float]:
            return compute_score(data_source="x", solution_str=text, ground_truth=truth, extra_info={"num_turns": 2})

        right = pay(f"<think>so</think><answer>{solution_of(problem)}</answer>")
        assert right == {"score": 3, "correctness": 2, "format": 1, "acc": 1, "unscored": 0}
        assert list(pay("")) == list(right), "the same keys for every sample"
        assert pay("")["score"] == -3
        assert pay("<think></think><answer>no</answer>") == {**right, "score": -1, "correctness": -2, "acc": 0}


def test_rows_of_ones_own_and_their_verifier(tmp_path: Path) -> None:
    rows = [{"question": "What is 2 + 2?", "answer": "Two and two. #### 4"}]
    made = Rulebook(Correct(right=1, wrong=0, unreadable=0)).for_verl(
        tmp_path / "out", Rows("math"), train=rows, test=rows
    )
    assert [len(rows_of(path)) for path in (made.train, made.test, made.bare)] == [1, 1, 1]
    compute_score = runpy.run_path(str(made.reward))["compute_score"]
    truth = rows_of(made.train)[0]["reward_model"]["ground_truth"]
    assert compute_score("x", "\\boxed{4.0}", truth)["score"] == 1
    assert "boxed" in rows_of(made.train)[0]["prompt"][0]["content"]


def test_a_data_file_needs_not_be_read_again_to_score(tmp_path: Path) -> None:
    data = tmp_path / "train.jsonl"
    data.write_text("".join(f'{{"question": "What is {n} + {n}?", "answer": "{2 * n}"}}\n' for n in range(40)))
    made = KNIGHTS.for_verl(tmp_path / "out", f"data:{data}", train=3, test=1, verifier="math", layout=Plain())
    data.unlink()
    compute_score = runpy.run_path(str(made.reward))["compute_score"]
    row = rows_of(made.train)[0]
    number = int(row["prompt"][-1]["content"].split()[2])
    assert compute_score("x", str(2 * number), row["reward_model"]["ground_truth"])["acc"] == 1


@rule(low=0, high=1)
def polite(text: str) -> bool:
    """It says please."""
    return "please" in text


def test_a_rulebook_with_a_function_of_ones_own(tmp_path: Path) -> None:
    made = Rulebook(Correct(), polite).for_verl(tmp_path / "out", "countdown", train=1, test=1)
    assert "trust_code=True" in made.reward.read_text()
    compute_score = runpy.run_path(str(made.reward))["compute_score"]
    truth = rows_of(made.train)[0]["reward_model"]["ground_truth"]
    assert compute_score("x", "please", truth)["polite"] == 1


def test_what_cant_be_scored_is_paid_the_least_and_counted() -> None:
    task = Parity(breaks_on="b")
    compute_score = ComputeScore(book(), task.verify, task.layout)
    line = encode(next(task.problems()), book())
    lost, scored = compute_score("x", "b", line), compute_score("x", "aa", line)
    assert lost["unscored"] == 1
    assert scored["unscored"] == 0
    assert list(lost) == list(scored)
    assert lost["score"] == book().range[0] == sum(lost[part.name] for part in book())
    assert scored["score"] == sum(scored[part.name] for part in book())


def test_threads_may_call_at_once() -> None:
    task = Parity()
    compute_score = ComputeScore(book(), task.verify, task.layout)
    line = encode(next(task.problems()), book())
    found: list[float] = []
    threads = [
        threading.Thread(target=lambda: found.extend(compute_score("x", "aa", line)["score"] for _ in range(20)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 80
    assert len(set(found)) == 1


def test_the_options_that_point_verl_to_the_files(files: Any) -> None:
    folder = files.folder
    assert folder.is_absolute()
    assert files.overrides == (
        f"data.train_files={folder}/train.parquet",
        f"data.val_files=[{folder}/test.parquet,{folder}/test-bare.parquet]",
        f"reward.custom_reward_function.path={folder}/reward.py",
        "reward.custom_reward_function.name=compute_score",
    )
    assert {path.name for path in folder.iterdir()} == {
        *("train.parquet", "test.parquet", "test-bare.parquet", "reward.py", "rulebook.toml")
    }


def test_nothing_is_overwritten(files: Any) -> None:
    with pytest.raises(FileExistsError, match="isn't empty"):
        KNIGHTS.for_verl(files.folder, "knights-knaves")


@pytest.mark.parametrize(
    ("rulebook", "said"),
    [
        (Rulebook(Correct(), Diversity()), "'diversity' looks at the whole group.*for_trl"),
        (Rulebook(Correct(), Brevity(unit="words")), "'brevity' looks at the whole group"),
        (Rulebook(Correct(), Overlong()), "'overlong' counts tokens.*overlong buffer"),
        (Rulebook(Correct().annealed(Linear())), "'correctness' changes over training"),
        (Rulebook(Correct().named("acc")), "'acc' already"),
        (Rulebook(), "empty rulebook"),
    ],
)
def test_what_verl_cant_pay_is_refused_before_anything_is_written(
    rulebook: Rulebook, said: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=said):
        rulebook.for_verl(tmp_path / "out", "countdown")
    assert not (tmp_path / "out").exists()


def test_a_task_must_have_a_name_to_be_made_again(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="'parity': give the task's name"):
        KNIGHTS.for_verl(tmp_path / "out", Parity())
    with pytest.raises(TypeError, match="can't be written into a file"):
        KNIGHTS.for_verl(tmp_path / "out", "countdown", numbers=(3, 3), operations=OddText("+-"))
    with pytest.raises(TypeError, match="name a verifier"):
        KNIGHTS.for_verl(tmp_path / "out", "countdown", train=[{"question": "?"}])


class OddText(str):
    def __repr__(self) -> str:
        return "<odd>"


def test_more_rows_than_one_block(tmp_path: Path) -> None:
    rows = ({"question": f"What is {n} + 1?", "answer": str(n + 1)} for n in range(2500))
    made = KNIGHTS.for_verl(
        tmp_path / "out", Rows("math"), train=rows, test=islice(iter([{"question": "?", "answer": "1"}]), 1)
    )
    written = rows_of(made.train)
    assert [row["extra_info"]["index"] for row in written] == list(range(2500))
    assert written[2499]["prompt"][-1]["content"] == "What is 2499 + 1?"


def test_a_row_that_cant_be_read_leaves_nothing_half_done(tmp_path: Path) -> None:
    rows = [{"question": "What is 1 + 1?", "answer": "2"}, {"question": "What is 2 + 2?", "answer": None}]
    with pytest.raises(ValueError, match=r"a row has no answer: 'What is 2 \+ 2\?'"):
        KNIGHTS.for_verl(tmp_path / "out", Rows("math"), train=rows, test=rows[:1])
    assert not list(tmp_path.iterdir())
