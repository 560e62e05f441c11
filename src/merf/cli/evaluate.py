"""`merf evaluate`: audits of trained models and of those who judge them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

if TYPE_CHECKING:
    from merf.core.recipe import Recipe
    from merf.evaluate.accuracy import Evaluation
    from merf.policy.policy import Policy
    from merf.report.finding import Finding
    from merf.train.options import TrainOptions
    from merf.train.run import EvaluationPlan

FOLDER = Path("runs/evaluate")
CONFIDENCES = {
    "stated": "stated in the response, as the prompt asks",
    "read": "read off the likelihood of what the response would state next",
}


@dataclass(frozen=True)
class Asked:
    """What is asked, and how. Of a run, its own options hold unless others are given."""

    task: str | None = None
    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="OPTION=VALUE")] = ()
    """Options of the task, as in `merf train`."""
    people: tuple[int, int] | None = None
    """Knights & Knaves: fewest and most people in a puzzle."""
    told: bool = False
    """Ask with the rules in the prompt."""
    problems: int = 100
    """Held-out problems."""
    samples: int = 16
    """Responses to each."""
    temperature: float | None = None
    """Default: that of training."""
    max_tokens: int | None = None
    seed: int = 0
    device: str = "cpu"
    threads: int = 1


@dataclass(frozen=True)
class Limits:
    """What has training added? Pass@k of a trained model and of its base, the problems that only one of them solves,
    and how likely the base finds the trained model's responses (arXiv 2504.13837)."""

    model: Annotated[str, tyro.conf.Positional]
    """A run's folder, or a model."""
    base: str = ""
    """The model before training. Default: the one the run started from."""
    asked: Annotated[Asked, tyro.conf.arg(name="")] = field(default_factory=Asked)
    out: Path = FOLDER


@dataclass(frozen=True)
class Judge:
    """Can whoever judges be opened with a master key? Content-free responses, right and wrong ones against a task's
    verifier, a rulebook (--rulebook), or a language model that is asked for its verdict (--model alone)
    (arXiv 2507.08794)."""

    rulebook: str = ""
    """A .toml file, or package.module:name."""
    model: str = ""
    """A run's folder or a model: the judge, or with --rulebook the one that its rules ask."""
    without_question: bool = False
    """The model is shown the reference answer and the response, not the question."""
    task: str = "knights-knaves"
    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="OPTION=VALUE")] = ()
    problems: int = 50
    seed: int = 0
    device: str = "cpu"
    threads: int = 1
    out: Path = FOLDER


@dataclass(frozen=True)
class Confidence:
    """Does a model know when it is right? Calibration error, Brier score and AUROC of its confidence, with a
    reliability diagram (arXiv 2504.06564)."""

    model: Annotated[str, tyro.conf.Positional]
    """A run's folder, or a model."""
    how: Literal["stated", "read"] = "stated"
    """stated: the prompt asks for a confidence in every response; read: the response is continued with an opened
    confidence tag, and its likelihoods there are read, for models that can't be asked."""
    asked: Annotated[Asked, tyro.conf.arg(name="")] = field(default_factory=Asked)
    out: Path = FOLDER


Command = (
    Annotated[Limits, tyro.conf.subcommand("limits")]
    | Annotated[Judge, tyro.conf.subcommand("judge")]
    | Annotated[Confidence, tyro.conf.subcommand("confidence")]
)


def main(arguments: Sequence[str]) -> None:
    command = tyro.cli(Command, args=list(arguments), prog="merf evaluate")
    match command:
        case Limits():
            found, facts = limits(command)
        case Judge():
            found, facts = judge(command)
        case Confidence():
            found, facts = confidence(command)
    show(found, facts)
    print(found.write(command.out, facts, f"merf evaluate {shlex.join(arguments)}"))


def limits(command: Limits) -> tuple[Finding, str]:
    import numpy as np

    from merf.evaluate.limits import limits, perplexity
    from merf.lab.bases import resolve
    from merf.report.finding import of_limits

    options, weights = opened(command.model)
    base = command.base or (options.model if weights != resolve(options.model) else "")
    if not base:
        raise ValueError(f"{command.model} is no run's folder, so its base isn't known: name it with --base")
    recipe, plan = setting(options, command.asked)
    judge = loaded(opened(base)[1], command.asked)
    theirs = drawn(judge, recipe, plan, command.asked)
    ours = drawn(loaded(weights, command.asked), recipe, plan, command.asked)

    def right(found: Evaluation) -> Any:
        marks = [response.verdict.correct is True for response in found.responses]
        return np.array(marks).reshape(-1, command.asked.samples).sum(1)

    def surprise(found: Evaluation) -> list[float]:
        said = [response.extras["ids"] for response in found.responses]
        return [perplexity(row) for row in judge.logprobs([judge.prompt(p) for p in found.prompts], said)]

    result = limits(right(theirs), right(ours), command.asked.samples, (surprise(theirs), surprise(ours)))
    return of_limits(result), described(f"{command.model} beside {base}", recipe, plan, command.asked)


def judge(command: Judge) -> tuple[Finding, str]:
    from merf.audit.cases import draw_cases
    from merf.audit.sample import careful
    from merf.cli.audit import progress
    from merf.cli.tasks import options_of
    from merf.evaluate.master_keys import Grader, by_model, by_rules, by_verifier, master_keys
    from merf.framing.motivation import Motivated
    from merf.report.finding import of_master_keys
    from merf.rules.rulebook import Rulebook
    from merf.tasks import get

    task = get(command.task, **options_of(command.set))
    asked = Asked(device=command.device, threads=command.threads)
    policy = loaded(opened(command.model)[1], asked) if command.model else None
    grader: Grader
    threshold: float | None = 0.5
    if command.rulebook:
        threshold = None
        book, framing = Rulebook.load(command.rulebook), Motivated(task.instruction)
        if policy is not None:
            policy.freeze_reference()
        grader = by_rules(book, policy, lambda problem: framing.frame(problem, book, told=False).acting)
        name = command.rulebook + (f", asking {command.model}" if policy else "")
    elif policy is not None:
        grader, name = by_model(policy, not command.without_question), command.model
        name += " without the question" if command.without_question else ""
    else:
        grader, name = by_verifier, f"the verifier of {task.name}"
    cases = draw_cases(task, command.problems, command.seed, progress)
    found = master_keys(grader, cases, careful(task.verify), threshold=threshold)
    return of_master_keys(found, name), f"{found.problems} problems of {task.name}, seed {command.seed}."


def confidence(command: Confidence) -> tuple[Finding, str]:
    import numpy as np

    from merf.core.layout import ThinkAnswerConfidence
    from merf.evaluate.calibration import calibration
    from merf.evaluate.confidence import read, stated
    from merf.report.finding import of_confidence
    from merf.rules.conditions import right_answers

    options, weights = opened(command.model)
    recipe, plan = setting(options, command.asked, ThinkAnswerConfidence() if command.how == "stated" else None)
    policy = loaded(weights, command.asked)
    responses = drawn(policy, recipe, plan, command.asked).responses
    sure = stated(responses) if command.how == "stated" else read(responses, policy)
    length = np.array([float(response.tokens) for response in responses])
    found = calibration(sure, right_answers(responses), responses.group, length)
    return of_confidence(found, CONFIDENCES[command.how]), described(command.model, recipe, plan, command.asked)


def opened(source: str) -> tuple[TrainOptions, str]:
    """The options of a run's folder and where its newest weights are; plain options for a model."""
    from merf.core.toml import read_toml
    from merf.lab.bases import resolve
    from merf.train import checkpoint
    from merf.train.options import TrainOptions, from_dict

    folder = Path(source)
    if not (folder / "config.toml").exists():
        return TrainOptions(model=source), resolve(source)
    saved = checkpoint.all_in(folder / "checkpoints")
    if not saved:
        raise ValueError(f"{folder} has no checkpoint yet: let it train, or continue it with `merf train --resume`")
    return from_dict(read_toml(folder / "config.toml")), str(saved[-1] / "model")


def setting(options: TrainOptions, asked: Asked, layout: Any = None) -> tuple[Recipe, EvaluationPlan]:
    """The recipe in which responses are drawn, and what is asked of them; in another layout, if one is given."""
    from merf.cli.tasks import options_of
    from merf.lab.worlds import task_for
    from merf.methods.rlcr import laid_out
    from merf.rules.correctness import Correct
    from merf.rules.rulebook import Rulebook
    from merf.train.build import build_recipe, evaluation_plan

    options = replace(
        options,
        task=asked.task or options.task,
        data=options.data if asked.task is None else None,
        people=asked.people or options.people,
        max_tokens=asked.max_tokens or options.max_tokens,
        task_options={**(options.task_options if asked.task is None else {}), **options_of(asked.set)},
        evaluation=replace(options.evaluation, problems=asked.problems),
    )
    recipe = build_recipe(options, task_for(options))
    if layout is not None and not isinstance(recipe.task.layout, type(layout)):
        recipe = recipe.but(task=laid_out(recipe.task, layout))
    plan = evaluation_plan(options, recipe)
    # Nothing is paid here, and rules that ask a model would only cost time.
    return recipe.but(rulebook=Rulebook(Correct()), judges=()), plan


def loaded(weights: str, asked: Asked) -> Policy:
    import torch
    import transformers

    from merf.policy.policy import Policy

    torch.set_num_threads(asked.threads)
    transformers.utils.logging.disable_progress_bar()
    return Policy.load(weights, asked.device)


def drawn(policy: Policy, recipe: Recipe, plan: EvaluationPlan, asked: Asked) -> Evaluation:
    """The model's responses to the plan's problems."""
    from rich.console import Console

    from merf.evaluate.accuracy import Mode, evaluate
    from merf.train.context import StepContext
    from merf.train.parallel import World

    mode: Mode = "told" if asked.told else "bare"
    ctx = StepContext(recipe, policy, World())
    with Console(stderr=True).status(f"{len(plan.problems)} problems, {asked.samples} responses each"):
        return evaluate(
            ctx.sample_all,
            recipe,
            plan.problems,
            plan.prompts[mode],
            mode,
            asked.samples,
            asked.seed,
            asked.temperature,
            likelihood=policy,
        )


def described(what: str, recipe: Recipe, plan: EvaluationPlan, asked: Asked) -> str:
    temperature = recipe.sampling.temperature if asked.temperature is None else asked.temperature
    return (
        f"{what}; {len(plan.problems)} held-out problems of {recipe.task.name}, {asked.samples} responses each at "
        f"temperature {temperature:g}, asked {'with' if asked.told else 'without'} the rules, seed {asked.seed}."
    )


def show(found: Finding, facts: str) -> None:
    """The tables, in the terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    console.print(Text(found.title, style="bold"), Text(facts, style="dim"), sep="\n")
    for section in found.sections:
        table = Table(*section.header, title=section.title, title_justify="left", box=None, header_style="bold")
        for row in section.rows:
            table.add_row(*map(Text, row))
        console.print()
        console.print(table)
        if section.note:
            console.print(Text(section.note, style="dim"))
    console.print()
    console.print(Text(found.lead))
