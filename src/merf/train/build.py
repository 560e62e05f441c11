"""From options to a recipe."""

from __future__ import annotations

import heapq
from itertools import islice

from merf.core.layout import Layout, ThinkAnswer
from merf.core.problem import Messages, Problem
from merf.core.recipe import Recipe
from merf.core.sampling import Sampling
from merf.core.seams import Task
from merf.credit.group import GroupRelative
from merf.curriculum.stream import Stream
from merf.framing.motivation import EXPOSURES, Motivated, Telling
from merf.methods.registry import compose
from merf.objective.policy_gradient import ClippedPolicyGradient
from merf.rollout.played import Played
from merf.rollout.sampled import Sampled
from merf.rules.correctness import Correct
from merf.rules.format import Format
from merf.rules.rulebook import Rulebook
from merf.tasks import TASKS, get, load
from merf.tasks.answers import ANSWERS
from merf.tasks.columns import text_of
from merf.tasks.data import Data, Preset
from merf.tasks.environment import is_played
from merf.train.options import TrainOptions, task_name
from merf.train.run import EvaluationPlan

LONGEST = 16
"""Training prompts that are measured before a run starts: the longest there are."""


def build_task(options: TrainOptions) -> Task:
    """The task these options ask for, from the registry. Errors name what is wrong and the nearest right."""
    name = task_name(options)
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in options.task_options.items()}
    if options.data and options.task:
        if name in ANSWERS:
            return get(f"data:{options.data}", **{"verifier": name, **given})
        presets = [known for known, home in TASKS.items() if isinstance(load(home), Preset)]
        if name not in presets:
            raise ValueError(
                f"--task {name} and --data can't go together: leave --task out, or say how the data's answers are "
                f"judged with one of {', '.join([*ANSWERS, *presets])}"
            )
        given["data"] = options.data
    if name == "knights-knaves":
        given = {"people": options.people, **given}
    return get(name, **given)


def paper_rulebook(layout: Layout | None = None) -> Rulebook:
    """The reward of MeRF and Logic-RL: +2 / −1.5 / −2 for the answer, ±1 for keeping to the layout."""
    form = Format(good=1.0, bad=-1.0, layout=layout or ThinkAnswer())
    return Rulebook(Correct(right=2.0, wrong=-1.5, unreadable=-2.0), form)


def build_rulebook(options: TrainOptions, task: Task) -> Rulebook:
    """The rulebook named in the options, or the paper's in the task's layout."""
    return Rulebook.load(options.rulebook) if options.rulebook else paper_rulebook(task.layout)


def build_recipe(options: TrainOptions, task: Task, rulebook: Rulebook | None = None) -> Recipe:
    """The recipe these options describe: GRPO on the task, the motivation as asked for, then the methods."""
    m, o = options.motivation, options.objective
    telling = Telling(m.variant, m.style, m.wording)
    recipe = Recipe(
        task=task,
        rulebook=build_rulebook(options, task) if rulebook is None else rulebook,
        framing=Motivated(task.instruction, telling, m.position, EXPOSURES[m.exposure], m.learning),
        rollout=Played(task, options.group_size) if is_played(task) else Sampled(options.group_size),
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
    return compose(recipe, options.methods)


def evaluation_plan(options: TrainOptions, recipe: Recipe) -> EvaluationPlan:
    """Held-out problems, framed without the motivation and with the true one. ValueError if there are none."""
    m, e = options.motivation, options.evaluation
    problems = list(islice(recipe.task.problems("test", 0), e.problems))
    if not problems:
        raise ValueError(
            f"{recipe.task.name} has no problems to evaluate on: hold out more of the data (--set holdout=0.3), "
            "or name a file of test problems (--set test=FILE)"
        )
    truth = Motivated(recipe.task.instruction, Telling("truth", m.style, m.wording), m.position)

    def bare(problem: Problem) -> Messages:
        return truth.frame(problem, recipe.rulebook, told=False).acting

    def told(problem: Problem) -> Messages:
        return truth.frame(problem, recipe.rulebook, told=True).acting

    return EvaluationPlan(
        problems=problems,
        prompts={"bare": bare, "told": told},
        every=e.every,
        samples=e.samples,
        quick=e.quick_samples,
        quick_problems=e.quick_problems,
    )


def longest_problems(options: TrainOptions, task: Task) -> list[Problem]:
    """The longest of the training problems: of a dataset, of all that the run will draw; a generator makes its
    problems much alike, so a few of them speak for all."""
    drawn = options.steps * options.problems if isinstance(task, Data) else LONGEST
    problems = islice(task.problems("train", options.seed), drawn)
    return heapq.nlargest(LONGEST, problems, key=lambda problem: len(text_of(problem.prompt)))
