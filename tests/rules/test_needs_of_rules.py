"""What a rule must be told, as `merf.integrations.needs` finds it, against what its score really depends on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from rule_strategies import batches, expressions

from merf import (
    Brevity,
    Concise,
    Correct,
    Diversity,
    Format,
    Linear,
    Overlong,
    Progress,
    Response,
    Responses,
    Rulebook,
    easiest,
    rule,
    solved,
)
from merf.integrations.needs import Ungrouped, needs, refuse
from merf.integrations.trl import unweighted
from merf.rules.rule import Rule


@settings(max_examples=200, deadline=None)
@given(expressions, batches)
def test_what_is_not_needed_makes_no_difference(expression: Rule, responses: Responses) -> None:
    found, scores = needs(expression), expression.score(responses)
    if "group" not in found:
        alone = [expression.score(Ungrouped([r], responses.group[:1], responses.progress))[0] for r in responses]
        np.testing.assert_array_equal(alone, scores)
    if "progress" not in found:
        later = replace(responses, progress=Progress(4, 5))
        np.testing.assert_array_equal(expression.score(later), scores)
    if "tokens" not in found:
        uncounted = replace(responses, items=[replace(r, tokens=0) for r in responses])
        np.testing.assert_array_equal(expression.score(uncounted), scores)


@settings(max_examples=100, deadline=None)
@given(expressions, batches)
def test_weight_times_rule_is_the_part(expression: Rule, responses: Responses) -> None:
    inner, weight = unweighted(expression)
    np.testing.assert_allclose(weight * inner.score(responses), expression.score(responses), rtol=1e-12, atol=1e-12)


@rule
def tokens_used(tokens: int) -> float:
    """It is short."""
    return 1 / (1 + tokens)


@rule(whole_batch=True)
def all_alike(responses: Responses) -> list[float]:
    """All of them are alike."""
    return [1.0] * len(responses)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (Correct(), set()),
        (Format() * 0.5, set()),
        (Concise(20), set()),
        (Overlong(), {"tokens"}),
        (Brevity(), {"group", "tokens"}),
        (Brevity(unit="words") * 2, {"group"}),
        (Diversity().only_if(Correct()), {"group"}),
        (Format().where(easiest(0.2)), {"group"}),
        (Format().only_if(Correct() & solved(0.5)), {"group"}),
        (Correct().ranked(), {"group"}),
        (Correct() * (1 + 0.5 * Concise(20).annealed(Linear())), {"progress"}),
        (Correct().noisy(0.4), set()),
        (Correct().noisy(0.4, per="response"), {"group"}),
        (tokens_used, {"tokens"}),
        (all_alike, {"group"}),
    ],
)
def test_needs(expression: Rule, expected: set[str]) -> None:
    assert needs(expression) == expected


def test_the_refusal_names_the_part_and_the_remedy() -> None:
    book = Rulebook(Correct(), Format().where(easiest(0.2)).named("easy-format"))
    with pytest.raises(ValueError, match="'easy-format' looks at the whole group of responses to a question: do that"):
        refuse(book, {"group": "do that"})
    refuse(book, {"progress": "do that", "tokens": "do that"})
    with pytest.raises(ValueError, match="empty rulebook"):
        refuse(Rulebook(), {})


def test_a_rule_of_ones_own_that_asks_for_the_groups_is_stopped() -> None:
    class Own(Concise):
        def classify(self, response: Response) -> int:
            return 0

        def score(self, responses: Responses) -> np.ndarray:
            return np.array([len(rows) / 9 for rows in responses.groups()])

    with pytest.raises(ValueError, match="num_generations"):
        Own().score(Ungrouped.of([]))
