"""Mathematical answers, compared by what they mean, with math-verify (SymPy behind it).

math-verify reads LaTeX between dollars or in \\boxed{}, so answers without either are dressed for it
first: a bare `(1,2)`, `{1,2}`, `sqrt(2)` or `3:2` would be read as nothing or as the wrong thing. Prose
is read for its number, and only if it has just one: "3 or 4 or 5" is no answer.

Its own time limits rest on an alarm signal, which works on the main thread alone and not in C code. They
are switched off; the comparison runs in a worker that is killed when time is up. Terms that are sure to
explode (`9^9^9^9`) don't get that far.
"""

from __future__ import annotations

import itertools
import os
import re
import unicodedata
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any

from merf.core.layout import Boxed
from merf.core.response import Verdict
from merf.tasks.deadline import Failure, KillablePool

SECONDS = 3.0
"""Time of one comparison. Most take a few milliseconds, integrals and large matrices up to a second."""

LONGEST = 1000
"""Characters of an answer."""

DEEPEST = 20
"""Nesting of brackets. math-verify takes time exponential in it on some texts."""

UNICODE = str.maketrans(
    {
        "−": "-",
        "–": "-",
        "×": r"\times ",
        "·": r"\cdot ",
        "÷": "/",
        "⁄": "/",
        "∞": r"\infty ",
        "π": r"\pi ",
        "√": r"\sqrt ",
        "°": r"^\circ ",
        "≤": r"\le ",
        "≥": r"\ge ",
        "∪": r"\cup ",
        "∩": r"\cap ",
        "∅": r"\emptyset ",
        "±": r"\pm ",
    }
)

FUNCTIONS = ("sqrt", "sin", "cos", "tan", "cot", "sec", "csc", "log", "ln", "exp", "pi", "infty")
COMMANDS = re.compile(rf"(?<![\\a-zA-Z])({'|'.join(FUNCTIONS)})(?![a-zA-Z])")
DRESSED = re.compile(r"\\boxed|\$|\\\(|\\\[")
TEXT = re.compile(r"\\(?:text|mathrm|mbox|operatorname)\s*\{[^{}]*\}")
WORD = re.compile(r"[a-zA-Z]{2,}")
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:/\d+)?")
WHOLE = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+|[+-]?\d{1,18}")
SIZES = re.compile(r"\\(?:left|right|[bB]igg?[lr]?)(?![a-zA-Z])|(?<!\\)\\[,;:! ]")
SPACE = re.compile(r"(?<=[^\w\s,])\s+|\s+(?=[^\w\s])")
RATIO = re.compile(r"([+-]?)(?:(\d{1,18})/(\d{1,18})|\\frac\{(\d{1,18})\}\{(\d{1,18})\})")
MEMBER = r"[+-]?(?:0|[1-9]\d{0,17})"
LISTED = re.compile(rf"(\(|\[|\\{{)({MEMBER}(?:,{MEMBER})+)(\)|\]|\\}})")

EXPLOSIVE = (
    (re.compile(r"\d{401}"), "a number of more than 400 digits"),
    (re.compile(r"(?:\^|\*\*)[\s{(]*\d{5}"), "a power beyond 10,000"),
    (re.compile(r"\d[\s})]*(?:\^|\*\*)[\s{(]*\d+[\s})]*(?:\^|\*\*)[\s{(]*\d"), "a tower of powers"),
    (re.compile(r"\d{4}[\s})]*!|!\s*!"), "a factorial beyond 999"),
)


def gold_answer(text: str) -> str:
    """The answer in a reference solution: after `####` (GSM8K), in the last \\boxed{} (MATH), or all of it."""
    text = str(text)
    if "####" in text:
        text = text.rpartition("####")[2]
    elif "\\boxed{" in text:
        text = Boxed().find(text) or text
    return unwrapped(text)


def unwrapped(text: str) -> str:
    """The text without one \\boxed{} or \\text{} around all of it."""
    text = text.strip()
    inside = re.fullmatch(r"\$*\s*\\(?:boxed|text|mathrm)\s*\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}\s*\$*", text)
    return unwrapped(inside[1]) if inside else text


def plain(text: str) -> str:
    """The text as it is compared literally: compatibility forms, case, white space and a final stop removed."""
    text = unicodedata.normalize("NFKC", text).translate(UNICODE).replace("**", "").strip().strip("$").strip()
    return re.sub(r"\s+", " ", text).removesuffix(".").casefold()


def typeset(text: str) -> str:
    """The text without what LaTeX does for the eye only: sizes, thin spaces, spaces beside signs. (A space after a
    comma tells a list from a long number, except in brackets.)"""
    text = SPACE.sub("", SIZES.sub(" ", text).replace(r"\dfrac", r"\frac").replace(r"\tfrac", r"\frac")).strip()
    return re.sub(r",\s+", ",", text) if text.startswith(("(", "[", "\\{")) else text


def value(text: str) -> Fraction | tuple[int, ...] | None:
    """What the text says if it is a whole number, a fraction of two, or a list of whole numbers in brackets; the
    members of a set in order. Most answers are one of these, and need no math-verify."""
    if whole := WHOLE.fullmatch(text):
        return Fraction(int(whole[0].replace(",", "")))
    text = typeset(text)
    if (ratio := RATIO.fullmatch(text)) and (below := int(ratio[3] or ratio[5])):
        return Fraction(int(ratio[1] + (ratio[2] or ratio[4])), below)
    if listed := LISTED.fullmatch(text):
        members = tuple(map(int, listed[2].split(",")))
        return tuple(sorted(set(members))) if brackets(text) == r"\{\}" else members
    return None


def brackets(text: str) -> str:
    """The brackets around a list of whole numbers; empty for any other text."""
    listed = LISTED.fullmatch(typeset(text))
    return listed[1] + listed[3] if listed else ""


def is_prose(text: str) -> bool:
    """Whether there are words in it that are no LaTeX command, function or text inside a formula."""
    bare = re.sub(r"\\(?:begin|end)\{\w*\*?\}|\\[a-zA-Z]+", " ", TEXT.sub(" ", text))
    return any(word not in FUNCTIONS for word in WORD.findall(COMMANDS.sub(" ", bare)))


def explosive(text: str) -> str:
    """What in the text must not be computed; empty if nothing is known to."""
    if len(text) > LONGEST:
        return f"longer than {LONGEST} characters"
    depths = itertools.accumulate({"{": 1, "(": 1, "[": 1, "}": -1, ")": -1, "]": -1}.get(c, 0) for c in text)
    if max(depths, default=0) > DEEPEST:
        return f"brackets nested deeper than {DEEPEST}"
    return next((what for pattern, what in EXPLOSIVE if pattern.search(text)), "")


def as_latex(text: str) -> str:
    """The text as math-verify reads it best: a formula in dollars, prose as it is."""
    text = unicodedata.normalize("NFKC", text).translate(UNICODE).strip().removeprefix("**").removesuffix("**").strip()
    text = text.removesuffix(".")
    if re.fullmatch(r"\\?\$\s*[\d,]+(?:\.\d+)?", text):
        return text.lstrip("\\$ ")
    if DRESSED.search(text):
        return text
    if mixed := re.fullmatch(r"(-?\d+)\s+(\d+)/(\d+)", text):
        return r"${}\frac{{{}}}{{{}}}$".format(*mixed.groups())
    text = re.sub(r"(?<=\d)[eE]([+-]?\d+)\b", r"\\times 10^{\1}", text)
    if is_prose(text):
        return text
    text = re.sub(r"(?<!\\)sqrt\(([^()]*)\)", r"\\sqrt{\1}", text)
    text = COMMANDS.sub(r"\\\1", text).replace("**", "^")
    text = re.sub(r"(?<!\\)%", r"\\%", text)
    if re.fullmatch(r"\{.*\}", text):
        text = rf"\{{{text[1:-1]}\}}"
    return f"${text}$"


def judge(gold: str, answer: str) -> Verdict:
    """Whether the answer means what the gold answer means."""
    gold, answer = gold_answer(gold), answer.strip()
    if not answer:
        return Verdict(correct=False, readable=False, note="empty")
    if len(answer) <= LONGEST and typeset(plain(gold)) == typeset(plain(unwrapped(answer))):
        return Verdict(correct=True)
    if fault := explosive(answer):
        return Verdict(correct=False, readable=False, note=fault)
    a, b = value(gold), value(unwrapped(answer))
    if a is not None and b is not None and brackets(gold) == brackets(unwrapped(answer)):
        return Verdict(correct=a == b)
    if is_text(gold):
        return Verdict(correct=False, note="another text")
    if (
        is_prose(answer)
        and not DRESSED.search(answer)
        and len({n.replace(",", "") for n in NUMBER.findall(answer)}) > 1
    ):
        return Verdict(correct=False, readable=False, note="several numbers in prose")
    try:
        return _compared(gold, answer)
    except _GivenUp as given_up:
        # Too slow or too large: the answer's fault, unless the gold answer alone is as bad.
        blame = None if unusable(gold) else False
        return Verdict(correct=blame, readable=False, note=f"can't be compared ({given_up})")


class _GivenUp(Exception):
    """A comparison that was cut off; raised, so that it isn't remembered."""


@lru_cache(maxsize=8192)
def _compared(gold: str, answer: str) -> Verdict:
    """The worker's verdict. The responses of a group often have the same few answers."""
    outcome = _pool().call((gold, answer))
    if isinstance(outcome, Failure):
        raise _GivenUp(f"{outcome.kind}: {outcome.note}")
    return outcome


def is_text(gold: str) -> bool:
    """Whether a gold answer is words without a number, so that it can only be compared as text."""
    return is_prose(gold) and not re.search(r"\d", gold) and not DRESSED.search(gold)


def unusable(gold: str) -> str:
    """Why a gold answer can't be judged against; empty if it can."""
    gold = gold_answer(gold)
    if not gold:
        return "empty"
    if WHOLE.fullmatch(gold) or is_text(gold):
        return ""
    if fault := explosive(gold):
        return fault
    outcome = _pool().call((gold, gold))
    if isinstance(outcome, Failure):
        return f"{outcome.kind}: {outcome.note}"
    return "" if outcome.correct is not None else outcome.note


# What runs in the worker.


@cache
def _pool() -> KillablePool[tuple[str, str], Verdict]:
    workers = max(os.cpu_count() or 1, 2)
    return KillablePool(compare, seconds=SECONDS, memory=1 << 30, workers=workers, prepare=_import_packages)


def _import_packages() -> None:
    """Import, and parse once: the first parse builds tables that take a second."""
    parsed(r"$\frac{1}{2}$")


@lru_cache(maxsize=4096)
def parsed(text: str) -> list[Any]:
    """What math-verify understands; empty if nothing."""
    from math_verify import parse

    found: list[Any] = parse(as_latex(text), parsing_timeout=None)
    return found if any(not isinstance(one, str) for one in found) else []


def compare(pair: tuple[str, str]) -> Verdict:
    """Gold first: the comparison isn't symmetric (an inequality may be answered by an interval, not the reverse)."""
    from math_verify import verify

    gold, answer = pair
    expected = parsed(gold)
    if not expected:
        return Verdict(correct=None, note=f"the gold answer can't be read: {gold[:80]!r}")
    given = parsed(answer)
    if not given:
        return Verdict(correct=False, readable=False, note="not a mathematical answer")
    return Verdict(correct=bool(verify(expected, given, timeout_seconds=None)))
