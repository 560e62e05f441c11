"""Accuracy on held-out problems, with the motivation in the prompt and without it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np

from merf.core.layout import ThinkAnswerConfidence
from merf.core.problem import Messages, Problem
from merf.core.recipe import Recipe
from merf.core.response import Array, Likelihood, Response, Responses, Scores
from merf.core.rollouts import PER_TOKEN
from merf.core.sampling import Sample, Sampling
from merf.core.seeds import derive
from merf.evaluate.passk import pass_at_k, powers_of_two
from merf.rules.calibration import Calibrated

Mode = Literal["bare", "told"]
MODES: tuple[Mode, ...] = ("bare", "told")


@dataclass(frozen=True)
class Evaluation:
    """What one evaluation found. `metrics` is flat; `responses` and `scores` hold every sample, the samples
    of a problem next to each other."""

    mode: Mode
    metrics: dict[str, float]
    prompts: Sequence[Messages]
    responses: Responses
    scores: Scores


class Draw(Protocol):
    """Samples one response to each problem's prompt; returns each with its whole text (any opening included)."""

    def __call__(
        self, problems: Sequence[Problem], prompts: Sequence[Messages], how: Sampling, seeds: Sequence[int]
    ) -> Sequence[tuple[Sample, str]]: ...


def evaluate(
    draw: Draw,
    recipe: Recipe,
    problems: Sequence[Problem],
    prompt: Callable[[Problem], Messages],
    mode: Mode,
    samples: int = 8,
    seed: int = 0,
    temperature: float | None = None,
    likelihood: Likelihood | None = None,
) -> Evaluation:
    """Draw `samples` responses to each problem and judge them.

    The temperature is that of training unless given, so that accuracy is what the policy was trained for.
    `draw` samples texts. Random numbers depend on `seed`, problem and sample alone, so policies are compared
    on equal terms. `likelihood` is the model that drew them, for rules and judges that ask it.

    accuracy      share of samples that are right, strict layout (mean@samples)
    lenient       the same, reading the last thing that looks like an answer
    formatted     share of samples in the required layout
    pass@k        unbiased, for k = 1, 2, 4 … samples
    accuracy/d    accuracy at difficulty d, where problems have one
    brier         mean squared gap between stated confidence and truth, where the layout asks for a confidence

    and whatever the recipe's judges have to say of the responses.
    """
    sampling = recipe.sampling if temperature is None else replace(recipe.sampling, temperature=temperature)
    if likelihood is not None:
        sampling = replace(sampling, record=sampling.record | PER_TOKEN)
    rows = [(problem, i) for problem in problems for i in range(samples)]
    prompts = [prompt(problem) for problem in problems for _ in range(samples)]
    seeds = [derive(seed, "evaluate", problem.id, i) for problem, i in rows]
    drawn = draw([problem for problem, _ in rows], prompts, sampling, seeds)
    task = recipe.task
    responses = Responses.of(
        [
            Response(
                problem=problem,
                text=text,
                tokens=len(sample.tokens),
                finished=sample.finished or recipe.truncated == "as-is",
                member=i,
                layout=task.layout,
                verify=task.verify,
                extras={} if likelihood is None else recorded(sample, likelihood.prompt(asked)),
            )
            for (problem, i), (sample, text), asked in zip(rows, drawn, prompts, strict=True)
        ],
        [n for n in range(len(problems)) for _ in range(samples)],
    )
    responses = replace(responses, likelihood=likelihood)
    scores = recipe.rulebook.score(responses)
    right = np.array([r.verdict.correct is True for r in responses]).reshape(len(problems), samples)
    metrics = {
        "accuracy": float(right.mean()),
        "lenient": float(np.mean([r.lenient for r in responses])),
        "formatted": float(np.mean([r.parsed.well_formed for r in responses])),
        "reward": known_mean(scores.total),
        "tokens": float(np.mean([r.tokens for r in responses])),
        "cut_off": float(np.mean([not sample.finished for sample, _ in drawn])),
        "standard_error": float(right.mean(1).std(ddof=1) / len(problems) ** 0.5)
        if len(problems) > 1
        else float("nan"),
    }
    for k in powers_of_two(samples):
        metrics[f"pass@{k}"] = pass_at_k(right.sum(1), samples, k)
    for name, values in scores.parts.items():
        metrics[f"rewards/{name}"] = known_mean(values)
    if isinstance(task.layout, ThinkAnswerConfidence):
        metrics["brier"] = -known_mean(Calibrated().score(responses))
    for judge in recipe.judges:
        metrics.update(judge.examine(responses))
    sizes = np.array([problem.meta.get("difficulty", -1) for problem in problems])
    for size in np.unique(sizes[sizes != -1]):
        metrics[f"accuracy/{size}"] = float(right[sizes == size].mean())
    return Evaluation(mode, metrics, prompts, responses, scores)


def recorded(sample: Sample, prompt_ids: list[int]) -> dict[str, Any]:
    """What the sampler has recorded of a response, for rules that ask the model that wrote it."""
    per_token = {name: np.array(values) for name, values in sample.extras.items() if name in PER_TOKEN}
    return {"prompt_ids": prompt_ids, "ids": sample.tokens, "logprobs": np.array(sample.logprobs), **per_token}


def known_mean(values: Array) -> float:
    """The mean of the scores there are; NaN if there are none, as where a verifier failed throughout."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
