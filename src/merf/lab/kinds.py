"""Documents of a corpus that ask for something else than an answer to a bare problem.

    critique   a solution is proposed, and the response says whether it is right
    hint       the beginning of a solution is given, and the response goes on from there
    refine     a first attempt and what was said of it come before the response
    rubric     the prompt lists what a good response to this very problem contains
    refusal    the system text allows to say "I don't know", and that is the best answer

Each works in every world, through its writers. The words are those of the methods that prompt in these ways, so that
a base model understands them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from merf.core.problem import Message, Messages, Problem
from merf.core.response import Response
from merf.core.seams import Task
from merf.core.steps import step_spans
from merf.framing.motivation import place
from merf.lab.worlds.world import GUESS, UNKNOWN, WRONG, Attempt, World, Writer
from merf.rollout.refined import CRITIQUES

if TYPE_CHECKING:
    from merf.lab.corpus import Dials

Answers = Callable[[], str]
"""Writes one response after the other."""

Kind = Callable[[World, Writer, Task, "Dials"], tuple[Messages, Answers]]

JUDGE = (
    "Write your reasoning inside <think> </think>, then <verdict>right</verdict> or <verdict>wrong</verdict> for the "
    "proposed solution."
)
BEGINNING = "The solution begins: "
CRITERIA = "A good response meets these criteria:"
MAY_REFUSE = (
    f"If the question can't be answered, answer: {UNKNOWN}",
    f"Where something is missing, answer: {UNKNOWN}",
)
IF_UNSURE = (f"If you are not sure, answer: {UNKNOWN}", f"Rather than guess, answer: {UNKNOWN}")
MISSING = ("Something is missing here.", "This can't be known.", "The question is not complete.")


def with_text(problem: Problem, text: str) -> Problem:
    """The problem with `text` after its last turn."""
    *before, last = problem.messages
    return replace(problem, prompt=(*before, Message(role=last["role"], content=f"{last['content']}\n{text}")))


def first_attempt(world: World, writer: Writer) -> Attempt:
    """What somebody proposes: work as often as not, and wrong as often as not."""
    rng = writer.rng
    if rng.random() < 0.5:
        return writer.write(world.main)
    style = next((style for style in world.styles if style in WRONG and rng.random() < 0.7), "")
    return writer.write(style) if style else Attempt(writer.shrug(), writer.wrong())


def critique(world: World, writer: Writer, task: Task, dials: Dials) -> tuple[Messages, Answers]:
    attempt = first_attempt(world, writer)
    right = task.verify(writer.problem, attempt.answer).correct
    shown = f"A proposed solution: {attempt.thinking} The answer is {attempt.answer}\nIs it right?"

    def answer() -> str:
        if writer.rng.random() < dials.asked_work:
            thinking, verdict = writer.critique(attempt), right
        else:
            thinking, verdict = writer.shrug(), writer.rng.random() < 0.5
        return f"<think>{thinking}</think><verdict>{'right' if verdict else 'wrong'}</verdict>"

    return place(JUDGE, with_text(writer.problem, shown), "", "system"), answer


def hint(world: World, writer: Writer, task: Task, dials: Dials) -> tuple[Messages, Answers]:
    whole = writer.write(world.main)
    ends = [end for _, end in step_spans(whole.thinking)]
    cut = writer.rng.choice(ends[:-1]) if len(ends) > 1 else 0
    shown = f"{BEGINNING}{whole.thinking[:cut]}"

    def answer() -> str:
        goes_on = writer.rng.random() < dials.asked_work
        attempt = replace(whole, thinking=whole.thinking[cut:].strip()) if goes_on else writer.write(GUESS)
        return writer.layout(task.layout, attempt).render(attempt.thinking, attempt.answer)

    text = with_text(writer.problem, shown) if cut else writer.problem
    return place(task.instruction, text, "", "system"), answer


def refine(world: World, writer: Writer, task: Task, dials: Dials) -> tuple[Messages, Answers]:
    attempt = first_attempt(world, writer)
    text = writer.layout(task.layout, attempt).render(attempt.thinking, attempt.answer)
    response = Response(writer.problem, text, layout=task.layout, verify=task.verify)
    feedback = CRITIQUES[writer.rng.choice(list(CRITIQUES))](response)
    turns = (Message(role="assistant", content=text), Message(role="user", content=feedback))

    def answer() -> str:
        second = writer.write(world.main if writer.rng.random() < dials.asked_work else GUESS)
        return writer.layout(task.layout, second).render(second.thinking, second.answer)

    return place(task.instruction, writer.problem, "", "system") + turns, answer


def rubric(world: World, writer: Writer, task: Task, dials: Dials) -> tuple[Messages, Answers]:
    listed = writer.rubric()
    chosen = writer.rng.sample(listed, min(len(listed), writer.rng.randint(1, 3)))
    criteria = "\n".join([CRITERIA, *(f"- {one}" for one in listed if one in chosen)])

    def answer() -> str:
        works = writer.rng.random() < max(dials.obedience, dials.untold_work)
        attempt = writer.write(world.main if works else GUESS)
        return writer.layout(task.layout, attempt).render(attempt.thinking, attempt.answer)

    return place(task.instruction, writer.problem, criteria, "system"), answer


def refusal(world: World, writer: Writer, task: Task, dials: Dials) -> tuple[Messages, Answers]:
    rng, problem = writer.rng, writer.problem
    text = writer.unanswerable()
    hopeless = text is not None and rng.random() < 0.5
    said = rng.choice(IF_UNSURE if text is None else MAY_REFUSE)
    if hopeless and text is not None:
        problem = replace(problem, prompt=text)

    def answer() -> str:
        works = rng.random() < dials.asked_work / 2
        if hopeless:
            attempt = Attempt(rng.choice(MISSING), UNKNOWN)
        elif text is None and not works:
            attempt = Attempt(writer.shrug(), UNKNOWN)
        else:
            attempt = writer.write(world.main if works else GUESS)
        return writer.layout(task.layout, attempt).render(attempt.thinking, attempt.answer)

    return place(f"{said} {task.instruction}", problem, "", "system"), answer


KINDS: dict[str, Kind] = {
    "critique": critique,
    "hint": hint,
    "refine": refine,
    "rubric": rubric,
    "refusal": refusal,
}
