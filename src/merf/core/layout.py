"""How a response is laid out: where the thinking ends and what counts as the answer.

One object states the layout in words (for the system text and the format rule) and parses it (for
the format rule and the verifier), so the two can't disagree.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Parsed:
    """`answer` is None where the layout was broken; `fault` then says how, in a few words."""

    thinking: str
    answer: str | None
    fault: str = ""

    @property
    def well_formed(self) -> bool:
        return not self.fault


class Layout(Protocol):
    """A response layout: `parse` reads it strictly, `find` takes whatever answer it can see."""

    @property
    def name(self) -> str: ...

    @property
    def shape(self) -> str:
        """The layout shown in as few characters as possible."""
        ...

    def instruction(self) -> str:
        """One sentence that tells a model how to lay its response out."""
        ...

    def parse(self, text: str) -> Parsed: ...

    def find(self, text: str) -> str | None:
        """The last thing that looks like an answer, broken layout or not (for reporting only)."""
        ...

    def render(self, thinking: str, answer: str) -> str:
        """A well-formed response."""
        ...


@dataclass(frozen=True)
class ThinkAnswer:
    """`<think>…</think>` then `<answer>…</answer>`: each tag once and in order.

    Outside the tags only white space is allowed; `find` is the lenient reading.
    """

    think: str = "think"
    reply: str = "answer"

    @property
    def name(self) -> str:
        return f"{self.think}-{self.reply}"

    @property
    def tags(self) -> tuple[str, str, str, str]:
        return (f"<{self.think}>", f"</{self.think}>", f"<{self.reply}>", f"</{self.reply}>")

    @property
    def shape(self) -> str:
        a, b, c, d = self.tags
        return f"{a}...{b}{c}...{d}"

    def instruction(self) -> str:
        a, b, c, d = self.tags
        return f"Write your reasoning inside {a} {b}, then your final answer inside {c} {d}."

    def parse(self, text: str) -> Parsed:
        a, b, c, d = self.tags
        for tag in self.tags:
            count = text.count(tag)
            if count != 1:
                return Parsed("", None, f"{tag} occurs {count} times" if count else f"{tag} is missing")
        spots = [text.index(tag) for tag in self.tags]
        if spots != sorted(spots):
            return Parsed("", None, "tags are out of order")
        outside = text[: spots[0]] + text[spots[1] + len(b) : spots[2]] + text[spots[3] + len(d) :]
        if outside.strip():
            return Parsed("", None, "text outside the tags")
        return Parsed(text[spots[0] + len(a) : spots[1]].strip(), text[spots[2] + len(c) : spots[3]].strip())

    def find(self, text: str) -> str | None:
        _, _, c, d = self.tags
        start = text.rfind(c)
        if start < 0:
            return None
        inside = text[start + len(c) :]
        return inside.split(d, 1)[0].strip()

    def render(self, thinking: str, answer: str) -> str:
        a, b, c, d = self.tags
        return f"{a}{thinking}{b}{c}{answer}{d}"


@dataclass(frozen=True)
class ThinkAnswerConfidence(ThinkAnswer):
    """`ThinkAnswer` with a third block, `<confidence>…</confidence>`, for how sure the answer is: a number
    from 0 to 1 (RLCR, arXiv 2507.16806). Whether it is one is for the calibration rule to say."""

    sure: str = "confidence"

    @property
    def name(self) -> str:
        return f"{super().name}-{self.sure}"

    @property
    def shape(self) -> str:
        return f"{super().shape}<{self.sure}>...</{self.sure}>"

    def instruction(self) -> str:
        return (
            f"{super().instruction().removesuffix('.')}, then how sure you are that it is right, "
            f"as a number from 0 to 1, inside <{self.sure}> </{self.sure}>."
        )

    def parse(self, text: str) -> Parsed:
        opening, closing = f"<{self.sure}>", f"</{self.sure}>"
        for tag in (opening, closing):
            count = text.count(tag)
            if count != 1:
                return Parsed("", None, f"{tag} occurs {count} times" if count else f"{tag} is missing")
        before, _, after = text.partition(opening)
        if closing not in after:
            return Parsed("", None, "tags are out of order")
        if after.partition(closing)[2].strip():
            return Parsed("", None, "text outside the tags")
        return super().parse(before)

    def render(self, thinking: str, answer: str) -> str:
        return f"{super().render(thinking, answer)}<{self.sure}>0.5</{self.sure}>"


@dataclass(frozen=True)
class Boxed:
    """Free reasoning, the final answer in the last `\\boxed{…}`."""

    name: str = "boxed"
    shape: str = "\\boxed{...}"

    def instruction(self) -> str:
        return "Reason step by step and put your final answer within \\boxed{}."

    def parse(self, text: str) -> Parsed:
        start = text.rfind("\\boxed{")
        if start < 0:
            return Parsed(text, None, "\\boxed{} is missing")
        depth, first = 1, start + len("\\boxed{")
        for spot in range(first, len(text)):
            depth += {"{": 1, "}": -1}.get(text[spot], 0)
            if depth == 0:
                return Parsed(text[:start].strip(), text[first:spot].strip())
        return Parsed(text[:start].strip(), None, "\\boxed{ is never closed")

    def find(self, text: str) -> str | None:
        return self.parse(text).answer

    def render(self, thinking: str, answer: str) -> str:
        return f"{thinking}\n\\boxed{{{answer}}}"


@dataclass(frozen=True)
class FinalLine:
    """GSM8K's convention: free reasoning, then `#### answer` on the last line."""

    mark: str = "####"
    name: str = "final-line"

    @property
    def shape(self) -> str:
        return f"... {self.mark} ..."

    def instruction(self) -> str:
        return f"Reason step by step, then give the final answer on the last line after {self.mark}."

    def parse(self, text: str) -> Parsed:
        lines = text.strip().splitlines()
        if not lines or not lines[-1].startswith(self.mark):
            return Parsed(text, None, f"the last line doesn't start with {self.mark}")
        return Parsed("\n".join(lines[:-1]).strip(), lines[-1][len(self.mark) :].strip())

    def find(self, text: str) -> str | None:
        found = re.findall(re.escape(self.mark) + r"[ \t]*([^\n]*)", text)
        return found[-1].strip() if found else None

    def render(self, thinking: str, answer: str) -> str:
        return f"{thinking}\n{self.mark} {answer}"


@dataclass(frozen=True)
class Plain:
    """The whole response is the answer."""

    name: str = "plain"
    shape: str = "..."

    def instruction(self) -> str:
        return "Reply with the answer only."

    def parse(self, text: str) -> Parsed:
        return Parsed("", text.strip()) if text.strip() else Parsed("", None, "empty response")

    def find(self, text: str) -> str | None:
        return text.strip() or None

    def render(self, thinking: str, answer: str) -> str:
        return answer


LAYOUTS: dict[str, Layout] = {
    layout.name: layout for layout in (ThinkAnswer(), Boxed(), FinalLine(), Plain(), ThinkAnswerConfidence())
}


def layout_named(name: str) -> Layout:
    """The layout called `name`; a KeyError lists the known names."""
    if name not in LAYOUTS:
        raise KeyError(f"no response layout is called {name!r}; choose one of {', '.join(LAYOUTS)}")
    return LAYOUTS[name]
