from __future__ import annotations

import json
from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merf import Boxed, Correct, Format, Linear, Problem, Rulebook
from merf.framing.motivation import Motivated
from merf.integrations.rows import (
    Rows,
    as_framing,
    as_task,
    decode,
    encode,
    fingerprint,
    plain,
    solution_of,
    spoken,
    unplain,
)
from merf.tasks import get
from tests.integrations.parity import Parity

BOOK = Rulebook(Correct(right=2, wrong=-1.5, unreadable=-2), Format(good=1, bad=-1))

atoms = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner),
        st.lists(inner).map(tuple),
        st.dictionaries(st.text() | st.just("$"), inner),
        st.dictionaries(st.integers() | st.tuples(st.integers(), st.text()), inner),
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(values)
def test_values_come_back_as_they_were(value: Any) -> None:
    back = unplain(json.loads(json.dumps(plain(value))))
    assert back == value
    assert repr(back) == repr(value)  # tuples and True are not lists and 1


@pytest.mark.parametrize(
    "name", ["countdown", "knights-knaves", "code", "sql", "rg:graph_color", "rg:knights_knaves", "rg:coin_flip"]
)
def test_problems_travel_and_are_judged_alike(name: str) -> None:
    task = get(name)
    for problem in islice(task.problems("train", 0), 2):
        back = decode(encode(problem, BOOK), fingerprint(BOOK))
        assert (back.prompt, back.answer, back.task, back.id) == (
            problem.prompt,
            problem.answer,
            problem.task,
            problem.id,
        )
        assert dict(back.meta) == dict(problem.meta)
        for answer in filter(None, (solution_of(problem), "no", "")):
            assert task.verify(back, answer) == task.verify(problem, answer)


def test_what_no_rule_reads_is_left_behind() -> None:
    problem = Problem("How many?", answer=np.int64(3), id="p", meta={"image": object(), "difficulty": np.float64(2)})
    back = decode(encode(problem, BOOK), fingerprint(BOOK))
    assert back.answer == 3
    assert dict(back.meta) == {"difficulty": 2.0}


def test_an_answer_that_cant_be_written_is_refused_by_the_problems_name() -> None:
    with pytest.raises(TypeError, match="the answer of 'p7': object can't be written"):
        encode(Problem("?", answer=object(), id="p7"), BOOK)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        "null",
        "[]",
        "{}",
        '{"rulebook": "x"}',
        '{"rulebook": "x", "prompt": "p", "answer": {"$": "os:system", "of": {"command": "true"}}}',
        '{"rulebook": "x", "prompt": "p", "answer": {"$": "merf.tasks.sandbox:Path", "of": {}}}',
        '{"rulebook": "x", "prompt": "p", "answer": {"$": "merf.tasks.code:Calls", "of": {"no": 1}}}',
        '{"rulebook": "x", "prompt": "p", "answer": {"$": "tuple", "of": null}}',
        '{"rulebook": "x", "prompt": "p", "answer": {"$": "dict", "of": [1]}}',
        '{"rulebook": "x", "prompt": "p", "sudo": 1}',
        None,
    ],
)
def test_a_column_that_merf_did_not_write_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match="not a problem that merf wrote"):
        decode(text, "x")


def test_prompts_written_for_another_rulebook_are_refused() -> None:
    other = Rulebook(Correct(right=3, wrong=-1.5, unreadable=-2), Format(good=1, bad=-1))
    line = encode(Problem("?", answer="4", id="p7"), BOOK)
    with pytest.raises(ValueError, match=r"p7: its prompt was written for another rulebook"):
        decode(line, fingerprint(other))
    assert decode(line, fingerprint(BOOK.silent())).id == "p7", "telling or not is not what is paid"


def test_rows_of_ones_own_dataset() -> None:
    rows = Rows("math")
    problem = rows.problem({"question": "What is 1/2 + 1/4?", "answer": "Half of it ... #### 3/4", "level": 2})
    assert problem.prompt == "What is 1/2 + 1/4?"
    assert rows.verify(problem, "0.75").correct
    assert not rows.verify(problem, "0.5").correct
    assert problem.id == rows.problem({"question": "what is  1/2 + 1/4", "answer": "#### 1"}).id, "by the question"
    assert solution_of(problem) == "3/4"


def test_rows_may_name_their_columns_and_layout() -> None:
    rows = Rows("exact", Boxed(), prompt="ask", answer="gold")
    problem = rows.problem({"ask": "Capital of France?", "gold": "Paris", "id": "q1", "hint": "P"})
    assert rows.verify(problem, " paris. ").correct
    assert problem.id == "q1"
    assert problem.meta["hint"] == "P"
    assert "boxed" in rows.instruction


@pytest.mark.parametrize(
    ("rows", "row", "said"),
    [
        (Rows("math"), {"question": "q", "reply": "7"}, "no column looks like the answer"),
        (Rows("math"), {"foo": 1}, "no column looks like the prompt"),
        (Rows("math", answer="gold"), {"question": "q", "golden": "7"}, "no column 'gold'.*did you mean 'golden'"),
        (Rows("countdown"), {"question": "q", "answer": "7"}, "in no known form"),
        (Rows("math"), {"question": "", "answer": "7"}, "empty prompt"),
    ],
)
def test_rows_that_cant_be_problems(rows: Rows, row: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        rows.problem(row)


def test_a_later_row_without_an_answer_is_named() -> None:
    rows = Rows("math")
    rows.problem({"question": "first", "answer": "7"})
    with pytest.raises(ValueError, match="a row has no answer: 'second'"):
        rows.problem({"question": "second", "answer": None})


def test_rows_make_no_problems() -> None:
    with pytest.raises(TypeError, match="hand the rows over"):
        Rows().problems()


def test_a_framing_that_depends_on_the_step_is_refused() -> None:
    with pytest.raises(ValueError, match="told=False"):
        as_framing(Motivated(system="", exposure=Linear(1, 0)), Parity())
    with pytest.raises(ValueError, match="learning"):
        as_framing(Motivated(system="", learning="bare"), Parity())
    assert as_framing(None, Parity()).system == Parity().instruction


def test_options_belong_to_a_name() -> None:
    assert as_task("countdown", {"numbers": (3, 3)}) == get("countdown", numbers=(3, 3))
    with pytest.raises(ValueError, match="numbers: options go with a task's name"):
        as_task(Parity(), {"numbers": (3, 3)})


def test_reasoning_that_a_server_took_out_is_put_back() -> None:
    task = Parity()
    turn = {"role": "assistant", "content": "<answer>4</answer>", "reasoning_content": "2 + 2"}
    assert spoken(turn, get("countdown").layout) == "<think>2 + 2</think><answer>4</answer>"
    assert spoken({"content": None}, task.layout) == ""
    assert spoken({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, task.layout) == "ab"
