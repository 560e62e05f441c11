"""A run that is killed, again and again, at any moment, ends with the same weights as one that isn't; so does one whose
disk is full for a while."""

from __future__ import annotations

import copy
import json
import os
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch

from merf.tasks.knights_knaves import KnightsKnaves
from merf.train import checkpoint, records
from merf.train.build import build_recipe
from merf.train.learner import Learner, TrainingStopped
from merf.train.loop import train
from merf.train.run import Run
from tests.train.conftest import BOOK

KILLS = 20
SAVING = ("save_file", "_flush", "rename", "write")
MOMENTS = {"save_file": checkpoint, "_flush": checkpoint, "rename": os, "write": os, "step": Learner}
"""Functions inside of which a process may die, and where they live."""
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
        die_at(*die)
    train(recipe_of(options), policy, Run(folder, checkpoint_every=1))


def die_at(name: str, count: int) -> None:
    """Let this process be killed by the n-th call of a function."""
    real, calls = getattr(MOMENTS[name], name), []

    def fatal(*args, **kwargs):
        calls.append(1)
        if len(calls) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)

    setattr(MOMENTS[name], name, fatal)


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
    killed, while_saving, in_a_buffer, rounds = 0, 0, 0, 0
    while killed < KILLS:
        folder = tmp_path / f"broken-{rounds}"
        rounds += 1
        finished = False
        while not finished:
            # Half of the kills come at a random time. A quarter comes while a checkpoint or a record is written, a
            # quarter before the second, third or fourth update with the same rollouts.
            die = None
            if killed % 4 == 1:
                die = (rng.choice(SAVING), rng.randint(1, 4))
            elif killed % 4 == 3:
                die = ("step", rng.randint(2, 4))
            child, started = in_a_child(
                lambda die=die, folder=folder: attempt(options, copy.deepcopy(policy), folder, die)
            )
            deadline = started + (60 + 10 * whole if die else rng.uniform(0, whole / 2))
            ended = 0
            while not ended and time.monotonic() < deadline:
                ended, status = os.waitpid(child, os.WNOHANG)
            if not ended:
                os.kill(child, signal.SIGKILL)
                _, status = os.waitpid(child, 0)
            if os.WIFSIGNALED(status):
                killed += 1
                while_saving += die is not None and die[0] in SAVING
                in_a_buffer += die is not None and die[0] == "step"
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
    assert while_saving == in_a_buffer == KILLS // 4


@pytest.mark.parametrize("moment", [1, 2])
def test_replacing_a_checkpoint_never_leaves_none(tmp_path, policy, moment):
    """The best one is replaced every time there is a better one. A kill at either rename leaves the old one, under its
    own name or beside it."""

    def save(step: int) -> None:
        checkpoint.save(tmp_path / "best", policy.model, policy.tokenizer, {"step": step})

    def die() -> None:
        die_at("rename", moment)
        save(2)

    save(1)
    child, _ = in_a_child(die)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
    old = tmp_path / ("best" if moment == 1 else ".best.old")
    checkpoint.check(old)
    assert json.loads((old / "state.json").read_text()) == {"__dict__": [["step", 1]]}
    save(3)
    assert checkpoint.load(tmp_path / "best", policy.model) == {"step": 3}
    assert [path.name for path in tmp_path.iterdir()] == ["best"]


@pytest.mark.parametrize("full", ["model/model.safetensors", "state.safetensors", "metrics.jsonl"])
def test_a_full_disk_stops_the_run_and_leaves_everything_whole(tmp_path, options, policy, full):
    """From the fourth step on no file can grow to the size that this one would have, as the system sees to."""
    folder, straight = tmp_path / "broken", tmp_path / "straight"

    class Filling(Run):
        def before_step(self, progress, ctx):
            super().before_step(progress, ctx)
            if progress.step == 3:
                grows = full == "metrics.jsonl"
                path = folder / full if grows else folder / "checkpoints/step-3" / full
                room = path.stat().st_size + (100 if grows else -1)
                resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    def work():
        try:
            train(build_recipe(options, TASK, BOOK), copy.deepcopy(policy), Filling(folder, checkpoint_every=1))
        except TrainingStopped as stopped:
            (tmp_path / "said").write_text(str(stopped))
            raise

    child, _ = in_a_child(work)
    assert os.WEXITSTATUS(os.waitpid(child, 0)[1]) == 1
    what = "a record of step 3" if full == "metrics.jsonl" else "the checkpoint of step 4"
    assert (tmp_path / "said").read_text().startswith(f"{what} could not be written (")
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["step-2", "step-3"]
    for name in ("metrics.jsonl", "samples.jsonl"):
        text = (folder / name).read_text()
        assert text.endswith("\n")
        assert [json.loads(line) for line in text.splitlines()]
    resumed = copy.deepcopy(policy)
    train(build_recipe(options, TASK, BOOK), resumed, Run(folder, checkpoint_every=1))
    train(build_recipe(options, TASK, BOOK), policy, Run(straight, checkpoint_every=1))
    assert [record["step"] for record in records.read(folder / "metrics.jsonl")] == list(range(6))
    for ours, theirs in zip(resumed.model.parameters(), policy.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.slow
def test_a_killed_command_is_continued_by_the_one_in_its_folder(tmp_path, saved_models):
    """`merf train`, kill -9 behind its checkpoint of step 20, `merf train --resume`: the same weights."""

    def merf(*arguments: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", "merf", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    few = ("--steps", "30", "--problems", "2", "--group-size", "2", "--max-tokens", "8", "--people", "2", "2")
    once = ("--evaluation.problems", "1", "--evaluation.samples", "1", "--evaluation.every", "100")
    asked = ("train", "--model", str(saved_models["qwen2"]), *few, *once, "--quiet", "--out")
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    assert merf(*asked, str(straight)).wait() == 0

    process = merf(*asked, str(broken))
    while process.poll() is None and len([*records.read(broken / "metrics.jsonl")]) < 22:
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert [path.name for path in checkpoint.all_in(broken / "checkpoints")] == ["step-20"]
    program, *resume = shlex.split(json.loads((broken / "status.json").read_text())["resume"])
    assert program == "merf"
    assert merf(*resume, "--quiet").wait() == 0
    name = "checkpoints/step-30/model/model.safetensors"
    assert (broken / name).read_bytes() == (straight / name).read_bytes()
    assert [record["step"] for record in records.read(broken / "metrics.jsonl")] == list(range(30))
