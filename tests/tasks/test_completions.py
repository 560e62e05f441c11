"""Rows of completions: which column is what, who judges, where the answer stands."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest

from merf import Boxed, FinalLine, Plain, ThinkAnswer
from merf.tasks import get
from merf.tasks.completions import completion_text, likely_layout, token_count, understand, was_finished

TRL = {
    "prompt": [{"role": "user", "content": "1+1?"}],
    "completion": [{"role": "assistant", "content": "\\boxed{2}"}],
    "solution": "2",
    "completion_ids": [5, 6, 7],
}
VERL = {
    "data_source": "openai/gsm8k",
    "prompt": [{"role": "user", "content": "1+1?"}],
    "reward_model": {"style": "rule", "ground_truth": "2"},
    "solution_str": "\\boxed{2}",
}
SERVER = {"question": "1+1?", "answer": 2, "output": "\\boxed{2}", "finish_reason": "stop", "completion_tokens": 3}
WORDS = {"problem": "Colour of the sky?", "ground_truth": "blue", "generated_text": "Blue."}


@pytest.mark.parametrize(
    ("row", "verifier", "columns"),
    [
        (TRL, "math", {"completion": "completion", "answer": "solution", "tokens": "completion_ids"}),
        (VERL, "math", {"completion": "solution_str", "answer": "reward_model.ground_truth", "prompt": "prompt"}),
        (SERVER, "math", {"completion": "output", "answer": "answer", "finished": "finish_reason"}),
        (WORDS, "exact", {"completion": "generated_text", "answer": "ground_truth", "prompt": "problem"}),
    ],
    ids=["TRL", "verl", "server", "words"],
)
def test_the_usual_columns_are_recognised(row: dict[str, Any], verifier: str, columns: dict[str, str]) -> None:
    reading = understand([row])
    assert reading.answers.name == verifier
    assert columns.items() <= reading.columns.items()
    response = reading.response(row)
    assert response.verdict.correct is True
    assert response.tokens in (0, 3)


def test_a_column_that_is_empty_at_first_is_found_further_down() -> None:
    rows = [{"completion": "a", "answer": None}, {"completion": "b", "answer": "7", "problem_id": 3}]
    assert understand(rows).columns == {"completion": "completion", "answer": "answer", "group": "problem_id"}


def test_a_file_without_prompts_can_be_read() -> None:
    row = {"completion": "\\boxed{2}", "answer": "2"}
    reading = understand([row])
    assert "prompt" not in reading.columns
    assert reading.group(row) is None
    assert reading.response(row).verdict.correct


def test_answers_are_mathematics_only_if_all_of_them_look_so() -> None:
    rows = [{"completion": "x", "answer": answer} for answer in ("72", "\\frac{1}{2}", "x+1")]
    assert understand(rows).answers.name == "math"
    assert understand([*rows, {"completion": "x", "answer": "a blue one"}]).answers.name == "exact"
    assert understand([*rows, {"completion": "x", "answer": ["1", "2"]}]).answers.name == "exact"


def test_options_keep_the_order_in_which_the_model_saw_them() -> None:
    row = {"question": "Which?", "choices": ["one", "two", "three", "four"], "answer": "C", "completion": "C"}
    reading = understand([row])
    assert reading.answers.name == "choice"
    for text, right in (("C", True), ("three", True), ("A", False)):
        assert reading.response({**row, "completion": text}).verdict.correct is right


def test_a_tasks_own_verifier_judges_its_items() -> None:
    task = get("rg:chain_sum")
    for problem in islice(task.problems("train"), 3):
        item = problem.answer
        text = f"<think></think><answer>{item['answer']}</answer>"
        columns = {
            "question": item["question"],
            "answer": item["answer"],
            "metadata": item["metadata"],
            "completion": text,
        }
        whole = {"prompt": item["question"], "answer": dict(item), "completion": text}
        for row in (columns, whole):
            reading = understand([row], task="rg:chain_sum")
            assert reading.response(row).verdict.correct is True
            assert (
                reading.response({**row, "completion": text.replace("<answer>", "<answer>1")}).verdict.correct is False
            )


def test_the_layout_is_the_one_that_completions_keep_to() -> None:
    tags, box, line = "<think></think><answer>\\boxed{1}</answer>", "so \\boxed{1}", "so\n#### 1"
    assert likely_layout([tags, tags, box], Plain()) == ThinkAnswer()
    assert likely_layout([tags, box, box], Plain()) == Boxed()
    assert likely_layout([line, "", ""], Plain()) == FinalLine()
    assert likely_layout(["1", "2"], Plain()) == Plain()
    assert likely_layout([], Boxed()) == Boxed()
    assert understand([{"completion": "1", "answer": "1"}], task="gsm8k").layout == FinalLine()


def test_completions_are_text_or_an_assistants_turns() -> None:
    assert completion_text("x") == "x"
    assert completion_text({"role": "assistant", "content": "x"}) == "x"
    turns = [
        {"role": "assistant", "content": "x"},
        {"role": "tool", "content": "7"},
        {"role": "assistant", "content": "y"},
    ]
    assert completion_text(turns) == "x\ny"
    with pytest.raises(ValueError, match="a line of its own"):
        completion_text(["x", "y"])
    for bad in (7, None, [], [{"role": "user", "content": "x"}], [{"role": "assistant", "content": 7}], {"text": "x"}):
        with pytest.raises(ValueError, match="neither text nor"):
            completion_text(bad)


def test_lengths_and_endings() -> None:
    assert [token_count(value) for value in (7, 7.0, [1, 2], [])] == [7, 7, 2, 0]
    for bad in (-1, 1.5, "7", True, float("nan"), float("inf"), {}):
        with pytest.raises(ValueError, match="tokens"):
            token_count(bad)
    assert [was_finished(value) for value in (True, "stop", "eos", "length", False, 0)] == [True] * 3 + [False] * 3


def test_a_response_that_was_cut_off_has_no_answer() -> None:
    reading = understand([SERVER])
    verdict = reading.response({**SERVER, "finish_reason": "length"}).verdict
    assert (verdict.correct, verdict.readable) == (False, False)


def test_nothing_is_asked_of_rows_that_nobody_judges() -> None:
    reading = understand([{"completion": "x"}], judged=False)
    assert reading.response({"completion": "x"}).verdict.correct is None
    assert "nobody" in str(reading)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"completion": "x", "answer": None, "prompt": "?"}, "no answer"),
        ({"answer": "1", "prompt": "?"}, "no completion"),
        ({"completion": "x", "answer": "1", "prompt": ""}, "an empty prompt"),
        ({"completion": "x", "answer": "1", "prompt": 7}, "neither text nor messages"),
        ({"completion": "x", "answer": "", "prompt": "?"}, "an empty answer"),
    ],
)
def test_a_row_that_lacks_something_is_refused_with_what(row: dict[str, Any], why: str) -> None:
    reading = understand([{"completion": "x", "answer": "1", "prompt": "?"}])
    with pytest.raises(ValueError, match=why):
        reading.response(row)
