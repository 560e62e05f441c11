"""How rules are put into words: numbers, levels, and the styles a motivation comes in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

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


@dataclass(frozen=True)
class Level:
    """One outcome of a rule and what it pays.

    The three wordings fit the three styles: `when` completes "+2 if …", `short` stands before a
    number ("right +2"), `noun` is the subject of "… earns 2 points".
    """

    value: float
    when: str
    short: str
    noun: str


def points(value: float) -> str:
    return "1 point" if abs(value) == 1 else f"{plain(abs(value))} points"


def outcome(level: Level) -> str:
    """The level as a clause of a story: `a right final answer earns 2 points`."""
    if level.value == 0:
        return f"{level.noun} earns nothing"
    return f"{level.noun} {'earns' if level.value > 0 else 'costs'} {points(level.value)}"


def sentence(label: str, levels: Sequence[Level], style: Style) -> str:
    """All levels of one rule in one sentence (no closing full stop in the terse style)."""
    if style == "terse":
        return ", ".join(f"{level.short} {signed(level.value)}" for level in levels)
    if style == "story":
        text = "; ".join(outcome(level) for level in levels) + "."
        return text[0].upper() + text[1:]
    return f"{label}: " + "; ".join(f"{signed(level.value)} if {level.when}" for level in levels) + "."


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
