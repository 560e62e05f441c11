"""Copy this file for a method of your own: what every method has to keep. Here for W-REINFORCE."""

from __future__ import annotations

import math
from dataclasses import fields

import numpy as np
import pytest

from merf.core.recipe import AdamW
from merf.methods.registry import compose, get
from merf.tasks.knights_knaves import KnightsKnaves
from merf.train import records
from merf.train.build import build_recipe, evaluation_plan
from merf.train.loop import train
from merf.train.options import EvaluationOptions, TrainOptions
from merf.train.run import Run

NAME = "w-reinforce"
TASK = KnightsKnaves(people=(2, 2))
OPTIONS = TrainOptions(
    steps=2,
    problems=1,
    group_size=4,
    max_tokens=8,
    optimizer=AdamW(lr=1e-2),
    evaluation=EvaluationOptions(problems=1, samples=1, quick_problems=1, quick_samples=1),
)
RECIPE = build_recipe(OPTIONS, TASK)

# Rewards, and the advantages you worked out by hand.
REWARDS = [1.0, -1.0, 0.0, math.nan]
ADVANTAGES = [0.1, -1.0, 0.0, 0.0]


def test_its_numbers_are_those_of_the_paper_worked_out_by_hand():
    np.testing.assert_array_equal(compose(RECIPE, [NAME]).credit.advantages(np.array(REWARDS)), ADVANTAGES)


def test_it_changes_the_seams_that_it_names_and_no_other():
    changed = compose(RECIPE, [NAME])
    seams = {f.name for f in fields(RECIPE) if getattr(changed, f.name) != getattr(RECIPE, f.name)}
    assert {"rules" if seam == "rulebook" else seam for seam in seams} == get(NAME).seams


def test_what_it_pays_is_what_it_says():
    said = compose(RECIPE, [NAME]).rulebook.describe()
    assert "+1 if the final answer is right" in said


def test_its_parameters_are_read_and_nonsense_is_refused():
    assert compose(RECIPE, [f"{NAME}:weight=0.5"]).credit.positive == 0.5
    with pytest.raises(ValueError, match="must be a number"):
        compose(RECIPE, [f"{NAME}:weight=much"])
    with pytest.raises(ValueError, match="it has weight"):
        compose(RECIPE, [f"{NAME}:wait=1"])


def test_another_method_for_the_same_seam_is_refused_with_the_reason():
    with pytest.raises(ValueError, match="both decide the credit"):
        compose(RECIPE, [NAME, "grpo"])


def test_its_file_says_what_it_is_and_its_claims_name_methods_that_exist():
    found = get(NAME)
    assert found.idea.endswith(".")
    assert found.paper in found.docs
    for claim in found.claims:
        for arm in claim.arms:
            compose(RECIPE, [arm])


def test_two_steps_of_training_change_the_weights_and_stay_finite(policy, tmp_path):
    before = [weight.detach().clone() for weight in policy.model.parameters()]
    recipe = compose(RECIPE, [NAME])
    train(recipe, policy, Run(tmp_path, evaluation_plan(OPTIONS, recipe)))
    steps = list(records.read(tmp_path / "metrics.jsonl"))
    assert all(math.isfinite(step["loss"]) for step in steps)
    assert any((a != b).any() for a, b in zip(before, policy.model.parameters(), strict=True))
