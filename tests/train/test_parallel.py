"""Two processes train to the weights of one, each with the whole model or with its share of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from merf.judges.implicit import ImplicitRewards
from merf.policy.policy import Policy
from merf.tasks.knights_knaves import KnightsKnaves
from merf.train import records
from merf.train.build import build_recipe
from merf.train.options import TrainOptions
from merf.train.parallel import World
from merf.train.start import check_shardable
from tests.train.conftest import BOOK

WORKER = Path(__file__).parent / "parallel_worker.py"
ROOT = Path(__file__).parents[2]
RECIPE = build_recipe(TrainOptions(people=(2, 2)), KnightsKnaves(people=(2, 2)), BOOK)


def launch(processes: int, folder: Path, model: Path, *how: str) -> None:
    folder.mkdir(exist_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    done = subprocess.run(
        [*command, str(WORKER), str(folder), str(model), *how], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def model(tmp_path_factory, lab_tokenizer, model_of):
    """A folder with a random model."""
    folder = tmp_path_factory.mktemp("model")
    Policy(model_of("llama", len(lab_tokenizer), eos_token_id=lab_tokenizer.eos_token_id), lab_tokenizer).save(folder)
    return folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory, model):
    """The folder of a run by one process."""
    folder = tmp_path_factory.mktemp("alone")
    launch(1, folder, model)
    return folder


def assert_same_run(theirs: Path, ours: Path) -> None:
    expected = load_file(theirs / "weights-0.safetensors")
    for rank in (0, 1):
        found = load_file(ours / f"weights-{rank}.safetensors")
        for name, weight in expected.items():
            torch.testing.assert_close(found[name], weight, atol=1e-5, rtol=0)
    for name in ("metrics.jsonl", "evaluations.jsonl"):
        one, two = (list(records.read(folder / "run" / name)) for folder in (theirs, ours))
        assert len(one) == len(two)
        for a, b in zip(one, two, strict=True):
            for key in set(a) - {"step_time", "tokens_per_second", "elapsed", "mode"}:
                assert np.isclose(a[key], b[key], atol=1e-5 if key == "loss" else 1e-4), key


@pytest.mark.slow
def test_two_processes_train_to_the_same_weights_as_one(tmp_path, model, alone):
    launch(2, tmp_path, model)
    assert_same_run(alone, tmp_path)
    before = load_file(model / "model.safetensors")
    after = load_file(alone / "weights-0.safetensors")
    assert not all(torch.equal(after[name], weight) for name, weight in before.items() if name in after)


@pytest.mark.slow
def test_a_sharded_model_trains_to_the_same_weights_saves_them_whole_and_resumes(tmp_path, model, alone):
    launch(2, tmp_path, model, "shard")
    assert_same_run(alone, tmp_path)

    weights = load_file(tmp_path / "weights-0.safetensors")
    saved = AutoModelForCausalLM.from_pretrained(tmp_path / "run/checkpoints/step-4/model", dtype=torch.float32)
    for name, weight in saved.named_parameters():
        torch.testing.assert_close(weight.detach(), weights[name], atol=0, rtol=0)

    # From the middle again: sharded, and by one process that holds everything.
    for processes, how in ((2, ["shard"]), (1, [])):
        folder = tmp_path / f"again-{processes}"
        shutil.copytree(tmp_path / "run", folder / "run")
        shutil.rmtree(folder / "run/checkpoints/step-4")
        launch(processes, folder, model, *how)
        for name, weight in load_file(folder / "weights-0.safetensors").items():
            torch.testing.assert_close(weight, weights[name], atol=1e-5, rtol=0)


def test_what_sharding_cannot_be_combined_with_is_refused():
    with pytest.raises(ValueError, match="torchrun"):
        check_shardable(TrainOptions(shard=True), RECIPE, World())
    with pytest.raises(ValueError, match="lora"):
        check_shardable(TrainOptions(shard=True, lora_rank=4), RECIPE, World(0, 2))
    with pytest.raises(ValueError, match="judge"):
        check_shardable(TrainOptions(shard=True), RECIPE.but(judges=(ImplicitRewards(),)), World(0, 2))


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 5, 6])
def test_shares_cover_everything_once_and_in_turn(size, count):
    items = list(range(count))
    parts = [World(rank, size).share(items) for rank in range(size)]
    assert sorted(item for part in parts for item in part) == items
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
