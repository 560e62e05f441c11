"""RLPR, log-prob, VeriFree and JEPO, on texts whose tokens are single characters. The reference answer is "Ann"."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
import torch

from merf import Boxed, Plain, ThinkAnswer, ThinkAnswerConfidence
from merf.core.response import Scores
from merf.credit.bound import MultiSampleBound
from merf.credit.group import GroupRelative
from merf.credit.spread import WideGroups
from merf.rules.likelihood import ReferenceLikelihood, answer_place
from tests.methods.conftest import Evens, answers
from tests.methods.letters import Letters, recorded

TASK = Evens(ThinkAnswer())
TEXT = "<think>ab</think><answer>Bob</answer>"
CHANCES = {"A": 0.9, "n": 0.5}


def chance(context, token, model):
    return 0.2 if model == "reference" else CHANCES[token]


def score(rule, *texts, opening=""):
    model = Letters(chance)
    return rule.score(recorded(answers(*texts, task=TASK), model, opening=opening)), model


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        ("product", 0.9 * 0.5 * 0.5),
        ("mean", (0.9 + 0.5 + 0.5) / 3),
        ("geometric", (0.9 * 0.5 * 0.5) ** (1 / 3)),
        ("log", math.log(0.9 * 0.5 * 0.5)),
        ("mean-log", math.log(0.9 * 0.5 * 0.5) / 3),
    ],
)
def test_each_way_of_putting_probabilities_together(of, expected):
    assert score(ReferenceLikelihood(of), TEXT)[0][0] == pytest.approx(expected)


def test_the_reference_is_asked_for_in_the_place_of_the_answer():
    _, model = score(ReferenceLikelihood(), TEXT)
    assert model.asked == [("Q:<think>ab</think><answer>", "Ann", "policy")]
    _, model = score(ReferenceLikelihood(), TEXT, opening="<think>")
    assert model.asked == [("Q:<think>ab</think><answer>", "Ann", "policy")]


def test_without_reasoning_only_the_layout_stands_before_it():
    for opening in ("", "<think>"):
        _, model = score(ReferenceLikelihood(reasoning=False, model="reference"), TEXT, opening=opening)
        assert model.asked == [("Q:<think></think><answer>", "Ann", "reference")]


@pytest.mark.parametrize(
    ("layout", "text", "before"),
    [
        (ThinkAnswer(), "<think>w</think><answer>w</answer>", "<think>w</think><answer>"),
        (ThinkAnswer(), "<think>a</think>\n<answer> a </answer>", "<think>a</think>\n<answer> "),
        (
            ThinkAnswerConfidence(),
            "<think>0</think><answer>0</answer><confidence>0.5</confidence>",
            "<think>0</think><answer>",
        ),
        (Boxed(), "4, so \\boxed{4}. That is 4.", "4, so \\boxed{"),
        (Plain(), "  yes", "  "),
    ],
)
def test_the_answers_place_is_found_even_where_its_text_stands_elsewhere_too(layout, text, before):
    (response,) = answers(text, task=Evens(layout))
    assert answer_place(response) == len(before)


@pytest.mark.parametrize("text", ["", "no tags", "<think>a</think><answer></answer>", "<answer>4</answer>"])
def test_where_no_answer_stands_the_least_is_paid(text):
    assert score(ReferenceLikelihood("mean"), text)[0][0] == 0
    assert score(ReferenceLikelihood("mean-log", floor=-9), text)[0][0] == -9


def test_tokens_are_carried_over_and_only_a_split_one_is_read_again():
    """With two characters to a token, the one across the answer's beginning is cut there."""

    class Pairs(Letters):
        def decode(self, ids):
            return "".join(chr(i // 1000) + chr(i % 1000) if i >= 1000 else chr(i) for i in ids)

    model = Pairs(chance)
    (response,) = recorded(answers("abc", task=Evens()), model)
    pairs = [ord("a") * 1000 + ord("b"), ord("c")]
    response.extras["ids"] = pairs
    assert ReferenceLikelihood().context(response, model) == model.tokenize("Q:")
    odd = answers("<think>a</think><answer>bcd</answer>", task=TASK)[0]
    text = odd.text
    (odd,) = recorded(answers(text, task=TASK), model)
    start = text.index("bcd")
    odd.extras["ids"] = [*map(ord, text[: start - 1]), ord(">") * 1000 + ord("b"), *map(ord, text[start + 1 :])]
    assert model.decode(ReferenceLikelihood().context(odd, model)) == "Q:" + text[:start]


def test_rlpr_pays_what_reasoning_adds_and_a_tenth_for_the_layout(recipe_of):
    recipe = recipe_of("rlpr", task=TASK)
    model = Letters(chance)
    total = recipe.rulebook.score(recorded(answers(TEXT, "nothing", task=TASK), model)).total
    np.testing.assert_allclose(total, [0.9 * ((0.9 + 0.5 + 0.5) / 3 - 0.2) + 0.1, 0])
    assert recipe.reference
    assert "the model before training" in recipe.rulebook.describe()
    assert "multiplied by 0.9" in recipe.rulebook.describe()


def test_the_filter_drops_groups_that_vary_less_than_a_share_of_the_mean():
    """Population deviations 0.5, 0.1 and 0: their mean is 0.2."""
    reward = np.array([0.0, 1.0, 0.4, 0.6, 0.3, 0.3])
    group = np.array([0, 0, 1, 1, 2, 2])
    assert WideGroups(GroupRelative(), 0.4).kept(reward, group).tolist() == [True] * 4 + [False] * 2
    assert WideGroups(GroupRelative(), 0.6).kept(reward, group).tolist() == [True] * 2 + [False] * 4
    assert WideGroups(GroupRelative(), 0.0).kept(reward, group).all()
    assert WideGroups(GroupRelative(), 0.5).kept(np.full(6, np.nan), group).all()
    assert WideGroups(GroupRelative(), 0.5).kept(np.zeros(0), np.zeros(0, int)).shape == (0,)


def test_jepos_credit_is_what_a_chain_adds_to_the_bound():
    """Likelihoods 0.2, 0.4 and 0.6: all mean 0.4, without the first 0.5, and so on."""
    p = np.array([0.2, 0.4, 0.6])
    a = MultiSampleBound().advantages(np.log(p), np.zeros(3, int))
    np.testing.assert_allclose(a, np.log(0.4) - np.log([0.5, 0.4, 0.3]), atol=1e-12)


def test_jepo_leaves_equal_lonely_and_missing_rewards_alone():
    reward = np.array([-3.0, -3.0, -7.0, np.nan, -1.0])
    group = np.array([0, 0, 1, 2, 2])
    np.testing.assert_allclose(MultiSampleBound().advantages(reward, group), np.zeros(5), atol=1e-12)


def test_log_likelihoods_far_below_zero_do_not_overflow():
    a = MultiSampleBound().advantages(np.array([-2000.0, -1000.0]), np.zeros(2, int))
    np.testing.assert_allclose(a, [np.log(0.5), 1000 + np.log(0.5)])


@pytest.mark.parametrize("name", ["rlpr", "log-prob", "verifree", "jepo"])
def test_each_trains_without_any_verdict(trained, name):
    steps = trained(name)
    assert all(step["failed_verifiers"] == 0 for step in steps)
    low, high = {"log-prob": (-50, 0), "jepo": (-50, 0)}.get(name, (0, 1))
    assert all(low <= step["rewards/reference-likelihood/mean"] <= high for step in steps)


def test_two_credits_are_refused(recipe_of):
    for one, other in combinations(["rlpr", "log-prob", "jepo", "grpo"], 2):
        with pytest.raises(ValueError, match=f"{one} and {other} both decide the credit"):
            recipe_of(one, other)


def test_the_filter_acts_on_tokens():
    class Rows:
        group = np.array([0, 0, 1, 1])
        trajectory = np.arange(4)
        mask = torch.ones(4, 2, dtype=torch.bool)

        def first_rows(self):
            return [0, 1, 2, 3]

    scores = Scores(np.array([0.0, 1.0, 0.5, 0.51]), {}, [""] * 4)
    advantages = WideGroups(GroupRelative(scale="none"))(scores, Rows())
    torch.testing.assert_close(advantages, torch.tensor([-0.5, 0.5, 0.0, 0.0])[:, None].expand(4, 2))


def test_rlprs_ablation_differs_in_the_product_alone(recipe_of):
    mean, product = recipe_of("rlpr"), recipe_of("rlpr:of=product")
    assert product.credit == mean.credit
    said = mean.rulebook.describe()
    assert said.replace("the mean of the probabilities", "the product of the probabilities") == (
        product.rulebook.describe()
    )
    assert said != product.rulebook.describe()
