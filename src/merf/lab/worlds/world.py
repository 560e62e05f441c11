"""What a small world is: a task, people who write responses to its problems, and how to tell their styles apart.

A world's task makes problems and judges answers; it knows nothing of writing. Its writers turn a problem into
responses in several styles, of which a corpus is mixed (`merf.lab.corpus`). To add a world, subclass `World` and
`Writer` in a module of this folder, list the world in `merf.lab.worlds.WORLDS`, and put its mixture beside it as
NAME.toml.

Styles that every world means the same by:

    careful   every step written out; right
    terse     the fewest words that still lead to the answer; right
    verbose   careful, with words around it; right
    checked   careful, then a check of the result; right
    lucky     a step is wrong and the answer right
    flawed    a step is wrong, and so is the answer that follows from it
    guess     no work at all; right as often as luck has it

The first of `World.styles` is the one an experiment wants to see more of: its *work*. A world may have styles of
its own besides.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Any, ClassVar, Protocol, cast

from merf.core.layout import Layout
from merf.core.problem import Problem
from merf.core.seams import Task
from merf.core.seeds import derive
from merf.core.steps import StepChecker, step_spans
from merf.rules.rule import Rule

GUESS = "guess"
WRONG = frozenset({"flawed"})
"""Styles whose answer is wrong: nobody who means to be right writes in them."""

SHRUGS = ("I guess.", "Let me guess.", "This looks easy.", "Hard to say.", "I have a feeling about this.")
EVASIONS = ("I will not say.", "Nobody knows.", "No answer.")
UNKNOWN = "I don't know."


class NumberedTask(Task, Protocol):
    """A task whose problems can be made by number, as all procedural ones can."""

    def problem(self, split: str, seed: int, index: int) -> Problem: ...


@dataclass(frozen=True)
class Attempt:
    """The two parts of a response, before they are laid out."""

    thinking: str
    answer: str


@dataclass(frozen=True)
class Writer(ABC):
    """Writes to one problem. Everything it does depends on the problem and on `rng` alone."""

    problem: Problem
    rng: Random

    main: ClassVar[str] = "careful"
    """The first of the world's styles."""

    @abstractmethod
    def work(self, style: str) -> Attempt:
        """Thinking and answer in one of the world's styles, any but "guess". The sentences of the thinking, or its
        lines, are its steps (`merf.core.steps.step_spans`)."""

    @abstractmethod
    def wrong(self) -> str:
        """A readable answer that is wrong, such as one might believe."""

    @property
    @abstractmethod
    def luck(self) -> float:
        """How often a guess at this problem is right."""

    def right(self) -> str:
        """The right answer."""
        return str(self.problem.meta["solution"])

    def guess(self) -> str:
        return self.right() if self.rng.random() < self.luck else self.wrong()

    def shrug(self) -> str:
        """What stands in the place of work."""
        return self.rng.choice(SHRUGS)

    def evasive(self) -> str:
        """Something no verifier can read as an answer."""
        return self.rng.choice(EVASIONS)

    def write(self, style: str) -> Attempt:
        if style == GUESS:
            return Attempt(self.shrug(), self.guess())
        return self.work(style)

    def steps(self, style: str) -> list[str]:
        """The steps of a response in this style, one by one."""
        thinking = self.work(style).thinking
        return [thinking[start:end].strip() for start, end in step_spans(thinking)]

    def layout(self, layout: Layout, attempt: Attempt) -> Layout:
        """How this attempt is laid out, given the task's layout: a world whose responses state more than thinking and
        answer (a confidence) says it here."""
        return layout

    def obey(self, rule: Rule, attempt: Attempt) -> Attempt:
        """The attempt made to earn what one of `World.rules` pays for."""
        return attempt

    def critique(self, attempt: Attempt) -> str:
        """The thinking of somebody who checks an attempt: by default, own work and a comparison."""
        own = self.work(self.main)
        return f"{own.thinking} I get {own.answer}, it says {attempt.answer}."

    def rubric(self) -> list[str]:
        """What a good response to this very problem contains, one phrase for each criterion, taken from careful work:
        every response in the main style fulfils them all."""
        return [f"it says: {step}" for step in self.steps(self.main)]

    def unanswerable(self) -> str | None:
        """The problem's text changed so that nobody can answer it; None where the world has no such problems."""
        return None


class World(ABC):
    """One small world.

    name      also the name of its module, its mixture and its base model
    task_name the task in `merf.tasks`, and `fixed` the options of it that every base of this world needs
    dial      the task's option that takes a range of difficulties, (lowest, highest)
    levels    the difficulties that occur in a corpus, easiest first; `meta["difficulty"]` of its problems
    level     the one at which experiments are run
    styles    all styles of writing but "guess", the main one first
    openings  for every style that shows from its first words: these words, in which {…} are keys of the problem's meta
    marks     for every style that can be recognised: a pattern that occurs in its responses and in no style's after it
    requests  for styles that can be asked for: what the system text may say to that end
    tokens    the length limit of a response, for measuring
    checker   follows the work step by step, where this world's can be followed
    """

    name: ClassVar[str]
    task_name: ClassVar[str]
    dial: ClassVar[str]
    levels: ClassVar[tuple[int, ...]]
    level: ClassVar[int]
    styles: ClassVar[tuple[str, ...]]
    openings: ClassVar[Mapping[str, str]]
    marks: ClassVar[Mapping[str, str]]
    requests: ClassVar[Mapping[str, tuple[str, ...]]]
    fixed: ClassVar[Mapping[str, Any]] = {}
    tokens: ClassVar[int] = 400
    checker: ClassVar[StepChecker | None] = None

    @abstractmethod
    def writer(self, problem: Problem, rng: Random) -> Writer: ...

    @property
    def main(self) -> str:
        """The style that counts as work."""
        return self.styles[0]

    def options(self, lowest: int, highest: int) -> dict[str, Any]:
        """The task's options for problems of these difficulties."""
        return {**self.fixed, self.dial: (lowest, highest)}

    def task(self, lowest: int, highest: int) -> NumberedTask:
        from merf.tasks import get

        task: NumberedTask = cast(Any, get(self.task_name, **self.options(lowest, highest)))
        return task

    def problem(self, level: int, seed: int, number: int) -> Problem:
        """A problem for the corpus, never one of the test split."""
        return self.task(level, level).problem("train", derive("pretrain", seed), number)

    def held_out(self, level: int, n: int) -> list[Problem]:
        """The `n` problems on which a base model is measured at this difficulty."""
        return list(islice(self.task(level, level).problems("test", derive("card")), n))

    def rules(self, rng: Random) -> tuple[Rule, ...]:
        """Rules of this world's own that a random rulebook has beside the usual ones; see `Writer.obey`."""
        return ()

    def opening(self, problem: Problem, style: str) -> str:
        """Text that commits a response to a style of writing."""
        layout = self.task(self.level, self.level).layout
        if style == GUESS:
            return layout.render("I guess.", "?").partition("?")[0]
        words = self.openings[style].format(**problem.meta)
        before, _, _ = layout.render(words, "?").partition(words)
        return before + words

    def recognise(self, text: str) -> str:
        """The style that a response is written in: the first whose mark it bears, or "guess"."""
        return next((style for style, mark in self.marks.items() if re.search(mark, text)), GUESS)

    def works(self, text: str) -> bool:
        """Whether a response shows any work."""
        return self.recognise(text) != GUESS

    def render(self, problem: Problem, style: str = "", seed: int = 0) -> str:
        """A reference response: the problem's solution in one of the world's styles, laid out."""
        writer = self.writer(problem, Random(derive("reference", problem.id, seed)))
        attempt = writer.write(style or self.main)
        return writer.layout(self.task(self.level, self.level).layout, attempt).render(attempt.thinking, attempt.answer)

    def samples(self, split: str = "train", seed: int = 0) -> Iterator[Problem]:
        """Problems of all the world's difficulties."""
        return self.task(self.levels[0], self.levels[-1]).problems(split, seed)
