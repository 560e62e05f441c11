from __future__ import annotations

import numpy as np
import pytest
from rule_samples import batch, respond, thought

from merf import FreshSteps, Response, StepRule, Steps
from merf.core.response import Array
from merf.core.steps import step_spans
from merf.rules.wording import Style


def test_steps_counts_sentences_and_lines_of_the_reasoning() -> None:
    rule = Steps(least=2, shown=1, missing=0)
    shown = thought("Two and two. That is four.")
    lines = thought("two\n\ntwo")
    single = thought("3.5 and 0.5 make four.")
    outside = respond("One. Two. Three.")
    assert rule.score(batch(shown, lines, single, outside)).tolist() == [1, 1, 0, 0]


def test_spans_cover_the_steps_and_nothing_blank() -> None:
    text = "First this. Then that!\n\nAnd so"
    assert [text[start:end].strip() for start, end in step_spans(text)] == ["First this.", "Then that!", "And so"]


def test_fresh_steps_pay_only_for_new_words() -> None:
    # 2 of 2 words are new, then none of 2, then 1 of 2.
    response = thought("a b. b a. b c.")
    scores = FreshSteps().step_scores(response)
    assert scores is not None
    assert scores.tolist() == [1, 0, 0.5]
    assert FreshSteps().score(batch(response)).tolist() == [1.5]
    assert FreshSteps(most=1).score(batch(response)).tolist() == [1]
    assert FreshSteps().range == (0, 100)


def test_spans_of_a_step_rule_point_into_the_whole_response() -> None:
    response = thought(" One here. Two there.")
    pieces = [response.text[start:end].strip() for start, end in FreshSteps().spans(response)]
    assert pieces == ["One here.", "Two there."]


class Judged(StepRule):
    """Step scores as a process reward model would give them, read from the problem."""

    name = "judged"
    label = "Judged"
    most = 10
    step_range = (0.0, 1.0)

    def step_scores(self, response: Response) -> Array | None:
        stored = response.problem.meta.get("steps")
        return None if stored is None else np.array(stored, np.float64)

    def each(self, style: Style, wording: int) -> str:
        return "what a judge thinks of it, from 0 to 1"


GIVEN = respond("", meta={"steps": [0.9, 0.2, 0.6]})


def test_clipping_lets_a_step_only_lose() -> None:
    rule = Judged().clip_steps(0.5)
    assert rule.step_scores(GIVEN).tolist() == pytest.approx([0, -0.3, 0])
    assert rule.score(batch(GIVEN))[0] == pytest.approx(-0.3)
    assert rule.range == (-5, 0)


def test_deltas_telescope_to_the_first_step() -> None:
    rule = Judged().delta_steps()
    # 0.9 - 0.2, then the whole score of the last step but one, then 0.
    assert rule.step_scores(GIVEN).tolist() == pytest.approx([0.7, 0.2, 0])
    assert rule.score(batch(GIVEN))[0] == pytest.approx(0.9)
    assert rule.range == (0, 1)


def test_from_every_step_on_deltas_add_up_to_that_step() -> None:
    given = [0.9, 0.2, 0.6, 0.4]
    scores = Judged().delta_steps().step_scores(respond("", meta={"steps": given}))
    for k in range(len(given) - 1):
        assert scores[k:].sum() == pytest.approx(given[k])


def test_clip_then_delta_is_not_delta_then_clip() -> None:
    first, second = Judged().clip_steps(0.5).delta_steps(), Judged().delta_steps().clip_steps(0.5)
    assert first.step_scores(GIVEN).tolist() == pytest.approx([0.3, -0.3, 0])
    assert second.step_scores(GIVEN).tolist() == pytest.approx([0, -0.3, -0.5])
    assert first.describe() != second.describe()


@pytest.mark.parametrize("steps", [[], [0.7]])
def test_fewer_than_two_steps_leave_everything_to_the_outcome(steps: list[float]) -> None:
    response = respond("", meta={"steps": steps})
    assert Judged().delta_steps().score(batch(response)).tolist() == [0]


def test_steps_that_were_not_judged_have_no_score() -> None:
    rule = Judged().clip_steps(0.5).delta_steps()
    assert np.isnan(rule.score(batch(respond("")))).all()


def test_only_rules_that_score_steps_can_be_clipped_stepwise() -> None:
    from merf.rules.steps import ClippedSteps

    with pytest.raises(TypeError, match="single steps"):
        ClippedSteps(Steps(), 0.5)
