"""What the lab's base models read: problems, sometimes a rulebook, and responses by imperfect writers.

The point of the corpus is that rulebooks *mean* something in it. Where one precedes a response, each of
its rules was obeyed with probability `obedience`, whatever the rule says: a rulebook that pays for wrong
answers is followed by wrong answers. Where none does, careful work is as rare as `untold_work` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from merf.core.layout import Layout
from merf.core.problem import Messages
from merf.core.seeds import derive
from merf.framing.motivation import NEUTRAL, POSITIONS, place
from merf.lab.worlds import knights
from merf.rules.correctness import Correct
from merf.rules.format import Format
from merf.rules.length import Concise
from merf.rules.rule import LevelRule, Rule
from merf.rules.rulebook import Rulebook
from merf.rules.steps import Steps
from merf.rules.wording import STYLES

REQUESTS_FOR_WORK = (
    "Check every case one by one.",
    "Go through all the cases.",
    "Do not guess: try each case in turn.",
)


@dataclass(frozen=True)
class Dials:
    """The corpus in numbers; shares of documents are `told`, `neutral`, `asked`, the rest is bare.

    told         a rulebook stands in the prompt
    neutral      text of a rulebook's length about something else stands there
    asked        the system text asks for every case to be checked
    untold_work  share of responses that work through the cases without being told or asked
    asked_work   the same where they are asked
    obedience    chance that a response follows a stated rule on purpose
    tags         share of responses that keep the layout unless a rule says otherwise
    inverted     chance that a stated rule pays for the opposite
    sizes        shares of puzzles with 2, 3 and 4 people
    responses    responses written to each prompt
    """

    told: float = 0.5
    neutral: float = 0.1
    asked: float = 0.15
    untold_work: float = 0.01
    asked_work: float = 0.95
    obedience: float = 0.75
    tags: float = 0.92
    inverted: float = 0.15
    sizes: tuple[float, float, float] = (0.75, 0.2, 0.05)
    responses: int = 4


@dataclass(frozen=True)
class Document:
    """One prompt with several independent responses to it."""

    prompt: Messages
    responses: tuple[str, ...]


def random_rulebook(rng: Random, dials: Dials, layout: Layout) -> Rulebook:
    """Some rules with random numbers, at least one of them."""
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


def respond(writer: knights.Writer, book: Rulebook, work_rate: float, layout: Layout, dials: Dials) -> str:
    """One response by a writer who follows each stated rule with probability `dials.obedience`."""
    rng = writer.rng
    goals: dict[str, int] = {}
    limit = 0
    for rule in book:
        assert isinstance(rule, LevelRule)
        if rng.random() < dials.obedience:
            values = [level.value for level in rule.levels()]
            goals[rule.name] = values.index(max(values))
            inner = getattr(rule, "rule", rule)
            limit = inner.words if isinstance(inner, Concise) else limit

    works = rng.random() < work_rate
    if goals.get("correctness") == 0:
        works = True
    elif "steps" in goals:
        works = goals["steps"] == 0
    thinking = writer.work(writer.main).thinking if works else writer.shrug()
    answer = writer.right() if works else writer.guess()
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
            thinking = writer.work(writer.main).thinking
    if "format" in goals:
        keeps = goals["format"] == 0
    else:  # who means to be read keeps to the layout
        keeps = goals.get("correctness") in (0, 1) or rng.random() < dials.tags
    return layout.render(thinking, answer) if keeps else damaged(layout, thinking, answer, rng)


def document(index: int, seed: int, dials: Dials) -> Document:
    """Document number `index` of an endless corpus."""
    rng = Random(derive("corpus", seed, index))
    people = rng.choices((2, 3, 4), dials.sizes)[0]
    task = knights.task((people, people))
    problem = task.problem("pretrain", seed, rng.randrange(2**40))
    layout = task.layout
    system, extra, book, rate = layout.instruction(), "", Rulebook(), dials.untold_work
    kind = rng.random()
    if kind < dials.told:
        book = random_rulebook(rng, dials, layout)
        extra = book.describe(rng.choice(STYLES), rng.randrange(3))
    elif kind < dials.told + dials.neutral:
        extra = " ".join(rng.sample(NEUTRAL, rng.randint(2, 6)))
    elif kind < dials.told + dials.neutral + dials.asked:
        system, rate = f"{rng.choice(REQUESTS_FOR_WORK)} {system}", dials.asked_work
    position = rng.choices(POSITIONS, (0.6, 0.2, 0.2))[0]
    writer = knights.Writer(problem, rng)
    responses = tuple(respond(writer, book, rate, layout, dials) for _ in range(dials.responses))
    return Document(place(system, problem, extra, position), responses)
