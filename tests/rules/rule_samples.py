"""Responses to score, and texts that no scorer may stumble over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from merf import Boxed, FinalLine, Plain, Problem, Progress, Response, Responses, ThinkAnswer, Verdict
from merf.core.layout import Layout

NAN = float("nan")


def verify(problem: Problem, answer: str) -> Verdict:
    """Right if equal; an answer that says FAIL breaks the verifier, one that says ? can't be read."""
    if answer == "FAIL":
        return Verdict(correct=None, note="verifier failed")
    if answer == "?":
        return Verdict(correct=False, readable=False, note="unreadable")
    return Verdict(correct=answer == problem.answer)


def respond(
    text: str, tokens: int | None = None, layout: Layout | None = None, member: int = 0, **given: Any
) -> Response:
    """A response of as many tokens as words, to a question whose answer is "4"."""
    meta = given.pop("meta", {})
    problem = Problem("What is 2 + 2?", answer=given.pop("truth", "4"), id=given.pop("id", "q"), meta=meta)
    count = len(text.split()) if tokens is None else tokens
    return Response(problem, text, count, layout=layout or ThinkAnswer(), verify=verify, member=member, **given)


def thought(thinking: str, answer: str = "4", **given: Any) -> Response:
    return respond(f"<think>{thinking}</think><answer>{answer}</answer>", **given)


RIGHT = thought("two and two")
WRONG = thought("two and two", "5")
UNREADABLE = respond("four")
UNKNOWN = thought("two and two", "FAIL")


def batch(*responses: Response, group: Sequence[int] | None = None, progress: Progress | None = None) -> Responses:
    made = Responses.of(responses, group)
    return made if progress is None else Responses(made.items, made.group, progress)


HOSTILE = (
    "",
    " \n\t ",
    "\x00\x07\x1b[31m\x7f\ufeff\u200b",
    "\ud800 lone surrogate",
    "<think><think><answer></think></answer>",
    "<think>a</think><answer>4</answer>" * 2,
    "<think>" * 50 + "</think>" * 50,
    "<thınk>а</thınk><аnswer>4</аnswer>",  # dotless i and Cyrillic letters
    "＜think＞full width＜/think＞＜answer＞４＜/answer＞",
    "<think>x</think><answer>" + "[" * 5000 + "</answer>",
    '<think>x</think><answer>{"a": ' + "9" * 5000 + "}</answer>",
    "<think>x</think><answer>NaN</answer>",
    "<think>x</think><answer>" + "a" * 40 + "!</answer>",
    "<think>x</think><answer>4</answer><confidence>0.7</confidence>",
    "<confidence>1e309</confidence><confidence>nan</confidence>",
    "<confidence>٠.٥</confidence>",  # Arabic digits
    "<verdict>right</verdict>",
    "</verdict>right<verdict>",
    "\\boxed{\\boxed{4}",
    "}{" * 30 + "\\boxed{4}}}",
    "#### 4",
    "word " * 400,
    "答案是四。" * 20,
    "\u202e reversed \u202d 4",
)
LAYOUTS: tuple[Layout, ...] = (ThinkAnswer(), Boxed(), FinalLine(), Plain())
