"""How rules are put into words: numbers, levels, operations, and the styles a motivation comes in.

In the "full" style nothing that can move a score is left out or rounded, and operands stand in square
brackets, so two rules that pay differently never read the same. "terse" and "story" are for experiments
on wording: they name every number too, but may leave definitions out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeVar, get_args

Style = Literal["full", "terse", "story"]
STYLES: tuple[Style, ...] = get_args(Style)


def check_style(style: str) -> None:
    if style not in STYLES:
        raise ValueError(f"no description style is called {style!r}; choose one of {', '.join(STYLES)}")


def plain(value: float) -> str:
    """The shortest text that reads back as the same number: `2`, `-1.5`, `0.1`."""
    text = repr(float(value))
    return text[:-2] if text.endswith(".0") else text


def signed(value: float) -> str:
    """`+2`, `-1.5`, `0`."""
    return f"+{plain(value)}" if value > 0 else plain(value + 0.0)


def percent(share: float) -> str:
    """`20%` for 0.2: the exact decimal of the shortest text that reads back as `share`."""
    hundredfold = Decimal(repr(float(share))) * 100
    text = f"{hundredfold:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + "%"


def counted(number: int, thing: str) -> str:
    """`1 word`, `50 words`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def listed(items: Sequence[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}"


def capital(text: str) -> str:
    """`text` with its first letter in upper case, the rest untouched."""
    return text[:1].upper() + text[1:]


def heading(name: str) -> str:
    """`work-shown` -> `Work shown`."""
    return capital(name.replace("-", " ").replace("_", " "))


T = TypeVar("T")


def pick(wording: int, *variants: T) -> T:
    """Paraphrase number `wording`, counted round and round."""
    return variants[wording % len(variants)]


@dataclass(frozen=True)
class Level:
    """One outcome of a rule and what it pays.

    The three wordings fit the three styles: `when` completes "+2 if …", `short` stands before a
    number ("right +2"), `noun` is the subject of "… earns 2 points". `alone` says the same as `when`
    in a clause that needs no neighbour to be understood ("the response has more than 50 words" for "it
    is longer"); it is what a gate on this outcome says.
    """

    value: float
    when: str
    short: str
    noun: str
    alone: str = ""

    def condition(self, style: Style) -> str:
        return self.short if style == "terse" else self.alone or self.when


def points(value: float) -> str:
    return "1 point" if abs(value) == 1 else f"{plain(abs(value))} points"


def outcome(level: Level) -> str:
    """The level as a clause of a story: `a right final answer earns 2 points`."""
    if level.value == 0:
        return f"{level.noun} earns nothing"
    return f"{level.noun} {'earns' if level.value > 0 else 'costs'} {points(level.value)}"


def outcomes(levels: Sequence[Level], style: Style) -> str:
    """All levels of one rule, without a closing full stop."""
    if style == "terse":
        return ", ".join(f"{level.short} {signed(level.value)}" for level in levels)
    if style == "story":
        return "; ".join(outcome(level) for level in levels)
    return "; ".join(f"{signed(level.value)} if {level.when}" for level in levels)


LEADS: dict[Style, tuple[str, ...]] = {
    "full": ("This score is", "It is", "What this gives is"),
    "terse": ("",),
    "story": ("These points are", "They are", "What that gives is"),
}


def tell(label: str, statement: str, changes: Sequence[str], style: Style, wording: int) -> str:
    """A rule's whole description: what it pays, then what is done to that, in order.

    `changes` are participles ("multiplied by 2"), one per operation, first applied first.
    """
    check_style(style)
    if style == "terse":
        return ", then ".join([statement, *changes])
    text = f"{label}: {statement}." if style == "full" else f"{capital(statement)}."
    if not changes:
        return text
    return f"{text} {pick(wording, *LEADS[style])} {', then '.join(changes)}."


def bracketed(description: str, style: Style) -> str:
    """A whole description as one operand of another."""
    return f"({description})" if style == "terse" else f"[{description.removesuffix('.')}]"


HEADERS: dict[Style, tuple[str, ...]] = {
    "full": (
        "How this response is scored:",
        "Your response will be scored by these rules:",
        "Evaluation scoring rules:",
    ),
    "terse": ("Scoring:", "Score:", "Points:"),
    "story": (
        "A referee will read this response and keep score.",
        "This response will be judged.",
        "Think of this as a game with points.",
    ),
}
FOOTERS: dict[Style, tuple[str, ...]] = {
    "full": (
        "The total is the sum of these scores. Aim for the highest total.",
        "All scores are added. Try to earn the highest sum.",
        "The scores add up; make the total as high as you can.",
    ),
    "terse": ("Maximise the sum.", "Sum counts.", "Highest sum wins."),
    "story": (
        "The points are added up, and the goal is to collect as many as possible.",
        "Whoever collects the most points does best.",
        "All points are added at the end; collect as many as you can.",
    ),
}


def assemble(sentences: Sequence[str], style: Style, wording: int) -> str:
    """A whole motivation from the sentences of its rules; '' from none."""
    check_style(style)
    if not sentences:
        return ""
    header = HEADERS[style][wording % len(HEADERS[style])]
    footer = FOOTERS[style][wording % len(FOOTERS[style])]
    if style == "terse":
        return f"{header} {'; '.join(sentences)}. {footer}"
    if style == "story":
        return " ".join([header, *sentences, footer])
    return "\n".join([header, *(f"- {s}" for s in sentences), footer])
