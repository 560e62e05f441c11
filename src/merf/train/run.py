"""A run's folder: what was configured, what was measured, what was sampled, and how to go on.

config.toml         the resolved configuration
environment.json    versions, commit, machine, seeds
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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from merf.core.problem import Messages, Problem
from merf.core.progress import Progress
from merf.core.recipe import Recipe
from merf.core.response import Response, Scores
from merf.core.rollouts import Rollouts
from merf.evaluate.accuracy import MODES, Evaluation, Mode, evaluate
from merf.policy.policy import Policy
from merf.train import checkpoint, records
from merf.train.context import StepContext
from merf.train.learner import Learner


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

    def restore(self, recipe: Recipe, policy: Policy, learner: Learner) -> int:
        """Load the newest whole checkpoint; returns the first step to take. Records of later steps go."""
        self.recipe, self.policy = recipe, policy
        first = 0
        for folder in reversed(checkpoint.all_in(self.checkpoints)):
            try:
                state = checkpoint.load(folder, policy.model)
            except checkpoint.BrokenCheckpoint as broken:
                self.watch("warning", {"text": f"{broken}; trying the one before"})
                continue
            first = int(state["step"])
            learner.load_state_dict(state["learner"])
            recipe.curriculum.load_state_dict(state["curriculum"])
            for judge, saved in zip(recipe.judges, state["judges"], strict=True):
                judge.load_state_dict(saved)
            checkpoint.set_rng_state(state["rng"])
            self.tokens_seen, self.seconds, self.best = (
                int(state["tokens"]),
                float(state["seconds"]),
                float(state["best"]),
            )
            break
        for name in ("metrics.jsonl", "samples.jsonl"):
            records.keep_only(self.folder / name, lambda record: record["step"] < first)
        records.keep_only(self.folder / "evaluations.jsonl", lambda record: record["step"] < first)
        self.started = time.perf_counter()
        self.status("running")
        return first

    def save(self, step: int, learner: Learner, recipe: Recipe) -> None:
        """Write a checkpoint from which step `step` comes next, and forget old ones."""
        state = {
            "step": step,
            "learner": learner.state_dict(),
            "curriculum": recipe.curriculum.state_dict(),
            "judges": [judge.state_dict() for judge in recipe.judges],
            "rng": checkpoint.rng_state(),
            "tokens": self.tokens_seen,
            "seconds": self.elapsed(),
            "best": self.best,
        }
        checkpoint.save(self.checkpoints / f"step-{step}", self.policy.model, self.policy.tokenizer, state)
        for old in checkpoint.all_in(self.checkpoints)[: -self.keep]:
            shutil.rmtree(old)

    def elapsed(self) -> float:
        """Seconds spent on this run, those before an interruption included."""
        return self.seconds + time.perf_counter() - self.started

    # Events

    def tokens(self, count: int) -> None:
        self.step_tokens += count

    def before_step(self, progress: Progress, ctx: StepContext) -> None:
        """Evaluate where the plan says so, then start the step's clock."""
        if self.plan and progress.step % self.plan.every == 0:
            self.evaluate(progress.step, full=progress.step == 0)
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
        seconds = time.perf_counter() - self.step_started
        self.tokens_seen += self.step_tokens
        record = {
            "step": progress.step,
            **metrics,
            "num_tokens": self.tokens_seen,
            "step_time": seconds,
            "tokens_per_second": self.step_tokens / seconds,
            "elapsed": self.elapsed(),
        }
        records.append(self.folder / "metrics.jsonl", record)
        self.watch("step", record)
        responses = ctx.responses(rollouts)
        chosen = np.linspace(0, len(responses) - 1, min(self.samples_per_step, len(responses))).astype(int)
        for i in chosen:
            row = int(np.flatnonzero(rollouts.trajectory == i)[0])
            self.sample(progress.step, "train", responses[i], scores, int(i), rollouts.prompts[row].acting)
        done = progress.step + 1
        if done % self.checkpoint_every == 0 or self.interrupted:
            self.save(done, learner, ctx.recipe)

    def sample(self, step: int, where: str, response: Response, scores: Scores, i: int, prompt: Messages) -> None:
        records.append(
            self.folder / "samples.jsonl",
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

    def evaluate(self, step: int, full: bool) -> dict[Mode, Evaluation]:
        """Ask the held-out problems in every mode."""
        assert self.plan is not None
        plan, found = self.plan, {}
        problems = plan.problems if full else plan.problems[: plan.quick_problems]
        started = time.perf_counter()
        for mode in MODES:
            result = evaluate(
                self.policy,
                self.recipe,
                problems,
                plan.prompts[mode],
                mode,
                plan.samples if full else plan.quick,
                plan.seed,
            )
            found[mode] = result
            record = {"step": step, "mode": mode, "full": full, "train_tokens": self.tokens_seen, **result.metrics}
            records.append(self.folder / "evaluations.jsonl", record)
            self.watch("evaluation", record)
            if full:
                for i in range(0, len(result.responses), plan.samples * max(len(problems) // 12, 1)):
                    self.sample(step, f"evaluation, {mode}", result.responses[i], result.scores, i, result.prompts[i])
        self.seconds -= time.perf_counter() - started  # the clock compares training, not evaluation
        return found

    def finish(self, ctx: StepContext, learner: Learner) -> None:
        """The last evaluation and checkpoint, or the resume command."""
        if self.interrupted:
            self.status("interrupted")
            return
        if self.plan:
            self.evaluate(ctx.recipe.steps, full=True)
        if not (self.checkpoints / f"step-{ctx.recipe.steps}").exists():
            self.save(ctx.recipe.steps, learner, ctx.recipe)
        self.status("done")

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
