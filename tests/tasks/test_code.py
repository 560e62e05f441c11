"""Code tasks: the forms tests come in, how results are compared, and the generated functions.

What hostile code can't do is in `test_sandbox`.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import Any

import pytest

from merf.tasks.code import (
    Asserts,
    Calls,
    Code,
    Prints,
    extract_code,
    judge_code,
    names_used,
    read_tests,
    same,
    same_output,
)
from merf.tasks.sandbox import Broken, Limits, Sandbox

SANDBOX = Sandbox(Limits(seconds=20.0))
ADD = Calls("add", (((1, 2), 3), ((-5, 5), 0), (("a", "b"), "ab")))


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("def add(a, b):\n    return a + b", 1.0),
        ("Here it is:\n```python\ndef add(a, b):\n    return a + b\n```\nDone.", 1.0),
        ("```\nbroken(\n```\nBetter:\n```py\nadd = lambda a, b: a + b\n```", 1.0),
        ("```python\ndef add(a, b): return a + b", 1.0),
        ("import operator\nadd = operator.add", 1.0),
        ("class Add:\n    def __call__(self, a, b): return a + b\nadd = Add()", 1.0),
        ("def add(a, b):\n    print('thinking')\n    return a + b", 1.0),
        ("def add(a, b):\n    return a - b", 0.0),
        ("def add(a, b):\n    return 3", 1 / 3),
        ("def add(a, b):\n    return sum((a, b))", 2 / 3),
        ("def plus(a, b):\n    return a + b", 0.0),
        ("def add(a):\n    return a", 0.0),
        ("def add(a, b):\nreturn a", 0.0),
        ("raise ValueError", 0.0),
        ("I can't do this.", 0.0),
        ("", 0.0),
        ("x" * 100_000, 0.0),
    ],
)
def test_hand_checked_solutions(answer: str, score: float) -> None:
    verdict = judge_code(answer, ADD, SANDBOX)
    assert verdict.score == pytest.approx(score)
    assert verdict.correct is (score == 1)
    assert bool(verdict.note) is (score < 1)


def test_code_that_isnt_python_is_unreadable_and_code_that_fails_is_wrong() -> None:
    assert judge_code("def add(a, b) return", ADD, SANDBOX).readable is False
    assert judge_code("   ", ADD, SANDBOX).readable is False
    assert judge_code("raise ValueError", ADD, SANDBOX).readable is True


@pytest.mark.parametrize(
    ("program", "correct"),
    [
        ("print(int(input()) + int(input()))", True),
        ("import sys\nprint(sum(map(int, sys.stdin.read().split())))", True),
        ("import sys\nsys.stdout.write(str(sum(int(l) for l in sys.stdin)))", True),
        ("def main():\n    print(int(input()) + int(input()))\nif __name__ == '__main__':\n    main()", True),
        ("print(7)", False),
        ("print(input() + input())", False),
        ("print(1 / 0)", False),
    ],
)
def test_programs_are_judged_by_what_they_print(program: str, correct: bool) -> None:
    assert judge_code(program, Prints((("3\n4\n", "7\n"), ("-1\n1", "0"))), SANDBOX).correct is correct


@pytest.mark.parametrize(
    ("expected", "given", "agree"),
    [
        (3, 3, True),
        (3, 3.0, True),
        (0.1 + 0.2, 0.3, True),
        (1e9, 1e9 + 1, True),
        (1.0, 1.001, False),
        (10**400, 1.0, False),
        (float("nan"), float("nan"), True),
        (1, True, False),
        (True, 1, False),
        (True, True, True),
        ([1, 2], (1, 2), True),
        ([1, [2.0]], (1, (2,)), True),
        ([1, 2], [2, 1], False),
        ([1], [1, 2], False),
        ({1, 2}, {2, 1}, True),
        ({1}, [1], False),
        ({"a": [1]}, {"a": (1.0,)}, True),
        ({"a": 1}, {"b": 1}, False),
        ("1", 1, False),
        (None, None, True),
        (None, 0, False),
    ],
)
def test_equality_of_results(expected: Any, given: Any, agree: bool) -> None:
    assert same(expected, given) is agree


@pytest.mark.parametrize(
    ("expected", "given", "agree"),
    [
        ("1 2\n3\n", "1 2\n3", True),
        ("1 2\n3", "  1   2 3\n\n", True),
        ("0.5", "0.5000000001", True),
        ("5", "5.0", False),
        ("yes", "YES", False),
        ("1 2", "1", False),
        ("", "", True),
    ],
)
def test_equality_of_printed_output(expected: str, given: str, agree: bool) -> None:
    assert same_output(expected, given) is agree


HUMANEVAL = "def check(candidate):\n    assert candidate(1, 2) == 3\n    assert candidate(0, 0) == 0"
MBPP = ["assert add(1, 2) == 3", "assert add(0, 0) == 0"]


@pytest.mark.parametrize(
    ("stored", "entry", "tests"),
    [
        (MBPP, "", Asserts(tuple(MBPP), ("add",))),
        (json.dumps(MBPP), "", Asserts(tuple(MBPP), ("add",))),
        (repr(MBPP), "", Asserts(tuple(MBPP), ("add",))),
        (HUMANEVAL, "add", Asserts((HUMANEVAL,), ("add",), "", "add")),
        ({"inputs": [[1, 2]], "outputs": [3], "fn_name": "add"}, "", Calls("add", (((1, 2), 3),))),
        ('{"inputs": [[1, 2]], "outputs": [3]}', "add", Calls("add", (((1, 2), 3),))),
        ({"inputs": ["1\n2"], "outputs": [["3", "4"]]}, "", Prints((("1\n2", "3\n4"),))),
        ([{"input": "1 2", "output": "3"}], "", Prints((("1 2", "3"),))),
    ],
)
def test_tests_are_read_in_the_forms_they_are_stored_in(stored: Any, entry: str, tests: Any) -> None:
    assert read_tests(stored, entry) == tests


@pytest.mark.parametrize("stored", ["", "assert (", [], {}, 7, None, {"inputs": [], "outputs": []}, "[1, 2", [1, 2]])
def test_tests_in_no_known_form_are_refused(stored: Any) -> None:
    with pytest.raises(ValueError, match=r"tests|code"):
        read_tests(stored)


@pytest.mark.parametrize("stored", [MBPP, HUMANEVAL])
def test_stored_tests_tell_right_from_wrong(stored: Any) -> None:
    tests = read_tests(stored, "add")
    assert judge_code("def add(a, b): return a + b", tests, SANDBOX).correct is True
    assert judge_code("def add(a, b): return a - b", tests, SANDBOX).correct is False


def test_classes_generators_and_exceptions_under_test() -> None:
    solution = (
        "import math\nclass Stack:\n    def __init__(self): self.items = []\n"
        "    def push(self, x): self.items.append(x)\n"
        "    def pop(self): return self.items.pop()\ndef evens(n):\n    for i in range(0, n, 2): yield i\n"
        "def root(x):\n    if x < 0: raise ValueError('negative')\n    return math.sqrt(x)"
    )
    tests = [
        "s = Stack()\ns.push(3)\ns.push([4])\nassert s.pop() == [4] and s.pop() == 3",
        "s = Stack()\ntry:\n    s.pop()\n    assert False\nexcept IndexError:\n    pass",
        "assert list(evens(5)) == [0, 2, 4] and sum(evens(7)) == 12",
        "try:\n    root(-1)\n    assert False\nexcept ValueError as e:\n    assert 'negative' in str(e)",
        "assert math.isclose(root(2), 1.41421356, rel_tol=1e-6)",
        "s = Stack()\ns.push(1)\nassert s.items == [1]",
    ]
    verdict = judge_code(solution, read_tests(tests), SANDBOX)
    assert verdict.note == ""
    assert verdict.correct is True


def test_names_that_tests_take_from_the_solution() -> None:
    tests = [
        "import os\nx = 1\nassert abs(f(x)) == len(g) and [y for y in h] and math.pi",
        "def k(a): return a\nk(A())",
    ]
    assert names_used(tests) == ("A", "f", "g", "h")


def test_the_last_block_is_the_answer() -> None:
    assert extract_code("a") == "a"
    assert extract_code("```\na\n```") == "a"
    assert extract_code("```python\na\n```\ntext\n```py\nb\nc\n```") == "b\nc"
    assert extract_code("```python\na\nb") == "a\nb"


def test_a_broken_sandbox_is_nobodys_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise Broken("no sandbox today")

    monkeypatch.setattr(Sandbox, "functions", fail)
    verdict = judge_code("def add(a, b): return a + b", ADD, SANDBOX)
    assert verdict.correct is None
    assert verdict.note == "no sandbox today"


def test_generated_functions_have_hidden_tests_and_right_solutions() -> None:
    task = Code(steps=(1, 8))
    problems = list(islice(task.problems("test"), 200))
    assert sorted({p.meta["difficulty"] for p in problems}) == list(range(1, 9))
    for problem in problems:
        namespace: dict[str, Any] = {}
        exec(problem.meta["solution"], namespace)
        for arguments, expected in problem.answer.cases:
            assert namespace[problem.answer.entry](*arguments) == expected
        # The two examples in the prompt aren't among the tests, so quoting them passes few.
        shown = str(problem.prompt)
        hidden = [a for (a,), _ in problem.answer.cases if repr(a) not in shown]
        assert len(hidden) >= len(problem.answer.cases) - 2
        assert problem.meta["solution"].count("\n") == problem.meta["difficulty"] + 1


def test_the_same_steps_under_another_name_stay_in_their_split() -> None:
    task = Code(steps=(1, 1))
    bodies = {split: {task.identity(p) for p in islice(task.problems(split), 150)} for split in ("train", "test")}
    assert not bodies["train"] & bodies["test"]


def test_a_constant_solves_no_generated_function() -> None:
    task = Code()
    for problem in islice(task.problems(), 60):
        results = [repr(expected) for _, expected in problem.answer.cases]
        assert max(map(results.count, results)) < len(results)
