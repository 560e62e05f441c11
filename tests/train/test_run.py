"""A run's folder, its errors, and what happens when it is interrupted."""

from __future__ import annotations

import copy
import json
import signal
from dataclasses import replace

import pytest
import torch

from merf import Rulebook
from merf.core.layout import Plain
from merf.core.recipe import AdamW
from merf.core.response import Verdict
from merf.policy.load import ModelError
from merf.policy.policy import Policy
from merf.tasks.knights_knaves import KnightsKnaves
from merf.train import records
from merf.train.build import build_recipe, evaluation_plan
from merf.train.learner import TrainingStopped
from merf.train.loop import train
from merf.train.options import EvaluationOptions, MotivationOptions
from merf.train.run import Run
from tests.train.conftest import BOOK

TASK = KnightsKnaves(people=(2, 2))


def run_in(folder, options, policy, **changes) -> Run:
    recipe = build_recipe(options, TASK, BOOK)
    run = Run(folder, evaluation_plan(options, recipe), **{"checkpoint_every": 2, **changes})
    train(recipe, policy, run)
    return run


def weights(policy) -> dict:
    return {name: p.detach().clone() for name, p in policy.model.named_parameters()}


def same(a: dict, b: dict) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


def test_a_run_trains_and_writes_every_record(tmp_path, options, policy):
    before = weights(policy)
    run_in(tmp_path, options, policy)
    assert not same(before, weights(policy))
    steps = list(records.read(tmp_path / "metrics.jsonl"))
    assert [s["step"] for s in steps] == list(range(6))
    for name in ("reward", "rewards/correctness/mean", "rewards/format/mean", "grad_norm", "kl", "entropy", "loss"):
        assert all(s[name] is not None for s in steps), name
    evaluations = list(records.read(tmp_path / "evaluations.jsonl"))
    assert [(e["step"], e["mode"]) for e in evaluations] == [
        (step, mode) for step in (0, 3, 6) for mode in ("bare", "told")
    ]
    assert {"accuracy", "lenient", "formatted", "pass@1", "pass@2", "accuracy/2"} <= set(evaluations[-1])
    sample = next(records.read(tmp_path / "samples.jsonl"))
    assert set(sample["scores"]) == {"correctness", "format", "even"}
    assert sum(sample["scores"].values()) == sample["total"]
    assert json.loads((tmp_path / "status.json").read_text())["state"] == "done"


def test_half_of_every_group_is_told_and_the_first_step_starts_on_policy(tmp_path, options, policy):
    run_in(tmp_path, options, policy)
    first = next(records.read(tmp_path / "metrics.jsonl"))
    assert first["told"] == 0.5
    assert first["clip_ratio"] == 0
    assert abs(first["approx_kl"]) < 1e-6


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path, options, policy):
    twin, other = copy.deepcopy(policy), copy.deepcopy(policy)
    run_in(tmp_path / "a", options, policy)
    run_in(tmp_path / "b", options, twin)
    run_in(tmp_path / "c", replace(options, seed=1), other)
    assert same(weights(policy), weights(twin))
    assert not same(weights(policy), weights(other))


@pytest.mark.parametrize("cut", [1, 2, 3, 5])
@pytest.mark.parametrize("how", [{}, {"minibatches": 2, "epochs": 2}])
def test_an_interrupted_run_resumes_to_the_same_weights(tmp_path, options, policy, cut, how):
    """Also when every rollout batch is used for several updates."""
    straight, broken, resumed = policy, copy.deepcopy(policy), copy.deepcopy(policy)
    recipe = build_recipe(options, TASK, BOOK).but(**how)
    train(recipe, straight, Run(tmp_path / "straight", checkpoint_every=100))

    class Cut(Run):
        def before_step(self, progress, ctx):
            self.interrupted = self.interrupted or progress.step == cut - 1

    first = Cut(tmp_path / "broken", checkpoint_every=100)
    train(build_recipe(options, TASK, BOOK).but(**how), broken, first)
    assert json.loads((tmp_path / "broken/status.json").read_text())["state"] == "interrupted"
    train(build_recipe(options, TASK, BOOK).but(**how), resumed, Run(tmp_path / "broken", checkpoint_every=100))
    assert same(weights(straight), weights(resumed))
    steps = [s["step"] for s in records.read(tmp_path / "broken/metrics.jsonl")]
    assert steps == list(range(6))


def test_control_c_finishes_the_step_and_saves(tmp_path, options, policy):
    recipe = build_recipe(options, TASK, BOOK)
    told = []

    def watch(kind, record):
        told.append((kind, record))
        if kind == "step" and record["step"] == 2:
            signal.raise_signal(signal.SIGINT)

    run = Run(tmp_path, watch=watch, resume_command="merf train --resume here")
    before = signal.getsignal(signal.SIGINT)
    try:
        run.listen()
        train(recipe, policy, run)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (tmp_path / "checkpoints/step-3/manifest.json").exists()
    status = json.loads((tmp_path / "status.json").read_text())
    assert status["state"] == "interrupted"
    assert status["resume"] == "merf train --resume here"


def test_a_gradient_that_is_not_finite_is_skipped_and_three_in_a_row_stop_the_run(tmp_path, options, policy):
    recipe = build_recipe(options, TASK, BOOK)
    good = weights(policy)

    class Poison:
        needs = recipe.objective.needs

        def __call__(self, batch):
            loss = recipe.objective(batch)
            return replace(loss, value=loss.value * float("nan"))

    with pytest.raises(TrainingStopped, match="not finite 3 steps in a row"):
        train(recipe.but(objective=Poison()), policy, Run(tmp_path))
    assert same(good, weights(policy))
    assert [s["skipped_steps"] for s in records.read(tmp_path / "metrics.jsonl")] == [1, 2]


def test_a_loss_that_is_not_finite_is_skipped_even_where_its_gradient_is(tmp_path, options, policy):
    recipe = build_recipe(options, TASK, BOOK)
    good, calls = weights(policy), []

    class Infinite:
        needs = recipe.objective.needs

        def __call__(self, batch):
            loss = recipe.objective(batch)
            calls.append(1)
            return replace(loss, value=loss.value + float("inf"))

    with pytest.raises(TrainingStopped, match="not finite 3 steps in a row"):
        train(recipe.but(objective=Infinite()), policy, Run(tmp_path))
    assert len(calls) >= 3
    assert same(good, weights(policy))


def test_one_bad_step_is_skipped_and_counted_and_the_run_goes_on(tmp_path, options, policy):
    recipe = build_recipe(options, TASK, BOOK)
    calls = []

    class PoisonOnce:
        needs = recipe.objective.needs

        def __call__(self, batch):
            loss = recipe.objective(batch)
            calls.append(1)
            return replace(loss, value=loss.value * float("inf")) if len(calls) == 1 else loss

    train(recipe.but(objective=PoisonOnce()), policy, Run(tmp_path))
    assert [s["skipped_steps"] for s in records.read(tmp_path / "metrics.jsonl")] == [1] * 6
    assert all(torch.isfinite(w).all() for w in weights(policy).values())


def test_a_verifier_that_keeps_failing_stops_the_run_instead_of_paying_zero(tmp_path, options, policy):
    class Broken(KnightsKnaves):
        def verify(self, problem, answer):
            return Verdict(correct=None, note="the sandbox is down")

    recipe = build_recipe(options, Broken(people=(2, 2), layout=Plain()), BOOK).but(failures=0.0)
    with pytest.raises(TrainingStopped, match="the sandbox is down"):
        train(recipe, policy, Run(tmp_path))


@pytest.mark.parametrize(
    ("change", "message"),
    [({"group_size": 1}, "at least 2"), ({"steps": 0}, "at least 1"), ({"max_tokens": 0}, "at least one token")],
)
def test_nonsensical_numbers_are_refused_before_anything_runs(options, change, message):
    with pytest.raises(ValueError, match=message):
        build_recipe(replace(options, **change), TASK)


def test_a_rulebook_that_cannot_tell_responses_apart_is_refused(options):
    with pytest.raises(ValueError, match="tell responses apart"):
        build_recipe(options, TASK, Rulebook())


def test_a_prompt_longer_than_the_context_is_refused_with_both_numbers(tmp_path, options, policy):
    policy.context = 60
    with pytest.raises(ModelError, match=r"longest prompt has \d+ tokens .* context holds 60"):
        run_in(tmp_path, options, policy)


def test_a_damaged_checkpoint_is_noticed_and_the_one_before_is_used(tmp_path, options, policy):
    twin = copy.deepcopy(policy)
    run_in(tmp_path, options, policy, keep=3)
    newest = tmp_path / "checkpoints/step-6/model/model.safetensors"
    newest.write_bytes(newest.read_bytes()[:-100])
    told = []
    run_in(tmp_path, options, twin, watch=lambda kind, record: told.append((kind, record)), keep=3)
    assert any(kind == "warning" and "damaged" in record["text"] for kind, record in told)
    assert same(weights(policy), weights(twin))


def test_old_checkpoints_are_forgotten(tmp_path, options, policy):
    run_in(tmp_path, options, policy, checkpoint_every=1, keep=2)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-5", "step-6"]


def test_the_best_weights_by_accuracy_without_the_motivation_are_kept(tmp_path, options, policy, monkeypatch):
    from merf.train import run as run_module

    accuracies = iter([0.1, 0.9, 0.4, 0.9, 0.3, 0.9])
    real = run_module.evaluate

    def pretend(*args, **more):
        found = real(*args, **more)
        found.metrics["accuracy"] = next(accuracies)
        return found

    monkeypatch.setattr(run_module, "evaluate", pretend)
    run_in(tmp_path, options, policy)
    assert json.loads((tmp_path / "checkpoints/best/state.json").read_text()) == {"__dict__": [["step", 3]]}


def test_a_checkpoint_loads_as_an_ordinary_model_folder(tmp_path, options, policy):
    run_in(tmp_path, options, policy)
    loaded = Policy.load(tmp_path / "checkpoints/step-6/model")
    assert same(weights(policy), weights(loaded))


def test_evaluation_does_not_change_training(tmp_path, options, policy):
    twin = copy.deepcopy(policy)
    run_in(tmp_path / "a", options, policy)
    never = replace(options, evaluation=EvaluationOptions(every=1000, problems=1, samples=1))
    run_in(tmp_path / "b", never, twin)
    assert same(weights(policy), weights(twin))


@pytest.mark.parametrize("truncated", ["unreadable", "masked", "as-is"])
def test_responses_cut_off_at_the_limit_are_handled_as_asked(tmp_path, options, policy, truncated):
    """The random model hardly ever ends a response, so nearly all are cut off."""
    run_in(tmp_path, replace(options, truncated=truncated, max_tokens=3), policy)
    steps = list(records.read(tmp_path / "metrics.jsonl"))
    assert all(s["completions/clipped_ratio"] > 0.8 for s in steps)
    assert all(s["rewards/correctness/mean"] == -2 for s in steps)


def test_learning_from_the_bare_prompt_differs_from_learning_from_the_acting_one(tmp_path, options, policy):
    twin = copy.deepcopy(policy)
    run_in(tmp_path / "a", replace(options, motivation=MotivationOptions(exposure="always")), policy)
    bare = MotivationOptions(exposure="always", learning="bare")
    run_in(tmp_path / "b", replace(options, motivation=bare), twin)
    first = [next(records.read(tmp_path / name / "metrics.jsonl")) for name in "ab"]
    assert first[0]["reward"] == first[1]["reward"]
    assert not same(weights(policy), weights(twin))


def test_adapters_train_alone_and_resume(tmp_path, options, lab_tokenizer, model_of):
    def adapted() -> Policy:
        policy = Policy(model_of("llama", len(lab_tokenizer), eos_token_id=lab_tokenizer.eos_token_id), lab_tokenizer)
        policy.add_adapters(rank=4)
        return policy

    policy = adapted()
    base = {name: w for name, w in weights(policy).items() if "lora" not in name}
    run_in(tmp_path, options, policy)
    after = weights(policy)
    assert same(base, {name: after[name] for name in base})
    assert any("lora" in name for name in after)
    resumed = adapted()
    run_in(tmp_path, options, resumed)
    assert same(after, weights(resumed))


def test_warm_up_and_decay_of_the_learning_rate(policy):
    from merf.core.progress import Progress
    from merf.train.learner import Learner
    from merf.train.parallel import World

    learner = Learner(policy, AdamW(lr=1.0, warmup=4, decay="linear", floor=0.1), World())
    rates = [learner.rate(Progress(step, 12)) for step in range(12)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates == sorted(rates[:4]) + sorted(rates[4:], reverse=True)
    assert rates[-1] == pytest.approx(0.1 + 0.9 * (1 - 7 / 8))
