"""A run that is killed, again and again, at any moment, ends with the same weights as one that isn't."""

from __future__ import annotations

import copy
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch

from merf.tasks.knights_knaves import KnightsKnaves
from merf.train import checkpoint, records
from merf.train.build import build_recipe
from merf.train.learner import TrainingStopped
from merf.train.loop import train
from merf.train.run import Run
from tests.train.conftest import BOOK

KILLS = 20
TASK = KnightsKnaves(people=(2, 2))


def recipe_of(options):
    """Twelve steps; every rollout batch is used for four updates, so a kill can fall between them."""
    return build_recipe(replace(options, steps=12), TASK, BOOK).but(minibatches=2, epochs=2)


def in_a_child(work) -> tuple[int, float]:
    """Run `work` in a forked process; returns its id and when it started."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return child, time.monotonic()


def attempt(options, policy, folder: Path, die: tuple[str, int] | None) -> None:
    """Go on with the run in `folder`. With `die`, end at the n-th call of that function, as if pulled
    from the mains."""
    if die is not None:
        name, count = die
        owner = {"save_file": checkpoint, "_flush": checkpoint, "rename": os, "write": os}[name]
        real, calls = getattr(owner, name), []

        def fatal(*args, **kwargs):
            calls.append(1)
            if len(calls) == count:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        setattr(owner, name, fatal)
    train(recipe_of(options), policy, Run(folder, checkpoint_every=1))


def weights_at(folder: Path) -> dict:
    from safetensors.torch import load_file

    return load_file(folder / "checkpoints/step-12/model/model.safetensors")


@pytest.mark.slow
def test_twenty_kills_change_nothing(tmp_path, options, policy):
    straight = tmp_path / "straight"
    child, started = in_a_child(lambda: attempt(options, copy.deepcopy(policy), straight, None))
    assert os.waitpid(child, 0)[1] == 0
    whole = time.monotonic() - started

    rng = Random(0)
    killed, while_saving, rounds = 0, 0, 0
    while killed < KILLS:
        folder = tmp_path / f"broken-{rounds}"
        rounds += 1
        finished = False
        while not finished:
            # Half of the kills come at a random time, half inside the writing of a checkpoint or a record.
            inside = killed % 2 == 1
            die = (rng.choice(("save_file", "_flush", "rename", "write")), rng.randint(1, 4)) if inside else None
            child, started = in_a_child(
                lambda die=die, folder=folder: attempt(options, copy.deepcopy(policy), folder, die)
            )
            deadline = started + (60 if inside else rng.uniform(0, whole / 2))
            ended = 0
            while not ended and time.monotonic() < deadline:
                ended, status = os.waitpid(child, os.WNOHANG)
            if not ended:
                os.kill(child, signal.SIGKILL)
                _, status = os.waitpid(child, 0)
            if os.WIFSIGNALED(status):
                killed += 1
                while_saving += inside
            else:
                assert os.WEXITSTATUS(status) == 0, "the run failed of its own accord"
                finished = True
            if killed >= KILLS and not finished:
                child, _ = in_a_child(lambda folder=folder: attempt(options, copy.deepcopy(policy), folder, None))
                assert os.waitpid(child, 0)[1] == 0
                finished = True
        ours, theirs = weights_at(folder), weights_at(straight)
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
        steps = [record["step"] for record in records.read(folder / "metrics.jsonl")]
        assert steps == list(range(12))
        shutil.rmtree(folder)
    assert while_saving >= 5


def test_a_full_disk_leaves_the_last_good_checkpoint(tmp_path, options, policy, monkeypatch):
    recipe = build_recipe(options, TASK, BOOK)
    real, calls = checkpoint.save_file, []

    def full(*args, **kwargs):
        calls.append(1)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        return real(*args, **kwargs)

    monkeypatch.setattr(checkpoint, "save_file", full)
    twin = copy.deepcopy(policy)
    with pytest.raises(TrainingStopped, match=r"step 3 could not be written .*No space left"):
        train(recipe, policy, Run(tmp_path, checkpoint_every=1))
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-1", "step-2"]
    train(build_recipe(options, TASK, BOOK), twin, Run(tmp_path, checkpoint_every=1))
    assert [record["step"] for record in records.read(tmp_path / "metrics.jsonl")] == list(range(6))
