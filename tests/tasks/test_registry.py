"""What every task promises, whichever it is."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merf.core.problem import Problem
from merf.core.response import Response, Verdict
from merf.tasks import TASKS, extras, get, names
from merf.tasks.procedural import ATTEMPTS, ONE_IN, Procedural, side

GENERATED: dict[str, dict[str, Any]] = {
    "knights-knaves": {"people": (2, 4)},
    "countdown": {},
    "digit-arithmetic": {},
    "string-functions": {},
    "code": {},
    "sql": {"levels": (1, 5)},
    "rg:chain_sum": {"level": (0, 3)},
    "rg:maze": {},
    "search-qa": {},
    "twenty-questions": {},
    "maze": {},
    "dependency-graph": {},
    "two-hop": {},
    "two-hop-search": {},
    "graded": {},
    "distractors": {},
    "bandit": {},
}
"""Tasks that make their own problems, with options."""

WITH_DATA = ("math", "gsm8k", "multiple-choice")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("data")
    rows = {
        "math": [{"problem": f"What is {n}/7?", "solution": rf"So \boxed{{\frac{{{n}}}{{7}}}}."} for n in range(40)],
        "gsm8k": [{"question": f"What is {n} + 1?", "answer": f"Count. #### {n + 1}"} for n in range(40)],
        "multiple-choice": [
            {"question": f"Which is {n}?", "choices": [str(n), str(n + 1), str(n + 2)], "answer": 0} for n in range(40)
        ],
    }
    for name, lines in rows.items():
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return {name: folder / f"{name}.jsonl" for name in rows}


@pytest.fixture(params=[*GENERATED, *WITH_DATA])
def task(request: pytest.FixtureRequest, data: dict[str, Path]) -> Any:
    name = request.param
    return get(name, **(GENERATED[name] if name in GENERATED else {"data": str(data[name])}))


def first(task: Any, n: int, split: str = "train", seed: int = 0) -> list[Problem]:
    return list(islice(task.problems(split, seed), n))


def test_a_task_states_who_it_is(task: Any) -> None:
    assert task.name
    assert task.describe()
    assert task.instruction == task.layout.instruction()
    assert task.facts.verifier
    for dial in task.facts.dials:
        assert dial.default is not None or hasattr(task, dial.name)


def test_problems_are_the_same_every_time_and_every_seed_has_its_own(task: Any) -> None:
    once, again, other = first(task, 12), first(task, 12), first(task, 12, seed=1)
    assert once == again
    assert [p.prompt for p in once] != [p.prompt for p in other]
    assert all(isinstance(p.meta["difficulty"], int) for p in once)
    assert len({p.id for p in once}) == len(once)
    assert all(p.task == task.name for p in once)


def test_no_question_is_in_both_splits(task: Any) -> None:
    train = {str(p.prompt) for seed in range(2) for p in first(task, 40, "train", seed)}
    test = {str(p.prompt) for seed in range(2) for p in first(task, 40, "test", seed)}
    assert train
    assert test
    assert not train & test


def test_problems_come_one_at_a_time(task: Any) -> None:
    # An endless task would never return otherwise; a finite one is not asked to prove more.
    assert next(iter(task.problems("train", 3))) == first(task, 1, "train", 3)[0]


def test_the_stored_solution_is_right_and_nonsense_is_not(task: Any) -> None:
    for problem in first(task, 4):
        verdict = task.verify(problem, solution_of(task, problem))
        assert verdict.correct is True
        assert verdict.score in (None, 1.0)
        for nonsense in ("", " ", "zzz", "\x00", "x" * 100_000, "🦊", "<answer>", "\ud800", "None", "[", "1" * 5000):
            verdict = task.verify(problem, nonsense)
            assert verdict.correct is False
            assert verdict.score is None or 0 <= verdict.score < 1


def solution_of(task: Any, problem: Problem) -> str:
    if isinstance(problem.answer, dict) and "letter" in problem.answer:
        return str(problem.answer["letter"])
    return str(problem.answer if isinstance(problem.answer, str) else problem.meta["solution"])


SLOW = {"code": 12}
"""Tasks that start a process for every verdict are asked less often."""


def test_verify_is_total(task: Any) -> None:
    problem = first(task, 1)[0]
    pieces = st.sampled_from(
        ["<answer>", "\\boxed{", "SELECT", "def f(x):", "```", "9^9", "(", "knight", "\n", "\\", "$"]
    )

    @settings(max_examples=SLOW.get(task.name, 60), deadline=None)
    @given(st.one_of(st.text(max_size=200), st.lists(st.one_of(pieces, st.text(max_size=5))).map("".join)))
    def judge(text: str) -> None:
        verdict = task.verify(problem, text)
        assert isinstance(verdict, Verdict)
        assert verdict.correct is not None
        assert verdict.score is None or 0 <= verdict.score <= 1
        assert task.verify(problem, text) == verdict

    judge()


def test_the_layout_extracts_the_answer_before_it_is_judged(task: Any) -> None:
    problem = first(task, 1)[0]
    solution = solution_of(task, problem)
    text = task.layout.render("Let me see.", solution)
    response = Response(problem, text, layout=task.layout, verify=task.verify)
    assert response.verdict.correct is True
    # The right answer somewhere in the thinking earns nothing.
    hidden = Response(problem, task.layout.render(solution, "zzz"), layout=task.layout, verify=task.verify)
    assert hidden.verdict.correct is False


def test_problems_are_the_same_in_another_process() -> None:
    # Sets of strings iterate in another order there.
    script = (
        "from itertools import islice\nfrom merf.tasks import get\n"
        f"for name, options in {GENERATED!r}.items():\n"
        "    print([p.prompt for p in islice(get(name, **options).problems('train', 5), 3)])"
    )
    here = [[p.prompt for p in first(get(name, **options), 3, "train", 5)] for name, options in GENERATED.items()]
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
            env={"PYTHONHASHSEED": seed, "PATH": ""},
        )
        assert done.stdout.splitlines() == [str(prompts) for prompts in here]


def test_names_lists_every_task_and_get_makes_them() -> None:
    listed = names()
    assert set(TASKS) <= set(listed)
    assert sum(name.startswith("rg:") for name in listed) == 105
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mathh", {}, "did you mean 'math'"),
        ("rg:sudku", {}, "did you mean 'sudoku'"),
        ("knights_knaves", {}, "did you mean 'knights-knaves'"),
        ("nothing at all", {}, "there are: knights-knaves"),
        ("countdown", {"numbrs": (2, 3)}, "did you mean 'numbers'"),
        ("countdown", {"numbers": (1, 9)}, "between 2 and 8"),
        ("countdown", {"operations": "+^"}, "some of"),
        ("countdown", {"numbers": 3}, "numbers = 3: expected 2 whole numbers, such as [3, 4]"),
        ("countdown", {"numbers": (3, 4, 5)}, "expected 2 whole numbers"),
        ("countdown", {"numbers": ("3", "4")}, "expected 2 whole numbers"),
        ("countdown", {"largest": "50"}, "largest = '50': expected a whole number"),
        ("countdown", {"largest": True}, "expected a whole number"),
        ("countdown", {"operations": 7}, "operations = 7: expected a text"),
        ("search-qa", {"documents": 1}, "expected a text"),
        ("data:x.jsonl", {"holdout": "half"}, "holdout = 'half': expected a number"),
        ("countdown", {"layout": "thinkanswer"}, "think-answer"),
        ("code", {"steps": (4, 2)}, "the lower first"),
        ("sql", {"levels": (0, 9)}, "between 1 and 5"),
        ("knights-knaves", {"people": (1, 3)}, "2 to 8"),
        ("rg:chain_sum", {"min_term": 3}, "did you mean 'min_terms'"),
        ("rg:chain_sum", {"min_terms": 30}, "max_terms must be"),
        ("rg:chain_sum", {"level": 99}, "levels 0 to"),
        ("math", {}, "needs data"),
        ("data:", {}, "name a file"),
        ("data:nowhere.jsonl", {}, "no file nowhere.jsonl"),
    ],
)
def test_what_is_wrong_is_said_with_the_nearest_right(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises((KeyError, ValueError, FileNotFoundError)) as caught:
        get(name, **options)
    assert message in str(caught.value)


class OneQuestion(Procedural):
    name = "one-question"

    def draw(self, seed: int, index: int) -> Problem:
        return Problem("What is it?", "it")


def test_a_split_without_questions_is_an_error_not_an_endless_search() -> None:
    task = OneQuestion()
    here = side("What is it?")
    assert next(task.problems(here)).prompt == "What is it?"
    with pytest.raises(ValueError, match="too few different questions"):
        next(task.problems("train" if here == "test" else "test"))
    with pytest.raises(ValueError, match="'train' or 'test'"):
        next(task.problems("validation", 0))
    with pytest.raises(ValueError, match="no 2 numbers"):
        next(get("countdown", numbers=(2, 2), largest=9, target=(500, 600), operations="+").problems())


def test_one_question_in_four_is_held_out() -> None:
    # Of 4,000 fair draws at 1/4 the share lies within 0.25 ± 0.034 but for one time in a million.
    held = sum(side(f"question {n}") == "test" for n in range(4000)) / 4000
    assert abs(held - 1 / ONE_IN) < 0.034
    assert (1 - 1 / ONE_IN) ** ATTEMPTS < 1e-100


def test_listing_and_making_tasks_needs_no_torch() -> None:
    script = (
        "import sys\nfrom merf.tasks import get, names\nnames()\ntask = get('countdown')\n"
        "task.verify(next(task.problems()), '1')\nprint([m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "[]\n"


def test_textarena_without_the_package_says_which_extra_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(extras.MissingExtra, match=r"merf\[textarena\]"):
        get("textarena:Mastermind-v0")
