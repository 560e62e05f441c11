"""How the answers of a dataset are read and judged: one class per kind, chosen by the option `verifier`."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from merf.core.layout import Boxed, Layout, ThinkAnswer
from merf.core.problem import Message, Messages, Problem
from merf.core.response import Verdict
from merf.core.seeds import derive
from merf.tasks import mathematics, nearest
from merf.tasks.code import judge_code, read_tests
from merf.tasks.countdown import judge as judge_countdown
from merf.tasks.facts import Facts
from merf.tasks.knights_knaves import ROLE, KnightsKnaves
from merf.tasks.sandbox import Sandbox

Fields = Mapping[str, Any]
"""A row's columns under the names they were mapped to: prompt, answer, choices, tests, schema…"""


class Answers(Protocol):
    """One kind of answer."""

    @property
    def name(self) -> str: ...

    @property
    def facts(self) -> Facts: ...

    @property
    def layout(self) -> Layout: ...

    @property
    def wants(self) -> tuple[tuple[str, ...], ...]:
        """The fields it reads besides the prompt: of each group, one must be there."""
        ...

    def read(self, fields: Fields, key: str) -> Any:
        """What `verify` needs as `problem.answer`. ValueError where the row has no such thing. `key` is the
        same for the same question."""
        ...

    def ask(self, prompt: str | Messages, answer: Any) -> str | Messages:
        """The prompt with what the answer adds to it."""
        ...

    def unusable(self, answer: Any) -> str:
        """Why nothing can be judged against this answer; empty if it can. May be slow."""
        ...

    def verify(self, problem: Problem, answer: str) -> Verdict: ...


@dataclass(frozen=True)
class Exact:
    """The same text, up to case, white space, compatibility forms and punctuation around it. A list of answers
    means any of them."""

    name: str = "exact"
    facts: Facts = Facts("the same text, normalised")
    layout: Layout = ThinkAnswer()
    wants: tuple[tuple[str, ...], ...] = (("answer",),)

    def read(self, fields: Fields, key: str) -> Any:
        given = fields["answer"]
        accepted = (
            [str(one) for one in given] if isinstance(given, Sequence) and not isinstance(given, str) else [str(given)]
        )
        if not accepted or not all(self.normal(one) for one in accepted):
            raise ValueError("an empty answer")
        return tuple(accepted)

    def ask(self, prompt: str | Messages, answer: Any) -> str | Messages:
        return prompt

    def unusable(self, answer: Any) -> str:
        return ""

    def verify(self, problem: Problem, answer: str) -> Verdict:
        given = self.normal(answer)
        return Verdict(correct=any(given == self.normal(one) for one in problem.answer), readable=bool(given))

    @staticmethod
    def normal(text: str) -> str:
        plain = mathematics.plain(text[:10_000])
        return plain.strip(string.whitespace + "\"'`“”‘’.,;:!") or plain


@dataclass(frozen=True)
class Math(Exact):
    """Mathematical equality; the answer may be the end of a worked solution (`#### 7`, \\boxed{7})."""

    name: str = "math"
    facts: Facts = Facts("mathematical equality (math-verify)")
    layout: Layout = Boxed()

    def read(self, fields: Fields, key: str) -> Any:
        gold = mathematics.gold_answer(str(fields["answer"]))
        if not gold:
            raise ValueError("an empty answer")
        return gold

    def unusable(self, answer: Any) -> str:
        return mathematics.unusable(answer)

    def verify(self, problem: Problem, answer: str) -> Verdict:
        return mathematics.judge(problem.answer, answer)


@dataclass(frozen=True)
class Choice(Exact):
    """Multiple choice. The options are put in an order that depends on the question alone, so that a policy
    can't learn that B is right more often; the answer may be given as the letter, with or without the text."""

    name: str = "choice"
    facts: Facts = Facts("the letter (or the text) of the right option")
    wants: tuple[tuple[str, ...], ...] = (("choices",), ("answer",))
    shuffled: bool = True

    def read(self, fields: Fields, key: str) -> Any:
        labels, options = self._options(fields["choices"])
        if not 2 <= len(options) <= 26 or len(set(map(self.normal, options))) < len(options):
            raise ValueError("fewer than two options, more than 26, or two alike")
        right = self._which(fields.get("answer"), labels, options)
        order = list(range(len(options)))
        if self.shuffled:
            Random(derive("options", key)).shuffle(order)
        return {"options": [options[i] for i in order], "letter": string.ascii_uppercase[order.index(right)]}

    @staticmethod
    def _options(given: Any) -> tuple[list[str], list[str]]:
        """Labels and texts. Known forms: a list; {"text": [...], "label": [...]} (ARC); {"A": ..., "B": ...}; any of
        them written as JSON or Python in a text."""
        if isinstance(given, str):
            try:
                given = ast.literal_eval(given)
            except (ValueError, SyntaxError) as error:
                raise ValueError("options that are no list") from error
        if isinstance(given, Mapping) and "text" in given:
            texts = [str(one) for one in given["text"]]
            return [str(one) for one in given.get("label", string.ascii_uppercase[: len(texts)])], texts
        if isinstance(given, Mapping):
            return [str(one) for one in given], [str(one) for one in given.values()]
        if not isinstance(given, Sequence):
            raise ValueError("options that are no list")
        return list(string.ascii_uppercase[: len(given)]), [str(one) for one in given]

    @staticmethod
    def _which(answer: Any, labels: list[str], options: list[str]) -> int:
        """The index of the right option, given as its label, its index from 0 or its text."""
        text = str(answer).strip()
        for known in (labels, options):
            if isinstance(answer, str) and text in known:
                return known.index(text)
        if text.isdigit() and int(text) < len(options):
            return int(text)
        raise ValueError(f"an answer that is none of the options: {str(answer)[:40]!r}")

    def ask(self, prompt: str | Messages, answer: Any) -> str | Messages:
        listed = "\n".join(
            f"{letter}) {text}" for letter, text in zip(string.ascii_uppercase, answer["options"], strict=False)
        )
        if isinstance(prompt, str):
            return f"{prompt}\n{listed}\nAnswer with the letter of the right option."
        last = prompt[-1]
        asked = Message(role=last["role"], content=str(self.ask(last["content"], answer)))
        return (*prompt[:-1], asked)

    def verify(self, problem: Problem, answer: str) -> Verdict:
        options, letter = problem.answer["options"], problem.answer["letter"]
        known = string.ascii_uppercase[: len(options)]
        given = self.normal(answer)
        texts = [self.normal(option) for option in options]
        if given in texts:
            return Verdict(correct=known[texts.index(given)] == letter)
        # `B`, `(b)`, `B) the text`, `option B`; but not a sentence, in which "a" is a word.
        found = re.fullmatch(
            r"(?:option |answer |the answer is )?\(?([a-z])(?:[).:]\s*(.*)|\s+(.*))?", given, re.DOTALL
        )
        if not found or found[1].upper() not in known:
            return Verdict(correct=False, readable=False, note="no option")
        claimed = found[1].upper()
        rest = self.normal(found[2] or found[3] or "")
        if rest and rest != texts[known.index(claimed)]:
            return Verdict(correct=False, readable=False, note="a letter with another option's text")
        return Verdict(correct=claimed == letter)


@dataclass(frozen=True)
class Roles(Exact):
    """Knights & Knaves: names to roles, or the solution as a sentence (Logic-RL's files)."""

    name: str = "knights-knaves"
    facts: Facts = KnightsKnaves.facts

    def read(self, fields: Fields, key: str) -> Any:
        given = fields["answer"]
        if isinstance(given, Mapping) and "solution_text_format" in given:
            given = given["solution_text_format"]
        if isinstance(given, Mapping) and given and all(isinstance(role, bool) for role in given.values()):
            return dict(given)
        found = re.findall(r"([A-Z]\w*) is an? (knight|knave)", str(given), re.IGNORECASE)
        if not found or len(ROLE.findall(str(given))) != len(found):
            raise ValueError("an answer that doesn't say who is a knight and who a knave")
        return {name: role.lower() == "knight" for name, role in found}

    def verify(self, problem: Problem, answer: str) -> Verdict:
        return KnightsKnaves().verify(problem, answer)


@dataclass(frozen=True)
class Reached(Exact):
    """Countdown: {"numbers": [...], "target": n} (TinyZero's files)."""

    name: str = "countdown"
    facts: Facts = Facts("exact arithmetic: each number at most once, value equals the target")

    def read(self, fields: Fields, key: str) -> Any:
        given = fields["answer"]
        try:
            return {"numbers": [int(n) for n in given["numbers"]], "target": int(given["target"])}
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError("an answer without numbers and target") from error

    def verify(self, problem: Problem, answer: str) -> Verdict:
        return judge_countdown(answer, problem.answer["numbers"], problem.answer["target"])


@dataclass(frozen=True)
class Tested(Exact):
    """Code that must pass tests, in any of the forms `code.read_tests` knows."""

    name: str = "code"
    facts: Facts = Facts("tests, run in a sandbox; all must pass", "share of the tests that pass")
    wants: tuple[tuple[str, ...], ...] = (("tests",),)
    sandbox: Sandbox = field(default_factory=Sandbox)

    def read(self, fields: Fields, key: str) -> Any:
        return read_tests(fields["tests"], str(fields.get("entry") or ""))

    def verify(self, problem: Problem, answer: str) -> Verdict:
        return judge_code(answer, problem.answer, self.sandbox)


@dataclass(frozen=True)
class Queried(Exact):
    """SQL with the result of the reference query; `schema` is a script that makes and fills the database, or
    `database` the path of one."""

    name: str = "sql"
    facts: Facts = Facts(
        "the query's result equals the reference's, in SQLite",
        "runs, schema overlap, token pairs (Reasoning-SQL); at most 1/2 for a wrong result",
    )
    wants: tuple[tuple[str, ...], ...] = (("answer",), ("schema", "database"))

    def read(self, fields: Fields, key: str) -> Any:
        from merf.tasks.sql import Reference

        schema = fields.get("schema") or ()
        setups = (schema,) if isinstance(schema, str) else tuple(schema)
        return Reference(str(fields["answer"]), setups, str(fields.get("database") or ""))

    def unusable(self, answer: Any) -> str:
        from merf.tasks.sql import check_reference

        return check_reference(answer)

    def verify(self, problem: Problem, answer: str) -> Verdict:
        from merf.tasks.sql import judge_query

        return judge_query(answer, problem.answer)[0]


ANSWERS: dict[str, Answers] = {
    kind.name: kind for kind in (Exact(), Math(), Choice(), Roles(), Reached(), Tested(), Queried())
}


def answers_named(name: str) -> Answers:
    """The kind of answers called `name`. KeyError, with the nearest, for an unknown one."""
    if name not in ANSWERS:
        raise KeyError(f"there is no verifier {name!r}{nearest(name, ANSWERS)}")
    if name == "sql":
        from merf.tasks.extras import require

        require("sqlglot", "sql", "the verifier sql")
    return ANSWERS[name]
