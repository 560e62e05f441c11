"""TRL's own trainer with a rulebook: alone, and as two processes started from the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from merf import Brevity, Correct, Diversity, Problem, Response, Responses, Rulebook
from tests.integrations.parity import Parity, book

pytest.importorskip("trl", reason="needs TRL: pip install 'merf[trl]'")

GROUP = 4
SMALL = {
    "num_generations": GROUP,
    "per_device_train_batch_size": 2 * GROUP,
    "max_completion_length": 6,
    "max_steps": 3,
    "learning_rate": 1e-3,
    "logging_steps": 1,
    "bf16": False,
    "gradient_checkpointing": False,
    "use_cpu": True,
    "save_strategy": "no",
    "report_to": "none",
    "log_completions": True,
    "disable_tqdm": True,
    "seed": 0,
}


def completions(folder: Path) -> list[list[dict[str, Any]]]:
    """What TRL logged of each step: prompt, completion, a column per reward, advantage."""
    from pyarrow import parquet

    files = sorted((folder / "completions").glob("*.parquet"))
    return [parquet.read_table(file).to_pylist() for file in files]


def scored_again(rulebook: Rulebook, task: Parity, rows: list[dict[str, Any]]) -> Any:
    """The rulebook's own scores of logged completions, in TRL's order: groups one after the other."""
    problems: dict[str, Problem] = {}
    for problem, _ in zip(task.problems(), range(50), strict=False):
        problems[str(problem.prompt)] = problem
    items = [
        Response(
            problems[row["prompt"][-1]["content"]],
            row["completion"][0]["content"],
            member=i % GROUP,
            layout=task.layout,
            verify=task.verify,
        )
        for i, row in enumerate(rows)
    ]
    return rulebook.score(Responses.of(items, [i // GROUP for i in range(len(items))]))


def test_the_trainer_pays_what_the_rulebook_says(tmp_path: Path, saved_models: dict[str, Path], capsys: Any) -> None:
    from trl import GRPOConfig, GRPOTrainer

    task = Parity(breaks_on="o")
    rewards = book().for_trl(task, num_generations=GROUP, split_weights=True, failures=1)
    trainer = GRPOTrainer(
        str(saved_models["qwen2"]),
        reward_funcs=rewards.reward_funcs,
        args=GRPOConfig(output_dir=str(tmp_path), reward_weights=rewards.reward_weights, **SMALL),
        train_dataset=rewards.dataset(16),
    )
    before = [p.detach().clone() for p in trainer.model.parameters()]
    trainer.train()
    capsys.readouterr()
    assert any((p != q).any() for p, q in zip(trainer.model.parameters(), before, strict=True)), "it learns"

    steps = completions(tmp_path)
    assert [len(rows) for rows in steps] == [2 * GROUP] * 3
    logs = [entry for entry in trainer.state.log_history if "reward" in entry]
    unscored = 0
    for rows, log in zip(steps, logs, strict=True):
        scores = scored_again(book(), task, rows)
        totals, lost = scores.total, np.isnan(scores.total)
        unscored += lost.sum()
        for name, weight in zip(scores.parts, rewards.reward_weights, strict=True):
            paid = np.array([row[name] for row in rows], np.float64)
            np.testing.assert_allclose(weight * paid[~lost], scores.parts[name][~lost], atol=1e-6)
            assert np.isnan(paid[lost]).all()
        assert log["reward"] == pytest.approx(np.nanmean(totals), abs=1e-5)
        assert log["unscored"] == pytest.approx(lost.mean())
        # Advantages by TRL's formula from the rulebook's totals; what has no total moves nothing.
        for start in range(0, len(rows), GROUP):
            group = totals[start : start + GROUP]
            advantages = [row["advantage"] for row in rows[start : start + GROUP]]
            known = group[~np.isnan(group)]
            spread = known.std(ddof=1) if len(known) > 1 else 0.0
            if len(known) > 1:
                expected = np.nan_to_num((group - known.mean()) / (spread + 1e-4))
                np.testing.assert_allclose(advantages, expected, atol=1e-3)
        assert {row["note"] for row, none in zip(rows, lost, strict=True) if none} <= {"the verifier broke"}
    assert 0 < unscored < 6 * GROUP, "both cases have to occur"


REWARDS = """
from merf import Brevity, Correct, Diversity, Rulebook
from tests.integrations.parity import Parity

rewards = Rulebook(Correct(), Diversity(), 0.5 * Brevity(unit="words")).for_trl(Parity(), num_generations=4)
correctness, diversity, brevity = rewards.reward_funcs
"""


@pytest.mark.slow
def test_trl_from_the_command_line_on_two_processes(tmp_path: Path, saved_models: dict[str, Path]) -> None:
    """Rewards by dotted path, prompts from a Parquet file, and a rule about whole groups on two processes."""
    rulebook = Rulebook(Correct(), Diversity(), 0.5 * Brevity(unit="words"))
    (tmp_path / "my_rewards.py").write_text(REWARDS)
    (tmp_path / "data").mkdir()
    rewards = rulebook.for_trl(Parity(), num_generations=GROUP)
    rewards.dataset(32).to_parquet(str(tmp_path / "data" / "train.parquet"))
    options = {
        "model_name_or_path": saved_models["qwen2"],
        "dataset_name": "data",
        "output_dir": "out",
        **{key: value for key, value in SMALL.items() if key != "max_steps"},
        "max_steps": 2,
        "dtype": "float32",
    }
    # The virtual environment's own torchrun, with the repository's root and the rewards in reach.
    root = Path(__file__).parents[2]
    run = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"),
            *("-m", "trl.scripts.grpo", "--reward_funcs"),
            *(f"my_rewards.{name}" for name in ("correctness", "diversity", "brevity")),
            *(word for key, value in options.items() for word in (f"--{key}", str(value))),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    steps = completions(tmp_path / "out")
    assert [len(rows) for rows in steps] == [2 * 2 * GROUP] * 2, "two processes, two groups each"
    for rows in steps:
        scores = scored_again(rulebook, Parity(), rows)
        for name, values in scores.parts.items():
            np.testing.assert_allclose([row[name] for row in rows], values, atol=1e-6)
