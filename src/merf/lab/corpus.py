"""What the lab's base models read: problems, sometimes a rulebook, and responses by imperfect writers.

The point of the corpus is that rulebooks *mean* something in it. Where one precedes a response, each of
its rules was obeyed with probability `obedience`, whatever the rule says: a rulebook that pays for wrong
answers is followed by wrong answers. Where none does, careful work is as rare as `untold_work` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from merf.core.layout import Layout
from merf.core.problem import Messages
from merf.core.seeds import derive
from merf.framing.motivation import NEUTRAL, POSITIONS, place
from merf.lab.kinds import KINDS
from merf.lab.worlds import get
from merf.lab.worlds.world import GUESS, WRONG, Attempt, World, Writer
from merf.rules.correctness import Correct
from merf.rules.format import Format
from merf.rules.length import Concise
from merf.rules.rule import LevelRule, Rule
from merf.rules.rulebook import Rulebook
from merf.rules.steps import Steps
from merf.rules.wording import STYLES


@dataclass(frozen=True)
class Dials:
    """The corpus in numbers; shares of documents are `told`, `neutral`, `asked`, the rest is bare.

    world        whose problems they are (`merf.lab.worlds`)
    told         a rulebook stands in the prompt
    neutral      text of a rulebook's length about something else stands there
    asked        the system text asks for work, in the world's words
    untold_work  share of responses that work through the cases without being told or asked
    asked_work   the same where they are asked
    obedience    chance that a response follows a stated rule on purpose
    tags         share of responses that keep the layout unless a rule says otherwise
    inverted     chance that a stated rule pays for the opposite
    sizes        shares of the world's difficulties, easiest first (knights: puzzles with 2, 3 and 4 people)
    responses    responses written to each prompt
    styles       shares of the world's styles among responses that work; only its first one if none are given
    critique, hint, refine, rubric, refusal    shares of the documents described in `merf.lab.kinds`
    """

    world: str = "knights"
    told: float = 0.5
    neutral: float = 0.1
    asked: float = 0.15
    untold_work: float = 0.01
    asked_work: float = 0.95
    obedience: float = 0.75
    tags: float = 0.92
    inverted: float = 0.15
    sizes: tuple[float, ...] = (0.75, 0.2, 0.05)
    responses: int = 4
    styles: dict[str, float] = field(default_factory=dict)
    critique: float = 0.0
    hint: float = 0.0
    refine: float = 0.0
    rubric: float = 0.0
    refusal: float = 0.0


@dataclass(frozen=True)
class Document:
    """One prompt with several independent responses to it."""

    prompt: Messages
    responses: tuple[str, ...]


def random_rulebook(rng: Random, dials: Dials, layout: Layout) -> Rulebook:
    """Some rules with random numbers, at least one of them, and what the world has of its own."""
    sizes = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 10.0)
    rules: list[Rule] = []
    if rng.random() < 0.75:
        wrong = -rng.choice((0.0, *sizes[:6]))
        rules.append(Correct(rng.choice(sizes), wrong, wrong - rng.choice((0.0, 0.5, 1.0))))
    if rng.random() < 0.6:
        rules.append(Format(rng.choice(sizes[:6]), -rng.choice((0.0, *sizes[:6])), layout))
    if rng.random() < 0.2:
        rules.append(Concise(rng.choice((10, 20, 30, 40, 60, 80)), rng.choice(sizes[:4]), -rng.choice(sizes[:4])))
    if rng.random() < 0.2:
        rules.append(Steps(rng.choice((2, 3, 4)), rng.choice(sizes[:4]), -rng.choice(sizes[:4])))
    rules.extend(get(dials.world).rules(rng))
    if not rules:
        return random_rulebook(rng, dials, layout)
    return Rulebook(*(-rule if rng.random() < dials.inverted else rule for rule in rules))


def damaged(layout: Layout, thinking: str, answer: str, rng: Random) -> str:
    """The same content in a broken layout."""
    whole = layout.render(thinking, answer)
    tags = [tag for tag in ("<think>", "</think>", "<answer>", "</answer>") if tag in whole]
    match rng.randrange(5):
        case 0:
            return whole.replace(rng.choice(tags), "")
        case 1:
            return f"{thinking} {answer}"
        case 2:
            return f"{thinking} {layout.render('', answer)}".replace("<think></think>", "")
        case 3:
            return whole + f" {answer}"
        case _:
            tag = rng.choice(tags)
            return whole.replace(tag, tag + tag)


def drawn_style(world: World, dials: Dials, rng: Random, goals: dict[str, int]) -> str:
    """A style of work for somebody who wants to reach these levels of these rules."""
    shares = dials.styles or {world.main: 1.0}
    if goals.get("correctness") == 0:
        shares = {style: share for style, share in shares.items() if style not in WRONG}
    if goals.get("steps") == 0 or goals.get("length") == 1:
        return world.main
    if goals.get("length") == 0 and "terse" in shares:
        return "terse"
    return one_of(rng, list(shares), list(shares.values()))


def one_of(rng: Random, what: Sequence[str], shares: Sequence[float]) -> str:
    """One of several by their shares; where there is no choice, no randomness is used."""
    return what[0] if len(what) == 1 else rng.choices(what, shares)[0]


def respond(
    writer: Writer, book: Rulebook, work_rate: float, layout: Layout, dials: Dials, style: str | None = None
) -> str:
    """One response by a writer who follows each stated rule with probability `dials.obedience`. Those who work do so
    in `style`, or else in one that suits the rules they follow."""
    rng, world = writer.rng, get(dials.world)
    goals: dict[str, int] = {}
    limit, others = 0, []
    for rule in book:
        if rng.random() < dials.obedience:
            if not isinstance(rule, LevelRule):
                others.append(rule)
                continue
            values = [level.value for level in rule.levels()]
            goals[rule.name] = values.index(max(values))
            inner = getattr(rule, "rule", rule)
            limit = inner.words if isinstance(inner, Concise) else limit

    works = rng.random() < work_rate
    if goals.get("correctness") == 0:
        works = True
    elif "steps" in goals:
        works = goals["steps"] == 0
    attempt = writer.write((style or drawn_style(world, dials, rng, goals)) if works else GUESS)
    thinking, answer = attempt.thinking, attempt.answer
    match goals.get("correctness"):
        case 1:
            answer = writer.wrong()
        case 2:
            answer = writer.evasive()
    if "length" in goals:
        short = len(layout.render(thinking, answer).split()) <= limit
        if goals["length"] == 0 and not short and rng.random() < 0.5:
            thinking = writer.shrug()
            answer = answer if goals.get("correctness") else writer.guess()
        elif goals["length"] == 1 and short:
            thinking = writer.work(world.main).thinking
    if "format" in goals:
        keeps = goals["format"] == 0
    else:  # who means to be read keeps to the layout
        keeps = goals.get("correctness") in (0, 1) or rng.random() < dials.tags
    attempt = Attempt(thinking, answer)
    for rule in others:
        attempt = writer.obey(rule, attempt)
    own = writer.layout(layout, attempt)
    if keeps:
        return own.render(attempt.thinking, attempt.answer)
    return damaged(own, attempt.thinking, attempt.answer, rng)


def document(index: int, seed: int, dials: Dials) -> Document:
    """Document number `index` of an endless corpus."""
    rng = Random(derive("corpus", seed, index))
    world = get(dials.world)
    level = rng.choices(world.levels, dials.sizes)[0]
    problem = world.problem(level, seed, rng.randrange(2**40))
    task = world.task(level, level)
    system, extra, book, rate = task.instruction, "", Rulebook(), dials.untold_work
    style: str | None = None
    kind = rng.random()
    special = special_kind(dials, kind)
    if special:
        prompt, answers = KINDS[special](world, world.writer(problem, rng), task, dials)
        return Document(prompt, tuple(answers() for _ in range(dials.responses)))
    if kind < dials.told:
        book = random_rulebook(rng, dials, task.layout)
        extra = book.describe(rng.choice(STYLES), rng.randrange(3))
    elif kind < dials.told + dials.neutral:
        extra = " ".join(rng.sample(NEUTRAL, rng.randint(2, 6)))
    elif kind < dials.told + dials.neutral + dials.asked:
        shares = {one: dials.styles[one] for one in world.requests if dials.styles.get(one)} or {world.main: 1.0}
        style = one_of(rng, list(shares), list(shares.values()))
        system, rate = f"{rng.choice(world.requests[style])} {system}", dials.asked_work
    position = rng.choices(POSITIONS, (0.6, 0.2, 0.2))[0]
    writer = world.writer(problem, rng)
    responses = tuple(respond(writer, book, rate, task.layout, dials, style) for _ in range(dials.responses))
    return Document(place(system, problem, extra, position), responses)


def special_kind(dials: Dials, draw: float) -> str:
    """Which of `KINDS` a document is, given a uniform draw; empty for an ordinary one. They share the upper end, so
    that a corpus without them draws nothing that it wouldn't draw otherwise."""
    above = 1.0
    for kind in KINDS:
        above -= getattr(dials, kind)
        if draw >= above:
            return kind
    return ""
