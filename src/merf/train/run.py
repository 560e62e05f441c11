"""A run's folder: what was configured, what was measured, what was sampled, and how to go on.

config.toml         the resolved configuration
environment.toml    versions, commit, machine, seeds
rulebook.txt        what is paid for, in words
motivation.txt      what the model is told about it
metrics.jsonl       one line per training step
evaluations.jsonl   one line per evaluation and mode (with and without the motivation)
samples.jsonl       responses with their scores, rule by rule
checkpoints/        step-N folders; the last few and the best
status.json         "running", "interrupted", "failed" or "done", and the resume command
"""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from merf.core.problem import Messages, Problem
from merf.core.progress import Progress
from merf.core.response import Response, Scores
from merf.core.rollouts import Rollouts
from merf.evaluate.accuracy import MODES, Evaluation, Mode, evaluate
from merf.train import checkpoint, records
from merf.train.context import StepContext
from merf.train.learner import Learner, TrainingStopped


@dataclass(frozen=True)
class EvaluationPlan:
    """Held-out problems and how often they are asked. The first and the last evaluation draw `samples`
    responses per problem, those in between `quick` to the first `quick_problems`."""

    problems: Sequence[Problem]
    prompts: dict[Mode, Callable[[Problem], Messages]]
    every: int = 20
    samples: int = 8
    quick: int = 2
    quick_problems: int = 64
    seed: int = 0


@dataclass
class Run:
    """Writes the run's folder and keeps its state. `watch` is told of every record as it is written."""

    folder: Path
    plan: EvaluationPlan | None = None
    checkpoint_every: int = 20
    keep: int = 2
    samples_per_step: int = 8
    watch: Callable[[str, dict[str, Any]], None] = lambda kind, record: None
    resume_command: str = ""
    interrupted: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.started = self.step_started = time.perf_counter()
        self.tokens_seen = self.step_tokens = 0
        self.seconds = 0.0
        self.best = -1.0

    # State

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    def restore(self, ctx: StepContext, learner: Learner) -> int:
        """Load the newest whole checkpoint; returns the first step to take. Records of later steps go."""
        first, recipe = 0, ctx.recipe
        for folder in reversed(checkpoint.all_in(self.checkpoints)):
            try:
                state = checkpoint.load(folder, ctx.policy.model)
            except checkpoint.BrokenCheckpoint as broken:
                self.watch("warning", {"text": f"{broken}; trying the one before"})
                continue
            first = int(state["step"])
            learner.load_state_dict(state["learner"])
            recipe.curriculum.load_state_dict(state["curriculum"])
            for judge, saved in zip(recipe.judges, state["judges"], strict=True):
                judge.load_state_dict(saved)
            checkpoint.set_rng_state(state["rng"])
            self.tokens_seen, self.seconds = int(state["tokens"]), float(state["seconds"])
            self.best = float(state["best"])
            ctx.policy.refresh()
            break
        if ctx.world.leads:
            for name in ("metrics.jsonl", "samples.jsonl", "evaluations.jsonl"):
                records.keep_only(self.folder / name, lambda record: record["step"] < first)
            self.status("running")
        ctx.world.wait()
        self.started = time.perf_counter()
        return first

    def save(self, step: int, ctx: StepContext, learner: Learner) -> None:
        """Write a checkpoint from which step `step` comes next, and forget old ones."""
        learned = learner.state_dict()  # gathered from all processes, if the policy is sharded
        if not ctx.world.leads:
            return
        state = {
            "step": step,
            "learner": learned,
            "curriculum": ctx.recipe.curriculum.state_dict(),
            "judges": [judge.state_dict() for judge in ctx.recipe.judges],
            "rng": checkpoint.rng_state(),
            "tokens": self.tokens_seen,
            "seconds": self.elapsed(),
            "best": self.best,
        }
        with self.writing(f"the checkpoint of step {step}"):
            checkpoint.save(self.checkpoints / f"step-{step}", ctx.policy.whole, ctx.policy.tokenizer, state)
        for old in checkpoint.all_in(self.checkpoints)[: -self.keep]:
            shutil.rmtree(old)

    @contextmanager
    def writing(self, what: str) -> Iterator[None]:
        """Inside, errors of the disk stop the run, with the way to go on."""
        try:
            yield
        except OSError as error:
            raise TrainingStopped(
                f"{what} could not be written ({error}); checkpoints written before are whole. "
                f"Make room, then continue: {self.resume_command}"
            ) from error

    def record(self, name: str, record: dict[str, Any]) -> None:
        """Add a line to one of the run's files."""
        with self.writing(f"a record of step {record['step']}"):
            records.append(self.folder / name, record)

    def elapsed(self) -> float:
        """Seconds spent on this run, those before an interruption included."""
        return self.seconds + time.perf_counter() - self.started

    # Events

    def tokens(self, count: int) -> None:
        self.step_tokens += count

    def before_step(self, progress: Progress, ctx: StepContext) -> None:
        """Evaluate where the plan says so, then start the step's clock."""
        if self.plan and progress.step % self.plan.every == 0:
            self.evaluate(progress.step, ctx, full=progress.step == 0)
        self.step_started, self.step_tokens = time.perf_counter(), 0

    def after_step(
        self,
        progress: Progress,
        rollouts: Rollouts,
        scores: Scores,
        metrics: dict[str, float],
        ctx: StepContext,
        learner: Learner,
    ) -> None:
        """Record the step; save where it is due, or where the run was asked to stop."""
        seconds = time.perf_counter() - self.step_started
        tokens = int(ctx.world.sum({"tokens": float(self.step_tokens)})["tokens"])
        self.tokens_seen += tokens
        self.interrupted = ctx.world.agree(self.interrupted)
        if ctx.world.leads:
            responses = ctx.responses(rollouts)
            record = {
                "step": progress.step,
                **metrics,
                "correct": float(np.mean([r.verdict.correct is True for r in responses])),
                "num_tokens": self.tokens_seen,
                "step_time": seconds,
                "tokens_per_second": tokens / seconds,
                "elapsed": self.elapsed(),
            }
            self.record("metrics.jsonl", record)
            self.watch("step", record)
            chosen = np.linspace(0, len(responses) - 1, min(self.samples_per_step, len(responses))).astype(int)
            for i in chosen:
                row = int(np.flatnonzero(rollouts.trajectory == i)[0])
                self.sample(progress.step, "training", responses[i], scores, int(i), rollouts.prompts[row].acting)
        done = progress.step + 1
        if done % self.checkpoint_every == 0 or self.interrupted:
            self.save(done, ctx, learner)

    def sample(self, step: int, where: str, response: Response, scores: Scores, i: int, prompt: Messages) -> None:
        self.record(
            "samples.jsonl",
            {
                "step": step,
                "where": where,
                "problem": response.problem.id,
                "prompt": list(prompt),
                "response": response.text,
                "answer": response.problem.meta.get("solution", response.problem.answer),
                "scores": {name: float(values[i]) for name, values in scores.parts.items()},
                "total": float(scores.total[i]),
                "correct": response.verdict.correct,
                "tokens": response.tokens,
                "note": scores.notes[i],
            },
        )

    def evaluate(self, step: int, ctx: StepContext, full: bool) -> dict[Mode, Evaluation]:
        """Ask the held-out problems in every mode; keep the weights if they are the best so far."""
        assert self.plan is not None
        plan = self.plan
        found: dict[Mode, Evaluation] = {}
        problems = plan.problems if full else plan.problems[: plan.quick_problems]
        samples = plan.samples if full else plan.quick
        started = time.perf_counter()
        for mode in MODES:
            result = evaluate(
                ctx.sample_all,
                ctx.recipe,
                problems,
                plan.prompts[mode],
                mode,
                samples,
                plan.seed,
                likelihood=ctx.policy,
            )
            found[mode] = result
            if not ctx.world.leads:
                continue
            record = {"step": step, "mode": mode, "full": full, "train_tokens": self.tokens_seen, **result.metrics}
            self.record("evaluations.jsonl", record)
            self.watch("evaluation", record)
            if full:
                for i in range(0, len(result.responses), samples * max(len(problems) // 12, 1)):
                    where = f"evaluation, {'with' if mode == 'told' else 'without'} motivation"
                    self.sample(step, where, result.responses[i], result.scores, i, result.prompts[i])
        accuracy = found["bare"].metrics["accuracy"]
        if accuracy > self.best:
            self.best = accuracy
            if ctx.world.leads and step > 0:
                with self.writing("the best checkpoint so far"):
                    checkpoint.save(self.checkpoints / "best", ctx.policy.whole, ctx.policy.tokenizer, {"step": step})
        self.seconds -= time.perf_counter() - started  # the clock compares training, not evaluation
        return found

    def finish(self, ctx: StepContext, learner: Learner) -> None:
        """The last evaluation and checkpoint, or the resume command."""
        if not self.interrupted:
            steps = ctx.recipe.steps
            if self.plan:
                self.evaluate(steps, ctx, full=True)
            # Only the leader knows: for the others it may not have finished writing.
            if ctx.world.agree(ctx.world.leads and not (self.checkpoints / f"step-{steps}").exists()):
                self.save(steps, ctx, learner)
        if ctx.world.leads:
            self.status("interrupted" if self.interrupted else "done")

    def failed(self, reason: str) -> None:
        """Note why the run can't go on, if the disk takes it."""
        with suppress(OSError):
            self.status("failed", reason)

    def status(self, state: str, reason: str = "") -> None:
        text = {"state": state, "reason": reason, "resume": self.resume_command, "seconds": self.elapsed()}
        records.write_text(self.folder / "status.json", json.dumps(text, indent=1))
        self.watch("status", text)

    def listen(self) -> None:
        """Let Ctrl-C end the run after the step in progress; a second one ends it at once."""

        def stop(number: int, frame: FrameType | None) -> None:
            if self.interrupted:
                raise KeyboardInterrupt
            self.interrupted = True
            self.watch("warning", {"text": "finishing this step, then saving (press Ctrl-C again to stop at once)"})

        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGTERM, stop)
