"""Do our verdicts agree with what the libraries say by themselves?

    python -m tests.tasks.agreement 1000

generates that many cases of each kind, right answers and wrong ones, and prints the disagreements.
"""

from __future__ import annotations

import re
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from random import Random
from typing import Any

from merf.tasks import countdown, get, mathematics
from merf.tasks.code import same
from merf.tasks.gym import REPLACED
from merf.tasks.gym_table import table
from merf.tasks.knights_knaves import answer_text

Case = tuple[str, bool, bool]
"""What was asked, what the library says of it, what we say."""


# Mathematics.


def expressions(rng: Random) -> tuple[str, str, str]:
    """A value written in two ways, and another value."""
    a, b, c = rng.randint(2, 40), rng.randint(2, 12), rng.randint(1, 9)
    kinds: list[Callable[[], tuple[str, str, str]]] = [
        lambda: (str(a), str(a), str(a + c)),
        lambda: (f"{-a}", f"-{a}.0", str(a)),
        lambda: (f"{a * 1000 + 5}", f"{a},005", f"{a},006"),
        lambda: (rf"\frac{{{a}}}{{{b}}}", f"{a}/{b}", f"{b + 100}/{a}"),
        lambda: (rf"\frac{{{a * c}}}{{{b * c}}}", rf"\frac{{{a}}}{{{b}}}", rf"\frac{{{a + 1}}}{{{b}}}"),
        lambda: (rf"\frac{{{a}}}{{8}}", f"{a / 8}", f"{a / 8 + 0.01}"),
        lambda: (rf"{a}\%", f"{a}\\%", rf"{a + c}\%"),
        lambda: (rf"{a}\sqrt{{{b}}}", rf"{a} \sqrt{{{b}}}", rf"{a + 1}\sqrt{{{b}}}"),
        lambda: (rf"\sqrt{{{a * a * b}}}", rf"{a}\sqrt{{{b}}}", rf"{a}\sqrt{{{b + 1}}}"),
        lambda: (rf"({a}, {b})", f"({a},{b})", f"({b + 50}, {a})"),
        lambda: (rf"\{{{a}, {a + b}\}}", rf"\{{{a + b},{a}\}}", rf"\{{{a}\}}"),
        lambda: (rf"[{a}, {a + b})", rf"[{a},{a + b})", rf"({a}, {a + b}]"),
        lambda: (rf"(-\infty, {a}]", rf"(-\infty,{a}]", rf"(-\infty, {a})"),
        lambda: (rf"(-\infty,{a})\cup({a + b},\infty)", rf"(-\infty, {a}) \cup ({a + b}, \infty)", rf"({a}, {a + b})"),
        lambda: (rf"{a}x + {b}", f"{b} + {a}x", f"{a}x - {b}"),
        lambda: (rf"x^2 - {a * a}", f"(x-{a})(x+{a})", f"(x-{a})^2"),
        lambda: (rf"{a} \text{{ cm}}", f"{a}", f"{a + c}"),
        lambda: (rf"\${a}.50", f"{a}.5", f"{a}.05"),
        lambda: (rf"{a}^\circ", f"{a}", f"{a + c}"),
        lambda: (rf"2^{{{b}}}", str(2**b), str(2**b + 1)),
        lambda: (rf"\frac{{{a}\pi}}{{{b}}}", rf"\frac{{{a}}}{{{b}}}\pi", rf"\frac{{{b + 50}\pi}}{{{a}}}"),
        lambda: (rf"x = {a}", str(a), str(a + c)),
        lambda: (rf"{a}:{b}", f"{a * c}:{b * c}", f"{a}:{b + 1}"),
        lambda: (rf"{a} \times 10^{{{c}}}", str(a * 10**c), str(a * 10**c + 1)),
        lambda: (rf"\log_{{2}} {2**b}", str(b), str(b + 1)),
    ]
    return rng.choice(kinds)()


def mathematics_cases(n: int, seed: int = 0) -> Iterator[Case]:
    import logging

    from math_verify import parse, verify

    logging.getLogger("math_verify").setLevel(logging.ERROR)

    def direct(gold: str, answer: str) -> bool:
        expected, given = (parse(f"${text}$", parsing_timeout=None) for text in (gold, answer))
        return bool(verify(expected, given, timeout_seconds=None))

    rng = Random(seed)
    for _ in range(n):
        gold, right, wrong = expressions(rng)
        answer = right if rng.random() < 0.5 else wrong
        yield f"{gold} | {answer}", direct(gold, answer), mathematics.judge(gold, answer).correct is True


# reasoning-gym.


def gym_cases(n: int, seed: int = 0) -> Iterator[Case]:
    """Stored answers, other problems' stored answers and spoiled ones, over all datasets in turn. The replaced
    scorers are left out: disagreeing is their purpose."""
    from reasoning_gym.factory import get_score_answer_fn

    names = [name for name in table() if name not in REPLACED]
    each = -(-n // len(names) // 4) + 1
    scorers = {name: get_score_answer_fn(name) for name in names}
    rng = Random(seed)
    cases: list[Case] = []
    for name in names:
        task = get(f"rg:{name}")
        few = 2 if table()[name]["ms"] > 100 else each
        problems = list(islice(task.problems("train", seed), few))
        for number, problem in enumerate(problems):
            stored = problem.answer["answer"]
            other = problems[number - 1].answer["answer"]
            answers = [one for one in (stored, other) if isinstance(one, str)]
            answers += [spoiled(one, rng) for one in answers] + ["", "zzz", "[]", "1"]
            for answer in answers:
                answer = answer.strip()
                try:
                    paid = scorers[name](answer, problem.answer) >= 1
                except Exception:
                    paid = False
                cases.append((f"rg:{name} | {answer[:60]!r}", paid, task.verify(problem, answer).correct is True))
    rng.shuffle(cases)
    yield from cases[:n]


def spoiled(text: str, rng: Random) -> str:
    """The text with one character changed."""
    if not text:
        return "?"
    spot = rng.randrange(len(text))
    return text[:spot] + rng.choice("0123456789abcXYZ, ") + text[spot + 1 :]


# Knights & Knaves.


def knights_knaves_cases(n: int, seed: int = 0) -> Iterator[Case]:
    """reasoning-gym solves the statements and judges the answer. Nobody is named twice: the package takes a person's
    role said twice for an answer, we don't."""
    from reasoning_gym.logic.knights_knaves import KnightsKnavesConfig, KnightsKnavesDataset

    task, rng = get("knights-knaves", people=(2, 5)), Random(seed)
    library = KnightsKnavesDataset(KnightsKnavesConfig(size=1))
    for problem in islice(task.problems("train", seed), n):
        names = problem.meta["names"]
        (roles,) = library.find_solution(problem.meta["statements"])
        answer = altered_roles(list(zip(names, roles, strict=True)), rng)
        paid = library.score_answer(answer, {"answer": answer_text(names, roles)}) >= 1
        yield answer, paid, task.verify(problem, answer).correct is True


def altered_roles(roles: list[tuple[str, bool]], rng: Random) -> str:
    """Everybody's role, in any order and in several ways of writing; as often as not something is wrong."""
    rng.shuffle(roles)
    if rng.random() < 0.5:
        match rng.randrange(3):
            case 0:
                (name, role), *rest = roles
                roles = [(name, not role), *rest]
            case 1:
                roles = [(name, not role) for name, role in roles]
            case 2:
                roles = roles[1:]
    said = [f"{name} is a {'knight' if role else 'knave'}" for name, role in roles]
    return rng.choice((", ", " and ", ". ", "\n", ", and ")).join(said) + rng.choice(("", ".", "\n"))


# Countdown.


def countdown_cases(n: int, seed: int = 0) -> Iterator[Case]:
    """reasoning-gym hands the expression to SymPy. It wants every number used, as `rg:countdown` does here."""
    from reasoning_gym.games.countdown import CountdownConfig, CountdownDataset

    task, rng = get("countdown", numbers=(3, 5)), Random(seed)
    library = CountdownDataset(CountdownConfig(size=1))
    for problem in islice(task.problems("train", seed), n):
        answer = altered_expression(str(problem.meta["solution"]), rng)
        paid = library.score_answer(answer, {"metadata": problem.answer}) >= 1
        ours = countdown.judge(answer, problem.answer["numbers"], problem.answer["target"], every=True)
        yield f"{problem.answer} | {answer}", paid, ours.correct is True


def altered_expression(text: str, rng: Random) -> str:
    """An expression with other spaces and brackets, or with another operation, number or order."""
    match rng.randrange(6):
        case 0:
            return text
        case 1:
            return text.replace(" ", "")
        case 2:
            return f"(({text}))"
        case 3:
            return text.replace("(", "").replace(")", "")
        case 4:
            spot = rng.choice([i for i, char in enumerate(text) if char in "+-*/"])
            return text[:spot] + rng.choice("+-*/") + text[spot + 1 :]
    return re.sub(r"\d+", lambda number: str(int(number[0]) + rng.choice((0, 0, 1))), text)


# SQL.


def sql_cases(n: int, seed: int = 0) -> Iterator[Case]:
    task = get("sql", levels=(1, 5))
    rng = Random(seed)
    for problem in islice(task.problems("train", seed), n):
        reference = problem.answer
        query = reference.query if rng.random() < 0.3 else altered_query(reference.query, rng)
        agrees = True
        for setup in reference.setups:
            with sqlite3.connect(":memory:") as connection:
                connection.executescript(setup)
                try:
                    expected, given = (connection.execute(text).fetchall() for text in (reference.query, query))
                    agrees = agrees and same_result(expected, given, reference.query)
                except sqlite3.Error:
                    agrees = False
            connection.close()
        yield f"{reference.query} | {query}", agrees, task.verify(problem, query).correct is True


def same_result(expected: list[Any], given: list[Any], query: str) -> bool:
    """As a person would compare: as lists where the query ends in an order that leaves no ties, else as bags."""
    tail = query.rpartition(")")[2]
    if "ORDER BY" in tail and "LIMIT" in tail:
        return expected == given
    if "ORDER BY" in tail:
        # Sorted by the second column, with ties.
        return Counter(expected) == Counter(given) and [r[1] for r in expected] == [r[1] for r in given]
    return Counter(expected) == Counter(given)


def altered_query(query: str, rng: Random) -> str:
    swaps = [
        *((">", "<"), ("<", ">"), ("=", "<>"), ("DESC", "ASC"), ("ASC", "DESC"), ("AND", "OR"), ("COUNT(*)", "SUM(1)")),
        *(("AVG", "MAX"), ("SUM", "MIN"), ("MAX", "MIN"), ("DISTINCT ", ""), (" LIMIT ", " LIMIT 1"), ("NOT IN", "IN")),
        *(("SELECT ", "SELECT ALL "), ("JOIN", "LEFT JOIN"), ("name", "name AS n"), ("WHERE", "WHERE 1 = 1 AND")),
    ]
    old, new = rng.choice([swap for swap in swaps if swap[0] in query])
    if rng.random() < 0.2:
        return re.sub(r" (ORDER BY|WHERE) .*", "", query)
    return query.replace(old, new, 1)


# Code.


def code_cases(n: int, seed: int = 0) -> Iterator[Case]:
    task = get("code", steps=(1, 6))
    rng = Random(seed)
    for problem in islice(task.problems("train", seed), n):
        source = str(problem.meta["solution"])
        if rng.random() < 0.6:
            source = altered_code(source, rng)
        namespace: dict[str, Any] = {}
        try:
            exec(source, namespace)  # Ours, and ours with a number or a line changed.
            tests = problem.answer
            agrees = all(same(expected, namespace[tests.entry](*given)) for given, expected in tests.cases)
        except Exception:
            agrees = False
        yield source, agrees, task.verify(problem, source).correct is True


def altered_code(source: str, rng: Random) -> str:
    lines = source.splitlines()
    number = rng.randrange(1, len(lines) - 1)
    match rng.randrange(3):
        case 0:
            del lines[number]
        case 1:
            lines[number] = re.sub(r"\d", lambda digit: str(int(digit[0]) + 1), lines[number])
        case 2:
            lines.insert(number, lines[number])
    return "\n".join(lines)


KINDS: dict[str, Callable[[int], Iterator[Case]]] = {
    "mathematics": mathematics_cases,
    "reasoning-gym": gym_cases,
    "knights-knaves": knights_knaves_cases,
    "countdown": countdown_cases,
    "sql": sql_cases,
    "code": code_cases,
}


def disagreements(kind: str, n: int) -> tuple[list[Case], int, int]:
    """The cases on which we differ, how many there were, and how many of them the library calls right."""
    cases = list(KINDS[kind](n))
    return [case for case in cases if case[1] != case[2]], len(cases), sum(case[1] for case in cases)


if __name__ == "__main__":
    for kind in KINDS:
        start = time.perf_counter()
        differing, total, right = disagreements(kind, int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
        seconds = time.perf_counter() - start
        print(f"{kind}: {len(differing)} of {total} disagree ({right} right ones), {seconds:.0f} s")
        for text, library, ours in differing:
            print(f"    library {library}, ours {ours}: {text}")
