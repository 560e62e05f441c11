"""Rulebooks as TOML, for people and tools.

[[part]]
rule = "Concise"
words = 40
then = [
    { do = "only_if", condition = { rule = "Correct" } },
    { do = "times", weight = 2.0 },
]
"""

from __future__ import annotations

import re

from merf.core.toml import parse_toml
from merf.rules.form import Misread, Reader, check_keys, plain_rule
from merf.rules.rulebook import Rulebook


def to_toml(book: Rulebook) -> str:
    import tomli_w

    told = {} if book.told else {"told": False}
    return tomli_w.dumps({**told, "part": [plain_rule(part) for part in book.parts]})


def from_toml(text: str, where: str, trust_code: bool = False) -> Rulebook:
    """The rulebook written in `text`; an error gives the line and the nearest valid name."""
    table = parse_toml(text, where)
    reader, parts = Reader(trust_code), []
    try:
        check_keys("a rulebook", table, ("told", "part"))
    except Misread as error:
        raise ValueError(f"{where}, line {line_of(text, error.word)}: {error}") from error
    listed = table.get("part", [])
    if not isinstance(listed, list):
        raise ValueError(f"{where}, line {line_of(text, 'part')}: write every part as [[part]], in double brackets")
    for number, data in enumerate(listed):
        try:
            parts.append(reader.rule(data))
        except Misread as error:
            raise ValueError(f"{where}, line {line_of(text, error.word, number)}: {error}") from error
    if not parts:
        raise ValueError(f'{where} has no part: begin one with a line [[part]] and then rule = "Correct"')
    if not isinstance(table.get("told", True), bool):
        raise ValueError(f"{where}, line {line_of(text, 'told')}: told is true or false")
    try:
        return Rulebook(*parts, told=table.get("told", True))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def line_of(text: str, word: str, part: int | None = None) -> int:
    """The first line that has `word`, searched for in part number `part`; the part's first line if it has not."""
    lines = text.split("\n")
    heads = [i for i, line in enumerate(lines) if re.match(r"\s*\[\[\s*part\s*\]\]", line)]
    start, end = 0, len(lines)
    if part is not None and part < len(heads):
        start, end = heads[part], heads[part + 1] if part + 1 < len(heads) else len(lines)
    spelled = re.compile(rf"(?<![\w-]){re.escape(word)}(?![\w-])")
    for i in range(start, end):
        if word and spelled.search(lines[i].split(" #")[0]):
            return i + 1
    return start + 1
