"""The work of the Knights & Knaves world, and following it: what everybody says, then cases, up to the one that fits.

    Ann says Bob knave. If Ann honest Bob honest: Ann: Bob knave false no.

A step that restates somebody's statement is right if that is what was said. A case is right if every statement in it
is evaluated truly, one after the other in the order of the people, up to the first that doesn't fit its speaker, and
if it ends in "yes" exactly where all fit. What is needed is every statement and the case that fits.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from merf.core.problem import Problem
from merf.core.steps import Checked, CheckedStep, step_spans
from merf.tasks.knights_knaves import Statement, true_under

OPERATORS = {"and": "and", "or": "or", "->": "then", "<=>": "iff"}
CASE = re.compile(r"If ([^:]+): (.+) (yes|no)\.?", re.DOTALL)
SAYS = re.compile(r"(\w+) says (.+?)\.?")
FITS = "the case that fits"


def restated(statement: Statement, names: Sequence[str]) -> str:
    """`Ann knight iff Bob knave`: the statement without its little words."""
    match statement:
        case ("telling-truth", i) | ("not", ("lying", i)):
            return f"{names[i]} knight"
        case ("lying", i) | ("not", ("telling-truth", i)):
            return f"{names[i]} knave"
        case (operator, *parts):
            return f" {OPERATORS[operator]} ".join(restated(part, names) for part in parts)
    raise ValueError(f"not a small-world statement: {statement!r}")


def evaluated(statement: Statement, names: Sequence[str], roles: Sequence[bool]) -> str:
    """`Ann knight true iff Bob knave false so false`, or `Bob knave true` for a statement without parts."""
    truth = word(true_under(statement, roles))
    if statement[0] in OPERATORS:
        parts = f" {OPERATORS[statement[0]]} ".join(evaluated(part, names, roles) for part in statement[1:])
        return f"{parts} so {truth}"
    return f"{restated(statement, names)} {truth}"


def word(truth: bool) -> str:
    return "true" if truth else "false"


def case_text(names: Sequence[str], statements: Sequence[Statement], roles: Sequence[bool]) -> tuple[str, bool]:
    """What is to be said of a case, and whether it fits."""
    checks, fits = [], True
    for name, statement, role in zip(names, statements, roles, strict=True):
        checks.append(f"{name}: {evaluated(statement, names, roles)}")
        fits = true_under(statement, roles) == role
        if not fits:
            break
    return ", ".join(checks), fits


def work(problem: Problem) -> str:
    """Everybody's statement, then every case in order up to the first that fits."""
    names, statements = problem.meta["names"], problem.meta["statements"]
    lines = [f"{name} says {restated(statement, names)}." for name, statement in zip(names, statements, strict=True)]
    for roles in itertools.product((True, False), repeat=len(names)):
        checks, fits = case_text(names, statements, roles)
        setting = " ".join(f"{name} {'honest' if role else 'lying'}" for name, role in zip(names, roles, strict=True))
        lines.append(f"If {setting}: {checks} {'yes' if fits else 'no'}.")
        if fits:
            break
    return " ".join(lines)


class KnightsSteps:
    def check(self, problem: Problem, reasoning: str) -> Checked:
        names, statements = list(problem.meta["names"]), problem.meta["statements"]
        steps = []
        for start, end in step_spans(reasoning):
            right, about, note = self.judge(reasoning[start:end].strip()[:2000], names, statements)
            steps.append(CheckedStep((start, end), right, about, note))
        return Checked(tuple(steps), (*(f"{name} says" for name in names), FITS))

    def judge(self, step: str, names: list[str], statements: Sequence[Statement]) -> tuple[bool | None, str, str]:
        if found := CASE.fullmatch(step):
            return self.case(found, names, statements)
        found = SAYS.fullmatch(step)
        if not found or found[1] not in names:
            return None, "", ""
        right = found[2] == restated(statements[names.index(found[1])], names)
        return right, f"{found[1]} says", "" if right else f"{found[1]} says something else"

    @staticmethod
    def case(found: re.Match[str], names: list[str], statements: Sequence[Statement]) -> tuple[bool | None, str, str]:
        words = found[1].split()
        if words[::2] != names or len(words) != 2 * len(names) or set(words[1::2]) - {"honest", "lying"}:
            return False, "", "not a role for everybody, in order"
        expected, fits = case_text(names, statements, [word == "honest" for word in words[1::2]])
        if found[2] != expected:
            return False, FITS if fits else "", "a statement is evaluated wrongly"
        if (found[3] == "yes") != fits:
            return False, FITS if fits else "", "it fits" if fits else "it doesn't fit"
        return True, FITS if fits else "", ""

    def reference(self, problem: Problem) -> str:
        return work(problem)
