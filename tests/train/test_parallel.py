"""Two processes train to the weights of one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from merf.train import records
from merf.train.parallel import World

WORKER = Path(__file__).parent / "parallel_worker.py"
ROOT = Path(__file__).parents[2]


def launch(processes: int, folder: Path, model: Path) -> None:
    folder.mkdir()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    subprocess.run([*command, str(WORKER), str(folder), str(model)], env=environment, check=True, capture_output=True)


@pytest.mark.slow
def test_two_processes_train_to_the_same_weights_as_one(tmp_path, policy):
    model = tmp_path / "model"
    policy.save(model)
    for processes in (1, 2):
        launch(processes, tmp_path / str(processes), model)
    alone = load_file(tmp_path / "1/weights-0.safetensors")
    for rank in (0, 1):
        together = load_file(tmp_path / f"2/weights-{rank}.safetensors")
        for name, weight in alone.items():
            torch.testing.assert_close(together[name], weight, atol=1e-5, rtol=0)
    assert not all(torch.equal(alone[name], w) for name, w in policy.model.named_parameters())

    for name in ("metrics.jsonl", "evaluations.jsonl"):
        one, two = (list(records.read(tmp_path / str(n) / "run" / name)) for n in (1, 2))
        assert len(one) == len(two)
        for a, b in zip(one, two, strict=True):
            for key in set(a) - {"step_time", "tokens_per_second", "elapsed", "mode"}:
                assert np.isclose(a[key], b[key], atol=1e-4), key


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 5, 6])
def test_shares_cover_everything_once_and_in_turn(size, count):
    items = list(range(count))
    parts = [World(rank, size).share(items) for rank in range(size)]
    assert sorted(item for part in parts for item in part) == items
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
