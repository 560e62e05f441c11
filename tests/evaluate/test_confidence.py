"""Confidences: read from the text, and read off the model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.methods.conftest import Evens, answers
from tests.methods.letters import Letters, recorded

from merf import Responses
from merf.core.layout import ThinkAnswerConfidence
from merf.evaluate.confidence import STATEMENTS, read, stated


class Sure(Letters):
    """Finds the statement "0.7" three times as likely as any other."""

    stops = frozenset({0})

    def logprobs(self, contexts, continuations, model="policy"):
        self.asked += [(self.decode(c), self.decode(s), model) for c, s in zip(contexts, continuations, strict=True)]
        return [
            np.log([3.0 if self.decode(said) == "0.7" else 1.0, *[0.5] * (len(said) - 1)]) for said in continuations
        ]


def test_stated_confidences_are_numbers_from_0_to_1_stated_once():
    texts = [
        f"<think>x</think><answer>y</answer>{tail}" for tail in ("", *map("<confidence>{}</confidence>".format, "1x"))
    ]
    texts += [texts[1].replace(">1<", f">{said}<") for said in ("0.25", "70", "sure")] + [texts[1] * 2]
    found = stated(answers(*texts, task=Evens(ThinkAnswerConfidence())))
    np.testing.assert_array_equal(found, [np.nan, 1, np.nan, 0.25, np.nan, np.nan, np.nan])


def test_read_confidences_are_the_mean_of_what_would_be_stated():
    model = Sure()
    found = read(recorded(answers("ab"), model), model)
    values = np.arange(11) / 10
    assert found[0] == pytest.approx((values.sum() + 2 * 0.7) / 13)
    assert {said for _, said, _ in model.asked} == set(STATEMENTS)
    assert {context for context, _, _ in model.asked} == {"Q:ab<confidence>"}


def test_the_end_token_is_taken_off_and_cut_off_responses_have_none():
    model = Sure()
    responses = recorded(answers("ab", "cd\x00"), model)
    items = list(responses)
    cut = replace(responses, items=[replace(items[0], finished=False), items[1]])
    found = read(cut, model)
    assert np.isnan(found[0])
    assert {context for context, _, _ in model.asked} == {"Q:cd<confidence>"}
    assert np.isnan(read(Responses.of([items[0]])[:0], model)).all()
