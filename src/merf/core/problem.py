"""What is asked, and what the model is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict


class Message(TypedDict):
    """One chat turn, in the format every chat template understands."""

    role: str
    content: str


Messages = tuple[Message, ...]


@dataclass(frozen=True)
class Problem:
    """One question with what its verifier needs to know.

    `prompt` is the user's text or a whole conversation; `answer` is opaque to everything but the
    task's own `verify`; `meta` carries difficulty, reference solutions, rubrics and the like.
    """

    prompt: str | Messages
    answer: Any = None
    task: str = ""
    id: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def messages(self) -> Messages:
        """The prompt as chat messages."""
        if isinstance(self.prompt, str):
            return ({"role": "user", "content": self.prompt},)
        return self.prompt


@dataclass(frozen=True)
class Prompt:
    """What the model saw when it responded (`acting`) and what it is trained on (`learning`).

    The two are equal unless a method hides something from the gradient: a hint, a rubric, the
    motivation. `prefill` is text the response starts with that was given, not sampled; `ids` are tokens that
    follow it, for methods that carry text over without reading it again. `exposure` is the share of the
    rulebook that `acting` shows, from 0 (none) to 1 (all).
    """

    acting: Messages
    learning: Messages
    prefill: str = ""
    ids: tuple[int, ...] = ()
    exposure: float = 0.0
