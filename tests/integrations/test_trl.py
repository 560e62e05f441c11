"""The reward functions for TRL as TRL would call them; `test_trl_trainer.py` has the trainer itself."""

from __future__ import annotations

import inspect
import pickle
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merf import Brevity, Correct, Diversity, Format, Linear, Problem, Response, Responses, Rulebook, Verdict
from merf.framing.motivation import Motivated, Telling
from merf.integrations.rows import Rows
from merf.integrations.trl import TrlRewards
from tests.integrations.parity import Parity, book

TEXTS = st.lists(st.text(alphabet="aeb !", max_size=12), min_size=4, max_size=4)


def call(rewards: TrlRewards, texts: list[str], told: bool = True, **columns: Any) -> list[list[float | None]]:
    """All functions on one batch, as `GRPOTrainer._calculate_rewards` calls them."""
    problem = next(iter(rewards.task.problems()))
    row = rewards.row(problem, told)
    completions = [[{"role": "assistant", "content": text}] if rewards.chat else text for text in texts]
    given: dict[str, Any] = {
        "prompts": [row["prompt"]] * len(texts),
        "completions": completions,
        "completion_ids": [list(range(len(text))) for text in texts],
        "merf": [row["merf"]] * len(texts),
        "trainer_state": SimpleNamespace(global_step=3, max_steps=11),
        "log_extra": lambda name, values: None,
        "log_metric": lambda name, value: None,
        **columns,
    }
    return [function(**given) for function in rewards.reward_funcs]


def total_by_trl(rewards: TrlRewards, columns: list[list[float | None]]) -> np.ndarray:
    """TRL's own arithmetic: None is NaN, NaN is left out of the sum, and a row of NaN only is NaN."""
    table = np.array(columns, np.float64).T
    total = np.nansum(table * np.array(rewards.reward_weights), axis=1)
    return np.where(np.isnan(table).all(axis=1), np.nan, total)


def total_by_the_book(rewards: TrlRewards, texts: list[str]) -> np.ndarray:
    task = rewards.task
    problem = next(iter(task.problems()))
    items = [
        Response(problem, text, len(text), member=i, layout=task.layout, verify=task.verify)
        for i, text in enumerate(texts)
    ]
    return rewards.book.score(Responses.of(items)).total


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.booleans(), st.booleans())
def test_the_weighted_sum_is_the_rulebooks_total(texts: list[str], split: bool, chat: bool) -> None:
    rewards = book().for_trl(Parity(breaks_on="b"), split_weights=split, chat=chat, failures=1)
    columns = call(rewards, texts)
    np.testing.assert_allclose(total_by_trl(rewards, columns), total_by_the_book(rewards, texts), atol=1e-12)


def test_a_function_per_part_with_its_name() -> None:
    rewards = book().for_trl(Parity())
    assert [f.__name__ for f in rewards.reward_funcs] == ["correctness", "vowels", "short-if-right", "bonus"]
    assert rewards.reward_weights == [1, 1, 1, 1]
    assert call(rewards, ["aab", "aaab"]) == [[-1.5, 2], [1 / 3, 3 / 8], [-0.5, 0.75], [0, 1.375]]


def test_the_signature_is_keywords_only() -> None:
    function = book().for_trl(Parity()).reward_funcs[0]
    parameters = inspect.signature(function).parameters
    assert all(p.kind in (p.KEYWORD_ONLY, p.VAR_KEYWORD) for p in parameters.values())
    assert list(parameters)[:3] == ["prompts", "completions", "completion_ids"]


def test_weights_can_be_taken_out_of_the_scores() -> None:
    rewards = Rulebook(0.5 * Correct(right=2, wrong=0, unreadable=0), -1 * Format(good=1, bad=0)).for_trl(
        Parity(), split_weights=True
    )
    assert rewards.reward_weights == [0.5, -1]
    assert call(rewards, ["aa", "a"]) == [[2, 0], [0, 0]]
    inverted = book().inverted().for_trl(Parity(), split_weights=True)
    assert inverted.reward_weights == [-1, -0.5, -1, -1]


def test_a_response_without_a_total_gets_no_part_either() -> None:
    """TRL leaves a missing part out of its sum; the other parts would then be paid on their own."""
    rewards = book().for_trl(Parity(breaks_on="b"))
    metrics, notes = {}, []
    columns = call(
        rewards,
        ["aa", "b", "aaaa", "a", "aa", "aa"],
        log_metric=metrics.__setitem__,
        log_extra=lambda name, values: notes.append((name, values)),
    )
    assert [column[1] for column in columns] == [None] * 4
    assert all(value is not None for column in columns for i, value in enumerate(column) if i != 1)
    assert metrics == {"unscored": 1 / 6}
    assert notes == [("note", ["", "the verifier broke", "", "", "", ""])], "logged once, not once per function"


def test_too_many_failures_stop_the_run() -> None:
    rewards = book().for_trl(Parity(breaks_on="b"), failures=0.4)
    with pytest.raises(RuntimeError, match=r"2 of 4 responses got no reward.*the verifier broke"):
        call(rewards, ["aa", "b", "b", "a"])


def test_a_batch_is_scored_once() -> None:
    judged = []

    class Counting(Parity):
        def verify(self, problem: Problem, answer: str) -> Verdict:
            judged.append(answer)
            return super().verify(problem, answer)

    rewards = book().for_trl(Counting())
    call(rewards, ["aa", "ab"])
    assert judged == ["aa", "ab"]
    call(rewards, ["aa", "cd"])
    assert judged == ["aa", "ab", "aa", "cd"]


def test_the_step_reaches_the_rules() -> None:
    rewards = Rulebook(Format(good=1, bad=0).annealed(Linear(1, 0))).for_trl("countdown", numbers=(3, 3))
    text = "<think></think><answer>1</answer>"
    assert call(rewards, [text]) == [[pytest.approx(1 - 3 / 10)]]
    assert call(rewards, [text], trainer_state=SimpleNamespace(global_step=10, max_steps=11)) == [[0]]


def test_a_completion_at_the_limit_is_cut_off() -> None:
    correct = Rulebook(Correct(right=2, wrong=-1, unreadable=-2))
    assert call(correct.for_trl(Parity(), max_completion_length=4), ["aaaa", "aa"]) == [[-2, 2]]
    assert call(correct.for_trl(Parity()), ["aaaa", "aa"]) == [[2, 2]]


def test_what_the_template_opened_is_read_too() -> None:
    form = Rulebook(Format(good=1, bad=-1))
    text = "2 + 2</think><answer>4</answer>"
    assert call(form.for_trl("countdown"), [text]) == [[-1]]
    assert call(form.for_trl("countdown", opening="<think>"), [text]) == [[1]]


GROUPED = Rulebook(Correct(), Diversity(), Brevity(unit="words"))


def test_a_rule_about_the_group_needs_its_size() -> None:
    with pytest.raises(ValueError, match=r"'diversity' looks at the whole group.*num_generations=8"):
        GROUPED.for_trl(Parity())


def test_a_rule_about_the_group_sees_the_whole_group_and_no_other() -> None:
    rewards = Rulebook(Correct().ranked()).for_trl(Parity(), num_generations=2)
    assert call(rewards, ["aa", "a", "a", "a"]) == [[1, 0, 0.5, 0.5]]


def test_groups_cut_in_two_by_processes_are_refused() -> None:
    rewards = GROUPED.for_trl(Parity(), num_generations=4)
    with pytest.raises(ValueError, match="per_device_train_batch_size"):
        call(rewards, ["aa", "ab"])


def test_a_wrong_group_size_is_noticed() -> None:
    rewards = GROUPED.for_trl(Parity(), num_generations=4)
    rows = [rewards.row(problem)["merf"] for problem, _ in zip(Parity().problems(), range(2), strict=False)]
    with pytest.raises(ValueError, match="not to one problem"):
        call(rewards, ["aa"] * 4, merf=[rows[0], rows[0], rows[1], rows[1]])


def test_functions_can_be_pickled() -> None:
    rewards = Rulebook(Correct(), Format()).for_trl("countdown", numbers=(3, 3))
    functions = pickle.loads(pickle.dumps(rewards.reward_funcs))
    assert [f.__name__ for f in functions] == ["correctness", "format"]
    row = rewards.row(next(rewards.task.problems()))
    text = "<think></think><answer>0</answer>"
    assert [f(prompts=[""], completions=[text], completion_ids=[[1]], merf=[row["merf"]]) for f in functions] == [
        [-1.5],
        [functions[1].scorer.book.parts[1].range[1]],
    ]


def test_a_dataset_without_the_column_is_refused() -> None:
    function = book().for_trl(Parity()).reward_funcs[0]
    with pytest.raises(ValueError, match="no column 'merf'"):
        function(prompts=[""], completions=["a"], completion_ids=[[1]], answer=["4"])


def test_prompts_of_another_rulebook_are_not_paid() -> None:
    line = book().for_trl(Parity()).row(next(Parity().problems()))["merf"]
    with pytest.raises(ValueError, match="written for another rulebook"):
        call(book().inverted().for_trl(Parity()), ["a"], merf=[line])


def test_the_dataset_carries_the_motivation_or_not() -> None:
    rewards = book().for_trl(Parity())
    told, bare = rewards.dataset(3), rewards.dataset(3, told=False)
    assert told.column_names == ["prompt", "merf"]
    assert told["merf"] == bare["merf"]
    system, user = told[1]["prompt"]
    assert system == {"role": "system", "content": f"{Parity().instruction}\n{book().describe()}"}
    assert user["content"] == "Write something of length 1 modulo 2."
    assert bare[1]["prompt"] == [{"role": "system", "content": Parity().instruction}, user]
    with pytest.raises(ValueError, match="at least one"):
        rewards.dataset(0)


def test_the_motivation_goes_where_the_framing_says() -> None:
    framing = Motivated(system="", telling=Telling(style="terse"), position="after")
    rewards = book().for_trl(Parity(), framing=framing, chat=False)
    assert rewards.dataset(1)[0]["prompt"] == (f"Write something of length 0 modulo 2.\n{book().describe('terse')}\n\n")


def test_rows_of_ones_own_are_mapped() -> None:
    from datasets import Dataset

    rows = Dataset.from_list([{"prompt": "What is 2 + 2?", "answer": "#### 4"}, {"prompt": "3?", "answer": "3"}])
    rewards = Rulebook(Correct(right=1, wrong=0, unreadable=0)).for_trl(Rows("math"))
    mapped = rows.map(rewards.tell)
    assert mapped.column_names == ["prompt", "answer", "merf"]
    assert mapped[0]["prompt"][-1] == {"role": "user", "content": "What is 2 + 2?"}
    assert rewards.book.describe() in mapped[0]["prompt"][0]["content"]
    (function,) = rewards.reward_funcs
    texts = ["It is \\boxed{4}", "\\boxed{4}"]
    assert function(prompts=["", ""], completions=texts, completion_ids=[[1], [1]], merf=mapped["merf"]) == [1, 0]
    with pytest.raises(TypeError, match="makes its own problems"):
        book().for_trl(Parity()).tell({"prompt": "?"})


def test_names_and_options_are_checked_before_anything_is_made() -> None:
    with pytest.raises(KeyError, match="did you mean 'countdown'"):
        book().for_trl("cuntdown")
    with pytest.raises(ValueError, match="no option 'number'"):
        book().for_trl("countdown", number=(3, 3))
