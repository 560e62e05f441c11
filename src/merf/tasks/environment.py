"""Tasks that answer back: tools and games, in turns.

All turns stand in one response. The model writes until it makes a call, `<move>north</move>`; the environment's
reply, `<result>…</result>`, is put behind it; the model goes on from there. What the environment wrote is never
trained on (see `rollout.played`).

    class Environment:  step(call) -> Reply        one attempt under way
    class PlayedTask:   reset(problem) -> Environment, with a layout of `Turns`

An environment must depend on the problem and the calls alone: verdicts are found by playing the calls again.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeGuard

from merf.core.layout import Parsed, ThinkAnswer
from merf.core.problem import Problem
from merf.core.response import Verdict
from merf.tasks.facts import DescribedTask
from merf.tasks.procedural import Procedural

MOST_CALLS = 1000
"""Calls of one response that are looked at."""


@dataclass(frozen=True)
class Reply:
    """What the environment says to a call.

    text     the observation, for the model to read
    done     nothing more can be done in this attempt
    won      the task is solved
    legal    the call was one that the environment knows
    reward   what this turn was worth; the rewards of an attempt add up to at most 1, and to 1 if it is won
    """

    text: str
    done: bool = False
    won: bool = False
    legal: bool = True
    reward: float = 0.0


class Environment(Protocol):
    """One attempt at one problem."""

    def step(self, call: str) -> Reply: ...


class PlayedTask(DescribedTask, Protocol):
    """A task whose responses are played against an environment."""

    @property
    def layout(self) -> Turns: ...

    def reset(self, problem: Problem) -> Environment:
        """A fresh environment. Its first observation is in the problem's prompt."""
        ...


def is_played(task: Any) -> TypeGuard[PlayedTask]:
    """Whether a task is played in turns."""
    return hasattr(task, "reset")


@dataclass(frozen=True)
class Turn:
    """Text of the model's, its call, and the environment's reply to it."""

    before: str
    call: str
    reply: str


def one_line(call: str) -> str:
    return " ".join(call.split())


def harmless(text: str) -> str:
    """Text without angle brackets: whatever a document says, it can't close a reply, open an answer or spell a
    special token."""
    return text.replace("<", "‹").replace(">", "›")


@dataclass(frozen=True)
class Turns:
    """A response in turns. The answer is what was called, one call per line."""

    call: str = "move"
    reply: str = "result"
    most: int = 20
    """Calls after which an attempt ends."""

    @property
    def name(self) -> str:
        return f"{self.call}-{self.reply}"

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(f"<{slash}{tag}>" for tag in (self.call, self.reply) for slash in ("", "/"))

    @property
    def stop(self) -> str:
        """What the model writes when it waits for a reply."""
        return f"</{self.call}>"

    @property
    def shape(self) -> str:
        return f"... <{self.call}>...</{self.call}>, up to {self.most} times"

    def instruction(self) -> str:
        return (
            f"Take a turn by writing <{self.call}> </{self.call}>; what comes of it then stands inside "
            f"<{self.reply}> </{self.reply}>. Think before each turn if you like. There are at most {self.most} turns."
        )

    def last_call(self, written: str) -> str | None:
        """The call that freshly written text ends in, on one line; None if there is none."""
        before, closing, _ = written.rpartition(self.stop)
        _, opening, call = before.rpartition(f"<{self.call}>")
        return one_line(call) if closing and opening else None

    def answered(self, text: str) -> str:
        """An observation as it is put behind a call."""
        return f"\n<{self.reply}>{harmless(text)}</{self.reply}>\n"

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        c, r = re.escape(self.call), re.escape(self.reply)
        # Neither part may run over another tag, which also keeps matching linear in the text's length.
        inside = rf"((?:(?!</?(?:{c}|{r})>).)*)"
        return re.compile(rf"<{c}>{inside}</{c}>\s*<{r}>{inside}</{r}>", re.DOTALL)

    def split(self, text: str) -> tuple[list[Turn], str]:
        """The turns of a response, and what stands after the last reply."""
        turns, end = [], 0
        for found in self._pattern.finditer(text):
            turns.append(Turn(text[end : found.start()], one_line(found[1]), found[2]))
            end = found.end()
        return turns, text[end:]

    def stray(self, pieces: list[str]) -> str:
        """What is wrong where a tag stands outside of any turn; empty if nothing is."""
        return next((f"{tag} outside of a turn" for tag in self.tags for piece in pieces if tag in piece), "")

    def parse(self, text: str) -> Parsed:
        turns, tail = self.split(text)
        pieces = [*(turn.before for turn in turns), tail]
        thinking = "\n".join(piece.strip() for piece in pieces).strip()
        fault = self.stray(pieces) or ("" if turns else f"no <{self.call}>")
        if not fault and len(turns) > self.most:
            fault = f"more than {self.most} calls"
        return Parsed(thinking, None, fault) if fault else Parsed(thinking, self._calls(turns))

    def find(self, text: str) -> str | None:
        turns, _ = self.split(text)
        return self._calls(turns) if turns else None

    @staticmethod
    def _calls(turns: list[Turn]) -> str:
        return "\n".join(turn.call for turn in turns)

    def render(self, thinking: str, answer: str) -> str:
        calls = [f"<{self.call}>{line}</{self.call}>{self.answered('…')}" for line in answer.split("\n")]
        return f"{thinking}\n{''.join(calls)}"


@dataclass(frozen=True)
class LookUps(Turns):
    """Turns with a tool, each opened by thinking, and at last an answer: `<think>…</think><search>…</search>`, the
    tool's `<information>…</information>`, …, `<think>…</think><answer>…</answer>` (Search-R1, arXiv 2503.09516)."""

    call: str = "search"
    reply: str = "information"
    most: int = 3
    last: ThinkAnswer = ThinkAnswer()

    @property
    def name(self) -> str:
        return f"think-{self.call}-answer"

    @property
    def shape(self) -> str:
        think = f"<{self.last.think}>...</{self.last.think}>"
        return f"{think}<{self.call}>...</{self.call}> up to {self.most} times, then {self.last.shape}"

    def instruction(self) -> str:
        first, *rest = self.last.instruction().split(", then ")
        return (
            f"{first}. To look something up, write a query inside <{self.call}> </{self.call}>; what is found then "
            f"stands inside <{self.reply}> </{self.reply}>. Think again after each, and look up at most {self.most} "
            f"times. At last write {', then '.join(rest)}"
        )

    def parse(self, text: str) -> Parsed:
        turns, tail = self.split(text)
        fault = self.stray([*(turn.before for turn in turns), tail])
        if not fault and len(turns) > self.most:
            fault = f"more than {self.most} calls"
        think = re.escape(self.last.think)
        thought = re.compile(rf"\s*<{think}>((?:(?!</?{think}>).)*)</{think}>\s*", re.DOTALL)
        found = [thought.fullmatch(turn.before) for turn in turns]
        if not fault and not all(found):
            fault = f"<{self.call}> without <{self.last.think}> before it"
        if fault:
            return Parsed("", None, fault)
        end = self.last.parse(tail)
        thoughts = [match[1].strip() for match in found if match]
        return Parsed("\n".join([*thoughts, end.thinking]).strip(), end.answer, end.fault)

    def find(self, text: str) -> str | None:
        return self.last.find(self.split(text)[1])

    def render(self, thinking: str, answer: str) -> str:
        return self.last.render(thinking, answer)


class Game(Procedural):
    """A procedural task that is judged by playing the calls again. Part marks are the rewards of the turns."""

    @property
    @abstractmethod
    def layout(self) -> Turns: ...

    @abstractmethod
    def reset(self, problem: Problem) -> Environment: ...

    @property
    def instruction(self) -> str:
        return self.layout.instruction()

    def verify(self, problem: Problem, answer: str) -> Verdict:
        world, earned, legal = self.reset(problem), 0.0, False
        for call in answer.split("\n")[:MOST_CALLS]:
            reply = world.step(one_line(call))
            earned, legal = earned + reply.reward, legal or reply.legal
            if reply.won:
                return Verdict(correct=True, score=1.0)
            if reply.done:
                break
        note = "" if legal else "no move that the game knows"
        return Verdict(correct=False, readable=legal, score=min(max(earned, 0.0), 0.5), note=note)
