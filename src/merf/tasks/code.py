"""Python to write, judged by running it (in `sandbox`) on inputs whose right results it never sees.

Three kinds of tests, which cover the public datasets:
calls    a function's results on given arguments (LeetCode style)
prints   what a program prints for given input (Codeforces style)
asserts  test code that uses the solution (HumanEval, MBPP); runs in a sandbox of its own

`Code` needs no data: it asks for functions from an endless generated family.
"""

from __future__ import annotations

import ast
import builtins
import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from merf.core.layout import Layout, ThinkAnswer
from merf.core.problem import Problem
from merf.core.response import Verdict
from merf.tasks.facts import Dial, Facts
from merf.tasks.functions import make_function
from merf.tasks.procedural import Procedural, check_range, span, spread
from merf.tasks.sandbox import Broken, Limits, Raised, Sandbox, Stopped

LONGEST = 50_000
"""Characters of an answer."""


@dataclass(frozen=True)
class Calls:
    """`entry(*arguments)` must equal `expected` for each (arguments, expected)."""

    entry: str
    cases: tuple[tuple[tuple[Any, ...], Any], ...]


@dataclass(frozen=True)
class Prints:
    """Given an input on stdin, the program must print the output: pairs of (input, output)."""

    cases: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Asserts:
    """Test code, each piece on its own after `setup`; `names` is what it uses of the solution. A piece that
    defines `check(candidate)` is given the solution's `check`."""

    tests: tuple[str, ...]
    names: tuple[str, ...]
    setup: str = ""
    check: str = ""


Tests = Calls | Prints | Asserts


def extract_code(answer: str) -> str:
    """The last fenced block, or the whole text where there is none."""
    blocks = re.findall(r"```[ \t]*\w*[ \t]*\n(.*?)(?:\n[ \t]*```|\Z)", answer, re.DOTALL)
    return blocks[-1] if blocks else answer


def judge_code(answer: str, tests: Tests, sandbox: Sandbox) -> Verdict:
    """Right if every test passes; the score is the share that does."""
    if len(answer) > LONGEST:
        return Verdict(correct=False, readable=False, score=0.0, note=f"longer than {LONGEST} characters")
    source = extract_code(answer)
    if not source.strip():
        return Verdict(correct=False, readable=False, score=0.0, note="no code")
    found: list[str | None] = []
    """What is wrong by each test, None where it passed."""
    try:
        match tests:
            case Calls():
                total = len(tests.cases)
                _call(source, tests, sandbox, found)
            case Prints():
                total = len(tests.cases)
                printed = sandbox.outputs(source, [given for given, _ in tests.cases])
                for (_, expected), output in zip(tests.cases, printed, strict=True):
                    found.append(None if same_output(expected, output) else "printed something else")
            case Asserts():
                total = len(tests.tests)
                found += sandbox.failures(source, tests.tests, tests.names, tests.setup, tests.check)
    except Broken as error:
        return Verdict(correct=None, note=str(error))
    except Raised as error:
        readable = not str(error).startswith(("SyntaxError", "IndentationError", "TabError"))
        return Verdict(correct=False, readable=readable, score=0.0, note=f"the code doesn't run: {error}")
    except Stopped as error:
        found.append(str(error))
    passed = found.count(None)
    wrong = next((f"test {number} of {total}: {fault}" for number, fault in enumerate(found, 1) if fault), "")
    return Verdict(correct=passed == total, score=passed / total, note=wrong)


def _call(source: str, tests: Calls, sandbox: Sandbox, found: list[str | None]) -> None:
    with sandbox.functions(source) as solution:
        for arguments, expected in tests.cases:
            try:
                result = solution.call(tests.entry, arguments)
                found.append(None if same(expected, result) else "a wrong result")
            except Raised as error:
                found.append(str(error))


def same(expected: Any, given: Any) -> bool:
    """Equality of plain values. Lists and tuples are the same, as JSON knows no tuples; numbers agree to six
    digits where one is a float; a bool is only ever a bool."""
    if isinstance(expected, bool) or isinstance(given, bool):
        return expected is given
    if isinstance(expected, list | tuple) and isinstance(given, list | tuple):
        return len(expected) == len(given) and all(map(same, expected, given))
    if isinstance(expected, dict) and isinstance(given, dict):
        return expected.keys() == given.keys() and all(same(value, given[key]) for key, value in expected.items())
    if isinstance(expected, float) and isinstance(given, int | float):
        return close(expected, given)
    if isinstance(given, float) and isinstance(expected, int):
        return close(expected, given)
    return bool(expected == given)


def close(a: float, b: float) -> bool:
    """Within a millionth. Integers too large for a float aren't close to any."""
    try:
        return math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9) or (math.isnan(a) and math.isnan(b))
    except OverflowError:
        return False


def same_output(expected: str, given: str) -> bool:
    """The same words in the same order; decimal numbers agree to six digits."""
    a, b = expected.split(), given.split()
    return len(a) == len(b) and all(x == y or _same_decimal(x, y) for x, y in zip(a, b, strict=True))


def _same_decimal(a: str, b: str) -> bool:
    if "." not in a:
        return False
    try:
        return close(float(a), float(b))
    except ValueError:
        return False


def names_used(tests: Sequence[str], setup: str = "") -> tuple[str, ...]:
    """Names that test code uses without defining them: what it expects of the solution.

    Builtins and standard modules are never among them. A solution that defines its own `abs` or `math`
    must not have it used in the tests. Raises SyntaxError where the tests are no Python.
    """
    used: set[str] = set()
    defined: set[str] = set(dir(builtins)) | set(sys.stdlib_module_names)
    for text in (setup, *tests):
        for node in ast.walk(ast.parse(text)):
            match node:
                case ast.Name(id=name, ctx=ast.Load()):
                    used.add(name)
                case ast.Name(id=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
                    defined.add(name)
                case ast.alias(name=name, asname=other):
                    defined.add((other or name).split(".")[0])
                case ast.ExceptHandler(name=str(name)):
                    defined.add(name)
    return tuple(sorted(used - defined))


def modules_used(tests: Sequence[str], setup: str = "") -> tuple[str, ...]:
    """Standard modules that test code uses without importing them: solutions often import them first."""
    used: set[str] = set()
    imported: set[str] = set()
    for text in (setup, *tests):
        for node in ast.walk(ast.parse(text)):
            match node:
                case ast.Name(id=name, ctx=ast.Load()) if name in sys.stdlib_module_names:
                    used.add(name)
                case ast.Name(id=name) | ast.arg(arg=name):
                    imported.add(name)
                case ast.alias(name=name, asname=other):
                    imported.add((other or name).split(".")[0])
    return tuple(sorted(used - imported))


def read_tests(given: Any, entry: str = "") -> Tests:
    """Tests as datasets store them. ValueError where the form isn't known.

    a list of asserts, or test code with `check(candidate)`      MBPP, HumanEval
    {"inputs": [...], "outputs": [...], "fn_name": "f"}          APPS, TACO, LeetCode collections
    {"inputs": [...], "outputs": [...]}                          the same, as programs
    [{"input": ..., "output": ...}, ...]                         CodeContests and others
    """
    if isinstance(given, str):
        try:
            given = ast.literal_eval(given) if given.lstrip()[:1] in "[{" else given
        except (ValueError, SyntaxError):
            import json

            try:
                given = json.loads(given)
            except ValueError as error:
                raise ValueError(f"tests that are neither code nor data: {error}") from error
    if isinstance(given, str):
        given = [given]
    if isinstance(given, Mapping) and "inputs" in given and "outputs" in given:
        entry = given.get("fn_name") or entry
        pairs = list(zip(given["inputs"], given["outputs"], strict=True))
    elif isinstance(given, Sequence) and given and all(isinstance(one, Mapping) for one in given):
        pairs = [(one["input"], one["output"]) for one in given]
    elif isinstance(given, Sequence) and given and all(isinstance(one, str) for one in given):
        try:
            names, modules = names_used(given), modules_used(given)
        except SyntaxError as error:
            raise ValueError(f"test code that doesn't parse: {error}") from error
        setup = "\n".join(f"import {module}" for module in modules)
        return Asserts(tuple(given), tuple({*names, *([entry] if entry else [])}), setup, entry)
    else:
        raise ValueError("no tests, or in a form that isn't known")
    if not pairs:
        raise ValueError("no tests")
    if entry:
        return Calls(entry, tuple((tuple(given), expected) for given, expected in pairs))
    return Prints(tuple((_as_text(given), _as_text(expected)) for given, expected in pairs))


def _as_text(lines: Any) -> str:
    return lines if isinstance(lines, str) else "\n".join(map(str, lines))


@dataclass(frozen=True)
class Code(Procedural):
    """Functions to write: `steps` is the inclusive range of how many steps they have, in equal shares; `cases`
    how many random inputs they are tested on; `sandbox` where they run."""

    steps: tuple[int, int] = (1, 4)
    cases: int = 8
    sandbox: Sandbox = field(default_factory=lambda: Sandbox(Limits()))
    name: str = "code"
    layout: Layout = ThinkAnswer()

    facts: ClassVar[Facts] = Facts(
        verifier="hidden tests, run in a sandbox; all must pass",
        partial="share of the tests that pass",
        dials=(Dial("steps", "1 to 8 steps"), Dial("cases", "3 to 100 random tests")),
    )

    def __post_init__(self) -> None:
        check_range("steps", self.steps, 1, 8)
        if not 3 <= self.cases <= 100:
            raise ValueError(f"cases={self.cases}: expected 3 to 100")

    @property
    def instruction(self) -> str:
        return self.layout.instruction()

    def draw(self, seed: int, index: int) -> Problem:
        steps = spread(*self.steps, index)
        function = make_function(seed, steps, self.cases)
        return Problem(
            prompt=function.question,
            answer=Calls(function.name, tuple(((given,), expected) for given, expected in function.cases)),
            meta={"difficulty": steps, "solution": function.source},
        )

    def identity(self, problem: Problem) -> str:
        """The function's body: the same steps under another name or with other examples are the same question."""
        return str(problem.meta["solution"]).partition("\n")[2]

    def verify(self, problem: Problem, answer: str) -> Verdict:
        return judge_code(answer, problem.answer, self.sandbox)

    def describe(self) -> str:
        return f"Python functions of {span(*self.steps)} steps on lists and texts, tested in a sandbox."
