"""Keeping to a form: a layout, a JSON schema, a pattern."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

from merf.core.layout import LAYOUTS, Boxed, FinalLine, Layout, Plain, ThinkAnswer
from merf.core.response import Response
from merf.rules.reading import THE, Passage, check_passage, passage
from merf.rules.rule import LevelRule
from merf.rules.wording import Level, pick


@dataclass(frozen=True)
class Format(LevelRule):
    """Pays for keeping to the layout exactly. A layout can be given by its name."""

    good: float = 1.0
    bad: float = -1.0
    layout: Layout = ThinkAnswer()

    name: ClassVar[str] = "format"
    label: ClassVar[str] = "Format"

    def check(self) -> None:
        given: Any = self.layout
        if isinstance(given, str):
            if given not in LAYOUTS:
                raise ValueError(f"no layout is called {given!r}; choose one of {', '.join(LAYOUTS)}")
            object.__setattr__(self, "layout", LAYOUTS[given])
        elif not hasattr(given, "parse") or not hasattr(given, "shape"):
            raise TypeError(f"layout={given!r} is no layout; choose one of {', '.join(LAYOUTS)}")

    def levels(self, wording: int = 0) -> tuple[Level, ...]:
        shape = self.layout.shape
        match self.layout:
            case Boxed():
                when, otherwise = pick(
                    wording,
                    (f"the final answer stands in {shape}", "it does not"),
                    (f"you put your final answer in {shape}", "you do not"),
                )
                noun, other = f"a final answer in {shape}", "anything else"
                broken_alone = f"no final answer stands in {shape}"
            case FinalLine(mark=mark):
                when, otherwise = pick(
                    wording,
                    (f"the last line is {mark} and the final answer", "it is not"),
                    (f"you end with a line of {mark} and your final answer", "you do not"),
                )
                noun, other = f"a last line of {mark} and the final answer", "any other ending"
                broken_alone = f"the last line is not {mark} and the final answer"
            case Plain():
                when, otherwise = pick(
                    wording, ("the response is not empty", "it is"), ("you write something", "you do not")
                )
                noun, other, broken_alone = "writing anything", "an empty response", "the response is empty"
            case _:
                when, noun = pick(
                    wording,
                    (f"the response is exactly {shape}", f"a response of exactly the form {shape}"),
                    (f"the required form {shape} is kept exactly", f"keeping exactly to the form {shape}"),
                    (f"the tags are exactly {shape}, in order", f"writing exactly {shape}, in order,"),
                )
                otherwise = pick(wording, "it is not", "it is not", "they are not")
                other = pick(wording, "any other form", "breaking it", "anything else")
                broken_alone = pick(
                    wording,
                    f"the response is not exactly {shape}",
                    f"the required form {shape} is not kept exactly",
                    f"the tags are not exactly {shape}, in order",
                )
        short = pick(wording, "format kept", "good format", "tags right")
        broken = pick(wording, "format broken", "bad format", "tags wrong")
        return (
            Level(self.good, when, f"{short} ({shape})", noun),
            Level(self.bad, otherwise, broken, other, broken_alone),
        )

    def classify(self, response: Response) -> int | None:
        whole = response.finished and self.layout.parse(response.text).well_formed
        return 0 if whole else 1


@dataclass(frozen=True)
class JsonFormat(LevelRule):
    """Pays for JSON that fits a JSON schema (draft 2020-12 unless the schema names another)."""

    schema: str | Mapping[str, Any] = "{}"
    good: float = 1.0
    bad: float = -1.0
    of: Passage = "answer"

    name: ClassVar[str] = "json"
    label: ClassVar[str] = "JSON"

    def check(self) -> None:
        check_passage(self.of)
        object.__setattr__(self, "schema", canonical_schema(self.schema))

    def levels(self, wording: int = 0) -> tuple[Level, ...]:
        what, fits = THE[self.of], "" if self.schema == "{}" else f" that fits the schema {self.schema}"
        when, otherwise, alone = pick(
            wording,
            (f"{what} is JSON{fits}", "it is not", f"{what} is not JSON{fits}"),
            (f"{what} parses as JSON{fits}", "it does not", f"{what} does not parse as JSON{fits}"),
        )
        noun = f"valid JSON{fits} as {what}"
        return (
            Level(self.good, when, "valid JSON", noun),
            Level(self.bad, otherwise, "invalid JSON", "anything else", alone),
        )

    def classify(self, response: Response) -> int | None:
        text = passage(response, self.of)
        return 1 if text is None or not fits_schema(text, str(self.schema)) else 0


def canonical_schema(schema: str | Mapping[str, Any]) -> str:
    """The schema as one line of JSON, checked; a schema that could send a validator to the network or
    make it fail on some text is refused."""
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import Draft202012Validator, validator_for

    try:
        value = json.loads(schema) if isinstance(schema, str) else schema
        text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
        value = json.loads(text)
        validator_for(value, default=Draft202012Validator).check_schema(value)
    except (ValueError, TypeError, SchemaError) as error:
        reason = error.message if isinstance(error, SchemaError) else error
        raise ValueError(f"this is not a JSON schema: {reason}") from error
    for key, entry in entries(value):
        if key in ("$ref", "$dynamicRef") and isinstance(entry, str) and not entry.startswith("#"):
            raise ValueError(
                f"the schema refers to {entry!r} elsewhere: copy it into $defs and refer to it as #/$defs/…"
            )
    return text


def entries(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key and value of nested JSON objects."""
    if isinstance(value, dict):
        for key, entry in value.items():
            yield key, entry
            yield from entries(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from entries(entry)


@lru_cache(maxsize=64)
def validator(schema: str) -> Any:
    from jsonschema.validators import Draft202012Validator, validator_for

    value = json.loads(schema)
    return validator_for(value, default=Draft202012Validator)(value)


def no_constants(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def fits_schema(text: str, schema: str) -> bool:
    try:
        value = json.loads(text, parse_constant=no_constants)
        return bool(validator(schema).is_valid(value))
    except (ValueError, RecursionError, ArithmeticError):
        # Not JSON, nested beyond reason, or with numbers beyond what floats can hold.
        return False


DEADLINE = 1.0
"""Seconds a pattern may take on one response; a response on which it takes longer gets no score."""


@lru_cache(maxsize=256)
def compiled(pattern: str) -> Any:
    import regex  # type: ignore[import-untyped]

    try:
        return regex.compile(pattern)
    except regex.error as error:
        raise ValueError(f"the pattern {pattern!r} can't be read: {error}") from error


@dataclass(frozen=True)
class Matches(LevelRule):
    """Pays where a passage matches a regular expression from end to end.

    `description` completes the sentence "+1 if …" for a reader who knows no regular expressions; the full
    style shows the pattern as well. Patterns that backtrack for ever are cut off (then the score is NaN).
    """

    pattern: str
    description: str
    good: float = 1.0
    bad: float = 0.0
    of: Passage = "answer"

    name: ClassVar[str] = "pattern"
    label: ClassVar[str] = "Pattern"

    def check(self) -> None:
        check_passage(self.of)
        compiled(self.pattern)
        if not self.description.strip():
            raise ValueError(
                f"Matches({self.pattern!r}): describe in words what it matches, so that a model can be told; for "
                'example description="the final answer is a date such as 2024-01-31"'
            )

    def levels(self, wording: int = 0) -> tuple[Level, ...]:
        said = self.description.strip().rstrip(".")
        pattern = (
            f"`{self.pattern}`" if self.pattern.isprintable() and "`" not in self.pattern else json.dumps(self.pattern)
        )
        when = f"{said} ({THE[self.of]} matches {pattern} from end to end)"
        alone = f"it is not so that {when}"
        noun = f"a response in which {said}"
        return (
            Level(self.good, when, said, noun),
            Level(self.bad, "that is not so", "otherwise", "any other", alone),
        )

    def classify(self, response: Response) -> int | None:
        text = passage(response, self.of)
        if text is None:
            return 1
        try:
            found = compiled(self.pattern).fullmatch(text.strip(), timeout=DEADLINE)
        except TimeoutError:
            return None
        return 1 if found is None else 0
