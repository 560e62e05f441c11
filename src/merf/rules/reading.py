"""What rules read of a response: its passages, its words, its tags."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal, get_args

from merf.core.response import Response

Passage = Literal["response", "reasoning", "answer"]
PASSAGES: tuple[Passage, ...] = get_args(Passage)
THE: dict[Passage, str] = {"response": "the response", "reasoning": "the reasoning", "answer": "the final answer"}


def check_passage(of: str) -> None:
    if of not in PASSAGES:
        raise ValueError(f"of={of!r}: a rule can look at {', '.join(map(repr, PASSAGES))}")


def passage(response: Response, of: Passage) -> str | None:
    """The named part of a response; None where the layout is broken and it has no such part."""
    match of:
        case "response":
            return response.text
        case "reasoning":
            return response.thinking if response.parsed.well_formed else None
        case "answer":
            return response.answer


TOKEN = re.compile(r"\w+|[^\w\s]")


def words_and_signs(text: str) -> list[str]:
    """Words and single punctuation marks, case folded: `"Ann's 2nd." -> ann ' s 2nd .`"""
    return TOKEN.findall(text.casefold())


def ngrams(items: Sequence[str], n: int) -> Iterator[tuple[str, ...]]:
    """Runs of n neighbours."""
    return zip(*(items[i:] for i in range(n)), strict=False)


def sequences(n: int) -> str:
    """`words`, `2-word sequences`."""
    return "words" if n == 1 else f"{n}-word sequences"


def tagged(text: str, tag: str) -> str | None:
    """What stands between <tag> and </tag>; None unless both occur exactly once and in this order."""
    opening, closing = f"<{tag}>", f"</{tag}>"
    if text.count(opening) != 1 or text.count(closing) != 1:
        return None
    start, end = text.index(opening) + len(opening), text.index(closing)
    return text[start:end].strip() if start <= end else None


def check_tag(tag: str) -> None:
    if not re.fullmatch(r"[A-Za-z][\w-]*", tag, re.ASCII):
        raise ValueError(f"tag={tag!r}: a tag's name is a letter, then letters, digits, - or _, without the brackets")
