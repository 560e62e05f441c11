"""A small endless family of functions to write: a list or a text goes through a few plain steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

Type = Literal["numbers", "number", "text", "words"]

NAMES: dict[Type, str] = {
    "numbers": "a list of integers",
    "number": "an integer",
    "text": "a string",
    "words": "a list of strings",
}

FUNCTION_NAMES = ("transform", "solve", "process", "compute", "convert", "work_out", "run_steps", "apply_rules")


@dataclass(frozen=True)
class Step:
    """`says` in English and `code` in Python, over the variable x, what turns `takes` into `gives`. Both may
    mention {k}, a small number, which differs from problem to problem."""

    takes: Type
    gives: Type
    says: str
    code: str


STEPS = (
    Step("numbers", "numbers", "keep only the even numbers", "[n for n in x if n % 2 == 0]"),
    Step("numbers", "numbers", "keep only the odd numbers", "[n for n in x if n % 2 == 1]"),
    Step("numbers", "numbers", "keep only the numbers greater than {k}", "[n for n in x if n > {k}]"),
    Step("numbers", "numbers", "remove the negative numbers", "[n for n in x if n >= 0]"),
    Step("numbers", "numbers", "multiply every number by {k}", "[n * {k} for n in x]"),
    Step("numbers", "numbers", "add {k} to every number", "[n + {k} for n in x]"),
    Step("numbers", "numbers", "square every number", "[n * n for n in x]"),
    Step("numbers", "numbers", "replace every number by its absolute value", "[abs(n) for n in x]"),
    Step("numbers", "numbers", "reverse the order of the list", "x[::-1]"),
    Step("numbers", "numbers", "sort the list from smallest to largest", "sorted(x)"),
    Step("numbers", "numbers", "sort the list from largest to smallest", "sorted(x, reverse=True)"),
    Step("numbers", "numbers", "remove duplicates, keeping the first of each", "list(dict.fromkeys(x))"),
    Step("numbers", "numbers", "keep only the first {k} numbers", "x[:{k}]"),
    Step("numbers", "numbers", "drop the first {k} numbers", "x[{k}:]"),
    Step("numbers", "numbers", "keep every second number, beginning with the first", "x[::2]"),
    Step("numbers", "numbers", "replace every number by its remainder after division by {k}", "[n % {k} for n in x]"),
    Step(
        "numbers",
        "numbers",
        "replace the list by the differences between each number and the one before it",
        "[b - a for a, b in zip(x, x[1:])]",
    ),
    Step("numbers", "numbers", "replace the list by its running sums", "[sum(x[: i + 1]) for i in range(len(x))]"),
    Step("numbers", "number", "take the sum of the list", "sum(x)"),
    Step("numbers", "number", "take the largest number, or 0 if the list is empty", "max(x, default=0)"),
    Step("numbers", "number", "take the smallest number, or 0 if the list is empty", "min(x, default=0)"),
    Step("numbers", "number", "count the numbers in the list", "len(x)"),
    Step("numbers", "number", "count the different numbers in the list", "len(set(x))"),
    Step("numbers", "number", "take the last number, or 0 if the list is empty", "x[-1] if x else 0"),
    Step("number", "number", "multiply it by {k}", "x * {k}"),
    Step("number", "number", "add {k} to it", "x + {k}"),
    Step("number", "number", "replace it by its absolute value", "abs(x)"),
    Step("number", "number", "replace it by its remainder after division by {k}", "x % {k}"),
    Step("text", "text", "reverse the string", "x[::-1]"),
    Step("text", "text", "turn all letters into upper case", "x.upper()"),
    Step("text", "text", "turn all letters into lower case", "x.lower()"),
    Step("text", "text", "turn upper case into lower case and lower case into upper case", "x.swapcase()"),
    Step(
        "text",
        "text",
        "remove all vowels (a, e, i, o, u in either case)",
        "''.join(c for c in x if c not in 'aeiouAEIOU')",
    ),
    Step("text", "text", "remove all spaces", "x.replace(' ', '')"),
    Step("text", "text", "remove repeated characters, keeping the first of each", "''.join(dict.fromkeys(x))"),
    Step("text", "text", "sort the characters by their code points", "''.join(sorted(x))"),
    Step("text", "text", "keep only the first {k} characters", "x[:{k}]"),
    Step("text", "text", "drop the first {k} characters", "x[{k}:]"),
    Step("text", "text", "keep every second character, beginning with the first", "x[::2]"),
    Step("text", "text", "write it {k} times in a row", "x * {k}"),
    Step("text", "number", "take the length of the string", "len(x)"),
    Step("text", "number", "count the vowels (a, e, i, o, u in either case)", "sum(c in 'aeiouAEIOU' for c in x)"),
    Step("text", "number", "count the different characters", "len(set(x))"),
    Step("text", "words", "split it into words at white space", "x.split()"),
    Step("words", "words", "reverse every word", "[w[::-1] for w in x]"),
    Step("words", "words", "keep only the words longer than {k} characters", "[w for w in x if len(w) > {k}]"),
    Step("words", "words", "sort the words by their code points", "sorted(x)"),
    Step("words", "words", "reverse the order of the words", "x[::-1]"),
    Step("words", "words", "keep the first letter of every word", "[w[0] for w in x]"),
    Step("words", "text", "join the words with hyphens", "'-'.join(x)"),
    Step(
        "words",
        "text",
        "take the longest word (the first of them), or '' if there is none",
        "max(x, key=len, default='')",
    ),
    Step("words", "number", "count the words", "len(x)"),
    Step("words", "numbers", "replace every word by its length", "[len(w) for w in x]"),
)

WORDS = (
    *("apple", "River", "stone", "Blue", "window", "tea", "Orchard", "of", "moon", "garden", "Lamp", "a", "Zebra"),
    *("winter", "bread", "Io", "engine", "up", "Echo", "violin", "sky", "Umbrella", "noon", "level", "Anna", "kayak"),
)


def sample_input(kind: Type, rng: Random) -> Any:
    if kind == "numbers":
        return [rng.randint(-20, 30) for _ in range(rng.randint(3, 9))]
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(2, 6)))


EDGES: dict[Type, tuple[Any, ...]] = {"numbers": ([], [7], [-3, -3, 4, 4]), "text": ("", "x", "Aa bB aA")}


@dataclass(frozen=True)
class Function:
    """A function to be written: its description, a solution, and what it must return."""

    name: str
    question: str
    source: str
    cases: tuple[tuple[Any, Any], ...]
    """Argument and right result."""


def make_function(seed: int, steps: int, cases: int) -> Function:
    """A chain of `steps` steps, with results on the edges and on `cases` random inputs that are not all alike."""
    rng = Random(seed)
    while True:
        start: Type = rng.choice(("numbers", "text"))
        chain = _chain(start, steps, rng)
        name = rng.choice(FUNCTION_NAMES)
        lines = [f"    x = {code}" for _, code in chain]
        source = "\n".join([f"def {name}(x):", *lines, "    return x"])
        function = _compiled(source, name)
        inputs = [*EDGES[start], *(sample_input(start, rng) for _ in range(cases))]
        results = [(given, function(given)) for given in inputs]
        # A chain may throw everything away; such a function would be solved by a constant.
        if len({repr(result) for _, result in results}) > len(results) // 2:
            break
    given = NAMES[start]
    listed = "; ".join(f"({number}) {says}" for number, (says, _) in enumerate(chain, 1))
    shown = " ".join(f"For example, {name}({g!r}) is {r!r}." for g, r in results[-2:])
    question = (
        f"Write a Python function `{name}(x)` that takes {given} and applies these steps in order: {listed}. "
        f"It returns the result. {shown} Answer with the function's code alone."
    )
    return Function(name, question, source, tuple(results[:-2]))


def _chain(start: Type, steps: int, rng: Random) -> list[tuple[str, str]]:
    """`steps` steps that fit together, none of them twice in a row."""
    found: list[Step] = []
    kind = start
    while len(found) < steps:
        # A single number leaves little to do, so lists and texts are kept as such until near the end.
        early = kind != "number" and len(found) < steps - 1 and rng.random() < 0.9
        fitting = [
            step
            for step in STEPS
            if step.takes == kind and step not in found[-1:] and not (early and step.gives == "number")
        ]
        step = rng.choice(fitting)
        found.append(step)
        kind = step.gives
    chosen = [str(rng.randint(2, 5)) for _ in found]
    return [(s.says.replace("{k}", k), s.code.replace("{k}", k)) for s, k in zip(found, chosen, strict=True)]


def _compiled(source: str, name: str) -> Callable[[Any], Any]:
    """The function itself: the source is ours, put together from STEPS."""
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    function: Callable[[Any], Any] = namespace[name]
    return function
