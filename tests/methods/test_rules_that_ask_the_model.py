"""Rules about likelihoods: what every rule has to keep, and where they can't be used."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from merf import Correct, Hesitation, ReferenceLikelihood, Rulebook, SelfAligned, ThinkAnswer
from merf.evaluate.accuracy import evaluate
from merf.rules.wording import STYLES
from merf.train import records
from merf.train.context import StepContext
from merf.train.parallel import World
from tests.methods.conftest import Evens, answers
from tests.methods.letters import Letters, recorded

RULES = [
    *(ReferenceLikelihood(of) for of in ("product", "mean", "geometric", "log", "mean-log")),
    ReferenceLikelihood("log", floor=-20),
    ReferenceLikelihood("mean", model="reference"),
    ReferenceLikelihood("mean", reasoning=False),
    SelfAligned(),
    Hesitation(),
    Hesitation(0.5),
    Hesitation(most=3),
    Hesitation(closing="[/THINK]"),
]
texts = st.text() | st.builds("<think>{}</think><answer>{}</answer>".format, st.text(), st.text())


@given(texts, st.floats(1e-300, 1.0))
def test_any_text_and_any_likelihood_score_within_the_declared_range(text, chance):
    model = Letters(lambda context, token, which: chance)
    n = len(text)
    responses = recorded(
        answers(text, task=Evens(ThinkAnswer())), model, logprobs=[np.full(n, -0.5)], entropy=[np.full(n, 40.0)]
    )
    for rule in RULES:
        low, high = rule.range
        value = rule.score(responses)[0]
        assert np.isnan(value) or low <= value <= high


def test_no_two_of_them_read_the_same_and_every_style_and_wording_works():
    assert len({rule.describe() for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert all(rule.describe(style, wording) for style in STYLES for wording in range(2))


def test_their_numbers_are_said():
    assert "-20" in ReferenceLikelihood("log", floor=-20).describe()
    assert "0.5 times" in Hesitation(0.5).describe()


@pytest.mark.parametrize("rule", RULES)
def test_they_can_be_saved_and_read(rule):
    book = Rulebook(Correct(), rule)
    assert Rulebook.from_toml(book.as_toml()) == book
    assert Rulebook.from_python(book.as_python()) == book


@pytest.mark.parametrize("rule", [ReferenceLikelihood(), 0.2 * SelfAligned(), Correct(1, 0, 0) * (1 - Hesitation())])
def test_trainers_that_cannot_be_asked_refuse_them(rule, tmp_path):
    with pytest.raises(ValueError, match="asks the model being trained: leave it out, or train with merf"):
        Rulebook(rule).for_verl(tmp_path / "files", "knights-knaves")


def test_nonsense_is_refused():
    for make in (
        lambda: ReferenceLikelihood("median"),
        lambda: ReferenceLikelihood(model="judge"),
        lambda: ReferenceLikelihood(floor=1),
        lambda: Hesitation(most=0),
        lambda: Hesitation(closing=" "),
    ):
        with pytest.raises(ValueError, match=r"choose|ask the|negative|positive|name the text"):
            make()


@pytest.mark.parametrize(("method", "part"), [("sar", "self-aligned"), ("log-prob", "reference-likelihood")])
def test_evaluations_pay_them_too(trained, tmp_path, method, part):
    trained(method)
    found = list(records.read(tmp_path / "evaluations.jsonl"))
    assert found
    assert all(evaluation[f"rewards/{part}"] is not None for evaluation in found)
    assert all(evaluation["reward"] is not None for evaluation in found)


def test_an_evaluation_pays_what_training_would_pay(policy, recipe_of):
    """SAR's reward of evaluated responses against the likelihoods of the same tokens, put together by hand."""
    recipe = recipe_of("sar")
    problem = next(recipe.task.problems())
    ctx = StepContext(recipe, policy, World())
    asked = recipe.framing.frame(problem, recipe.rulebook, told=False).acting
    found = evaluate(ctx.sample_all, recipe, [problem], lambda _: asked, "bare", samples=3, likelihood=policy)
    nothing = policy.prompt(({"role": "user", "content": ""},))
    for i, response in enumerate(found.responses):
        ids = response.extras["ids"]
        given, alone = (policy.logprobs([start], [ids])[0].mean() for start in (policy.prompt(asked), nothing))
        wanted = 0.2 * np.clip(1 - np.exp(alone - given), -1, 1)
        assert found.scores.parts["self-aligned"][i] == pytest.approx(wanted, abs=1e-4)
