"""The text-level view that rules score: one attempt, and the batch it came in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Literal, Protocol, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from merf.core.layout import Layout, Parsed, ThinkAnswer
from merf.core.problem import Messages, Problem
from merf.core.progress import Progress

Array = NDArray[np.float64]
T = TypeVar("T")


class once(Generic[T]):
    """`functools.cached_property` as it is from Python 3.12 on. Before that it holds one lock for all instances
    while it computes, so that threads would judge one response after the other."""

    def __init__(self, function: Callable[[Any], T]) -> None:
        self.function, self.name, self.__doc__ = function, function.__name__, function.__doc__

    @overload
    def __get__(self, instance: None, owner: Any = None) -> once[T]: ...

    @overload
    def __get__(self, instance: object, owner: Any = None) -> T: ...

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        value = instance.__dict__[self.name] = self.function(instance)
        return value


@dataclass(frozen=True)
class Verdict:
    """What a verifier says of one answer.

    `correct` is None when the verifier itself failed: such a response gets no reward at all (it is
    left out of means and advantages), never a zero. `readable` is False when the answer could not
    be understood. `score` in [0, 1] is partial credit where the task has any.
    """

    correct: bool | None
    readable: bool = True
    score: float | None = None
    note: str = ""


Verifier = Callable[[Problem, str], Verdict]


def no_verifier(problem: Problem, answer: str) -> Verdict:
    """Stands in where no task was named: nothing can be said of correctness."""
    return Verdict(correct=None, note="no verifier: name a task")


@dataclass(frozen=True)
class Response:
    """One attempt at one problem.

    `text` is everything the model wrote (with any prefilled opening), `tokens` its length in tokens,
    `finished` False when it was cut off at the length limit, `member` its index within its group.
    `extras` holds what the sampler recorded: "prompt_ids" and "ids" (token ids), "logprobs" and "entropy" (one
    number per token).
    """

    problem: Problem
    text: str
    tokens: int = 0
    finished: bool = True
    member: int = 0
    layout: Layout = field(default_factory=ThinkAnswer)
    verify: Verifier = no_verifier
    extras: Mapping[str, Any] = field(default_factory=dict)

    @once
    def parsed(self) -> Parsed:
        """The strict reading. A response that was cut off has no answer, whatever it contains."""
        if not self.finished:
            return Parsed(self.text, None, "cut off at the length limit")
        return self.layout.parse(self.text)

    @property
    def thinking(self) -> str:
        return self.parsed.thinking

    @property
    def answer(self) -> str | None:
        """The final answer, or None where the layout was broken."""
        return self.parsed.answer

    @once
    def verdict(self) -> Verdict:
        """The task's verdict on the answer; a broken layout is unreadable without asking the task, and a blank
        answer is as good as none unless it is right."""
        if self.answer is None:
            return Verdict(correct=False, readable=False, note=self.parsed.fault)
        verdict = self.verify(self.problem, self.answer)
        if verdict.correct is False and not self.answer.strip():
            return replace(verdict, readable=False, note=verdict.note or "no answer")
        return verdict

    @once
    def lenient(self) -> bool:
        """Whether the last thing that looks like an answer is right, broken layout or not."""
        found = self.layout.find(self.text)
        return found is not None and self.verify(self.problem, found).correct is True

    @property
    def note(self) -> str:
        """What went wrong with this response, if anything."""
        return self.parsed.fault or self.verdict.note


class Likelihood(Protocol):
    """A language model as a rule may use it: log-probs of given tokens in a given context."""

    def tokenize(self, text: str) -> list[int]:
        """Token ids of plain text, without special tokens."""
        ...

    def decode(self, ids: list[int]) -> str:
        """The text of a response's token ids, without the end token."""
        ...

    def prompt(self, messages: Messages) -> list[int]:
        """Token ids of a conversation, up to where the response begins."""
        ...

    def logprobs(
        self, contexts: Sequence[list[int]], continuations: Sequence[list[int]], model: Literal["policy", "reference"]
    ) -> list[Array]:
        """Log-probs of each continuation's tokens after its context, without gradient."""
        ...


@dataclass(frozen=True)
class Responses(Sequence[Response]):
    """A batch of attempts. `group[i]` says which draw of a problem attempt i belongs to; groups are
    identified by draw, never by prompt text, so a problem drawn twice makes two groups.

    `likelihood` is the model being trained, where there is one: rules may ask it what text it finds likely.
    """

    items: Sequence[Response]
    group: NDArray[np.int64]
    progress: Progress = Progress(0, 1)
    likelihood: Likelihood | None = None

    def __post_init__(self) -> None:
        if len(self.items) != len(self.group):
            raise ValueError(f"{len(self.items)} responses but {len(self.group)} group numbers")

    @classmethod
    def of(cls, items: Sequence[Response], group: Sequence[int] | None = None) -> Responses:
        """Wrap `items`; without `group` they are taken as one group."""
        numbers = np.zeros(len(items), np.int64) if group is None else np.asarray(group, np.int64)
        return cls(items, numbers)

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Response]:
        return iter(self.items)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return replace(self, items=self.items[index], group=self.group[index])
        return self.items[index]

    def groups(self) -> Iterator[NDArray[np.intp]]:
        """The row numbers of each group, in order of first appearance."""
        if not len(self.group):
            return
        order = np.argsort(self.group, kind="stable")
        cuts = np.flatnonzero(np.diff(self.group[order])) + 1
        yield from sorted(np.split(order, cuts), key=lambda rows: int(rows[0]))


@dataclass(frozen=True)
class Scores:
    """Rewards of a batch, in float64. NaN means: not applicable, or the verifier failed.

    `total[i]` is what response i is paid, `parts` what each rule contributed to it, `notes[i]` what
    went wrong with it, if anything. `tokens` [N, T] is a reward per token, where a judge gives one.
    `right` [N] is 1 for right answers and 0 for others, whatever they are paid; only judges are told it.
    """

    total: Array
    parts: dict[str, Array]
    notes: list[str]
    tokens: Any = None
    right: Array | None = None

    @property
    def failed(self) -> int:
        """How many responses got no reward."""
        return int(np.isnan(self.total).sum())
