"""Experiments: several arms, several seeds, run side by side in processes of their own.

An experiment is a TOML file:

    title = "…"
    question = "…"
    [options]                # what all arms share; names as in `merf train --help`
    steps = 60
    [[arms]]
    name = "RLVR"
    motivation.variant = "none"
    [[arms]]
    name = "MeRF"
    against = "RLVR"         # the arm it is compared with; the first one if not given

Every run is a folder `ARM/seed-N` of the experiment's folder, in the form `merf train` writes. Runs that
are done are kept, interrupted ones resumed, so an experiment can be stopped and started at will.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tomli_w

from merf.core.toml import read_toml
from merf.lab.bases import require
from merf.train import options as train_options
from merf.train import records
from merf.train.options import TrainOptions

SHIPPED = Path(__file__).parent / "experiments"


@dataclass(frozen=True)
class Arm:
    """One way of training; `changes` are laid over the experiment's shared options."""

    name: str
    changes: Mapping[str, Any]
    against: str = ""

    @property
    def slug(self) -> str:
        return re.sub(r"[^a-z0-9.]+", "-", self.name.lower()).strip("-")


@dataclass(frozen=True)
class Experiment:
    """The first arm is the baseline that others are compared with, unless they say otherwise; `headline` names the
    arms that matter most."""

    title: str
    question: str
    shared: Mapping[str, Any]
    arms: tuple[Arm, ...]
    headline: tuple[str, ...] = ()

    @classmethod
    def load(cls, path: Path) -> Experiment:
        table = read_toml(path)
        arms = []
        for arm in table.get("arms", []):
            changes = {key: value for key, value in arm.items() if key not in ("name", "against")}
            arms.append(Arm(arm["name"], changes, arm.get("against", "")))
        if not arms:
            raise ValueError(f"{path} has no arms: add at least one [[arms]] table with a name")
        experiment = cls(
            table.get("title", path.stem),
            table.get("question", ""),
            table.get("options", {}),
            tuple(arms),
            tuple(table.get("headline", ())),
        )
        names = [arm.name for arm in arms]
        for arm in experiment.arms:
            experiment.options(arm, 0)  # refuses unknown names before anything runs
            if arm.against and arm.against not in names:
                raise ValueError(f"{path}: {arm.name!r} is against {arm.against!r}, which is not an arm")
        return experiment

    def only(self, names: Sequence[str]) -> Experiment:
        """The experiment with just the named arms; all of them if no name is given."""
        known = {arm.name: arm for arm in self.arms}
        unknown = [name for name in names if name not in known]
        if unknown:
            raise ValueError(f"no arm is called {unknown[0]!r}; this experiment has {', '.join(known)}")
        if not names:
            return self
        left = tuple(replace(known[n], against=known[n].against if known[n].against in names else "") for n in names)
        return replace(self, arms=left)

    def options(self, arm: Arm, seed: int) -> TrainOptions:
        return train_options.from_dict(merged(self.shared, {**arm.changes, "seed": seed}))


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` laid over `below`, table by table."""
    out = deepcopy(dict(below))
    for key, value in above.items():
        lower = out.get(key)
        out[key] = merged(lower, value) if isinstance(value, Mapping) and isinstance(lower, Mapping) else value
    return out


@dataclass(frozen=True)
class Job:
    arm: Arm
    seed: int
    options: TrainOptions
    folder: Path

    @property
    def status(self) -> dict[str, Any]:
        path = self.folder / "status.json"
        state: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"state": "waiting"}
        return state

    @property
    def done(self) -> bool:
        """Finished, and with exactly these options."""
        return self.status["state"] == "done" and self.begun_with_these_options

    @property
    def begun_with_these_options(self) -> bool:
        """Whether the folder's run has them. Options that were added to merf since it was begun have their defaults."""
        try:
            return train_options.from_dict(read_toml(self.folder / "config.toml")) == self.options
        except ValueError:  # written by a version that knew other options
            return False

    @property
    def config(self) -> str:
        return tomli_w.dumps(train_options.to_dict(self.options))


def jobs_of(experiment: Experiment, seeds: Sequence[int], folder: Path) -> list[Job]:
    """All runs, seed by seed, so that a stopped experiment has compared whole seeds."""
    return [
        Job(arm, seed, experiment.options(arm, seed), folder / arm.slug / f"seed-{seed}")
        for seed in seeds
        for arm in experiment.arms
    ]


def seeds_in(folder: Path) -> list[int]:
    """The seeds of which there are runs in an experiment's folder."""
    return sorted({int(one.name[5:]) for one in folder.glob("*/seed-*") if one.name[5:].isdigit()})


def run(
    jobs: Sequence[Job],
    at_once: int,
    tick: Callable[[Sequence[Job], Sequence[Job]], None] = lambda running, waiting: None,
    pause: float = 0.5,
) -> list[Job]:
    """Run the jobs, `at_once` at a time, each a `merf train` process with its own threads.

    `tick(running, waiting)` is called about twice a second. Returns the jobs that failed; their output is
    in `log.txt` in their folders. ValueError before anything runs, if a lab base isn't there.
    """
    waiting = [job for job in jobs if not job.done]
    require(job.options.model for job in waiting)
    running: list[tuple[Job, subprocess.Popen[bytes]]] = []
    failed: list[Job] = []
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                job = waiting.pop(0)
                running.append((job, launch(job)))
            tick([job for job, _ in running], waiting)
            time.sleep(pause)
            for job, process in list(running):
                if process.poll() is not None:
                    running.remove((job, process))
                    if process.returncode != 0 or job.status["state"] != "done":
                        failed.append(job)
        tick([], [])
    except KeyboardInterrupt:
        for _, process in running:
            process.terminate()  # each finishes its step and saves
        for _, process in running:
            process.wait()
        raise
    return failed


def launch(job: Job) -> subprocess.Popen[bytes]:
    """Start one run as a process. A folder from other options is set aside, not mixed in."""
    folder = job.folder
    if (folder / "config.toml").exists() and not job.begun_with_these_options:
        folder.rename(folder.with_name(f"{folder.name}.old-{int(time.time())}"))
    folder.mkdir(parents=True, exist_ok=True)
    records.write_text(folder / "wanted.toml", job.config)
    threads = str(job.options.threads)
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "TOKENIZERS_PARALLELISM": "false",
    }
    with (folder / "log.txt").open("ab") as log:
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "merf",
                "train",
                "--config",
                str(folder / "wanted.toml"),
                "--out",
                str(folder),
                "--quiet",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
        )
