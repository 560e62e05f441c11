"""From options to a recipe."""

from __future__ import annotations

from itertools import islice

from merf.core.problem import Messages, Problem
from merf.core.recipe import Recipe
from merf.core.sampling import Sampling
from merf.core.seams import Task
from merf.credit.group import GroupRelative
from merf.curriculum.stream import Stream
from merf.framing.motivation import Motivated, Telling
from merf.objective.policy_gradient import ClippedPolicyGradient
from merf.rollout.sampled import Sampled
from merf.rules.leaves import Correct, Format
from merf.rules.rulebook import Rulebook
from merf.train.options import EXPOSURES, TrainOptions
from merf.train.run import EvaluationPlan


def paper_rulebook() -> Rulebook:
    """The Knights & Knaves reward of MeRF and Logic-RL: +2 / −1.5 / −2 for the answer, ±1 for the format."""
    return Rulebook(Correct(right=2.0, wrong=-1.5, unreadable=-2.0), Format(good=1.0, bad=-1.0))


def build_recipe(options: TrainOptions, task: Task, rulebook: Rulebook | None = None) -> Recipe:
    """The recipe these options describe: GRPO on the task, the motivation as asked for."""
    m, o = options.motivation, options.objective
    telling = Telling(m.variant, m.style, m.wording)
    return Recipe(
        task=task,
        rulebook=paper_rulebook() if rulebook is None else rulebook,
        framing=Motivated(task.instruction, telling, m.position, EXPOSURES[m.exposure], m.learning),
        rollout=Sampled(options.group_size),
        credit=GroupRelative(scale=o.scale),
        objective=ClippedPolicyGradient(o.clip_low, o.clip_high, o.aggregate, o.kl),
        curriculum=Stream(task, "train", options.seed),
        problems=options.problems,
        group_size=options.group_size,
        sampling=Sampling(max_tokens=options.max_tokens, temperature=options.temperature),
        optimizer=options.optimizer,
        steps=options.steps,
        truncated=options.truncated,
        seed=options.seed,
    )


def evaluation_plan(options: TrainOptions, recipe: Recipe) -> EvaluationPlan:
    """Held-out problems, framed without the motivation and with the true one."""
    m, e = options.motivation, options.evaluation
    truth = Motivated(recipe.task.instruction, Telling("truth", m.style, m.wording), m.position)

    def bare(problem: Problem) -> Messages:
        return truth.frame(problem, recipe.rulebook, told=False).acting

    def told(problem: Problem) -> Messages:
        return truth.frame(problem, recipe.rulebook, told=True).acting

    return EvaluationPlan(
        problems=list(islice(recipe.task.problems("test", 0), e.problems)),
        prompts={"bare": bare, "told": told},
        every=e.every,
        samples=e.samples,
        quick=e.quick_samples,
        quick_problems=e.quick_problems,
    )
