"""The base models: how they are built, and what those that ship can do."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import islice

import pytest
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from merf.core.response import Response
from merf.core.sampling import Sampling
from merf.core.seeds import derive
from merf.lab import bases, build
from merf.lab.card import WORTH_IT, Card
from merf.lab.experiment import SHIPPED as SHIPPED_EXPERIMENTS
from merf.lab.experiment import Experiment
from merf.lab.pretrain import Shape
from merf.lab.worlds import get, knights
from merf.policy.policy import Policy

SHIPPED = {name: bases.SHIPPED / name for name in build.SHIPPED}


def test_everything_that_ships_is_there_and_small():
    files = [path for path in bases.SHIPPED.rglob("*") if path.is_file()]
    assert {path.parent.name for path in files} == set(SHIPPED)
    assert sum(path.stat().st_size for path in files) < 16e6
    assert {path.suffix for path in files} <= {".json", ".jinja", ".safetensors"}


@pytest.mark.parametrize("name", SHIPPED)
def test_a_base_is_an_ordinary_model_folder(name):
    model = transformers.AutoModelForCausalLM.from_pretrained(SHIPPED[name])
    tokenizer = transformers.AutoTokenizer.from_pretrained(SHIPPED[name])
    assert tokenizer.is_fast
    assert model.config.vocab_size >= len(tokenizer)
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True
    )
    assert "Hi" in text


@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_text_can_be_encoded_and_comes_back(text):
    tokenizer = tokenizer_of("knights")
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text


def tokenizer_of(name, loaded={}):  # noqa: B006 - the default is the cache
    if name not in loaded:
        loaded[name] = transformers.AutoTokenizer.from_pretrained(SHIPPED[name])
    return loaded[name]


def test_work_pays_in_the_demos_world_and_is_rare_untold():
    demo = Experiment.load(SHIPPED_EXPERIMENTS / "demo.toml")
    card = Card.load(SHIPPED[demo.shared["model"].removeprefix("lab:")] / "card.json")
    assert card.pays["2"] >= WORTH_IT
    assert card.untold_work <= 0.01
    assert card.told["truth"]["works"] > 10 * card.untold_work


def test_the_control_base_works_no_more_when_told():
    card = Card.load(SHIPPED["knights-unread"] / "card.json")
    assert card.told["truth"]["works"] <= 0.05


@pytest.mark.slow
def test_the_stored_card_is_true_of_the_stored_weights():
    """Sixty worked responses to two-person puzzles; differs by more than four standard errors by chance in fewer
    than one of ten thousand weights that fit their card."""
    policy = Policy.load(SHIPPED["knights"])
    card = Card.load(SHIPPED["knights"] / "card.json")
    task = knights.task((2, 2))
    problems = list(islice(task.problems("test", 5), 60))
    system = {"role": "system", "content": task.instruction}
    prompts = [policy.encode((system, *p.messages), knights.Knights().opening(p, "work")) for p in problems]
    samples = policy.sample(
        [prompt.ids for prompt in prompts], Sampling(max_tokens=200), [derive(3, i) for i in range(60)]
    )
    right = 0
    for problem, prompt, sample in zip(problems, prompts, samples, strict=True):
        text = prompt.opening + policy.chat.decode(sample.tokens, policy.stops)
        right += bool(Response(problem, text, finished=sample.finished, verify=task.verify).verdict.correct)
    rate = card.accuracy["work"]["2"]
    error = math.sqrt(rate * (1 - rate) * (1 / 60 + 1 / card.samples))
    assert abs(right / 60 - rate) <= 4 * error


TINY = Shape(width=32, layers=1, heads=2, read=100, vocabulary=400)


def quick(base, steps=2):
    """The same base in a few steps, with a model that learns nothing."""
    trunk = tuple(replace(stage, steps=2, prompts=2, warmup=0) for stage in base.trunk)
    return replace(base, trunk=trunk, stage=replace(base.stage, steps=steps, prompts=2), shape=TINY, samples=2)


@pytest.fixture
def no_card(monkeypatch):
    card = Card({"work": {"2": 0.5}, "guess": {"2": 0.4}}, {"none": {"works": 0.0}})
    monkeypatch.setattr(build, "measure", lambda *given: card)


@pytest.mark.slow
def test_bases_are_built_from_a_trunk_and_from_each_other(tmp_path, no_card):
    told = []

    def report(name, step, steps, loss):
        told.append((name, step, steps))
        assert math.isfinite(loss)

    parent = quick(build.BASES["knights"])
    build.build_trunk(parent, tmp_path / "trunk", report)
    build.build_base(parent, tmp_path / "trunk", tmp_path / "knights", report)
    rare = quick(build.BASES["knights-5"], steps=1)
    build.build_base(rare, tmp_path / "knights", tmp_path / "knights-5", report)
    assert [name for name, _, _ in told] == ["knights: trunk"] * 4 + ["knights"] * 2 + ["knights-5"]
    assert [step for _, step, _ in told] == [1, 2, 3, 4, 1, 2, 1]
    assert all(steps == 4 for name, _, steps in told if name == "knights: trunk")
    for name in ("knights", "knights-5"):
        assert Card.load(tmp_path / name / "card.json").pays == {"2": 0.1}
        assert Policy.load(tmp_path / name).shares
    assert not list(tmp_path.glob(".*.part"))


def test_the_recipe_of_the_shipped_bases_is_the_one_they_were_made_by():
    assert [(stage.steps, stage.prompts, stage.lr, stage.end, stage.warmup) for stage in build.TRUNK] == [
        (500, 20, 2e-3, 2e-3, 100),
        (500, 20, 2e-3, 2e-3, 0),
    ]
    made = {"knights": ("", 1200), "knights-unread": ("", 1200), "knights-0": ("knights-0.03", 400)}
    assert set(build.SHIPPED) == set(made)
    for name, (parent, steps) in made.items():
        base = build.BASES[name]
        assert (base.trunk, base.parent, base.stage.steps, base.stage.end) == (build.TRUNK, parent, steps, 0.0)
        assert (base.shape.width, base.shape.layers, base.shape.vocabulary) == (160, 5, 768)
        assert build.trunk_folder(base).name == "knights"


def ignore(*report):
    pass


@pytest.mark.slow
def test_a_base_is_built_again_only_when_something_that_made_it_changes(tmp_path, no_card):
    base = quick(build.base_named("arithmetic"))
    build.build_trunk(base, tmp_path / "trunk", ignore)
    build.build_base(base, tmp_path / "trunk", tmp_path / "base", ignore)
    assert build.fresh(tmp_path / "trunk", build.trunk_mark(base))
    assert build.fresh(tmp_path / "base", build.base_mark(base, None))
    assert not build.fresh(tmp_path / "nowhere", build.base_mark(base, None))
    rarer = replace(base, stage=replace(base.stage, dials=replace(base.dials, untold_work=0.5)))
    assert not build.fresh(tmp_path / "base", build.base_mark(rarer, None))
    other_trunk = replace(base, trunk=base.trunk[:1])
    assert not build.fresh(tmp_path / "base", build.base_mark(other_trunk, None))
    wider = replace(base, shape=replace(TINY, width=64))
    assert not build.fresh(tmp_path / "base", build.base_mark(wider, None))


def test_a_writer_who_writes_otherwise_changes_the_fingerprint(monkeypatch):
    from merf.lab.worlds import arithmetic

    base = quick(build.base_named("arithmetic"))
    before = build.base_mark(base, None)
    assert before == build.base_mark(base, None)
    monkeypatch.setattr(arithmetic, "BETWEEN", ("Next.",))
    assert build.base_mark(base, None) != before


@pytest.mark.slow
def test_any_world_is_built_from_its_mixture_with_its_card(tmp_path, monkeypatch):
    """A real build, in miniature: documents, tokenizer, trunk, branch, and every part of the card."""
    parts = []

    def report(name, step, steps, loss):
        parts.append((name, step, steps))

    world = get("arithmetic")
    monkeypatch.setattr(type(world), "tokens", 12)  # a model that has learnt nothing never stops
    base = quick(build.base_named("arithmetic"))
    build.build_trunk(base, tmp_path / "trunk", report)
    card = build.build_base(base, tmp_path / "trunk", tmp_path / "base", report)
    assert (card.world, card.level, card.main) == ("arithmetic", str(world.level), "careful")
    assert set(card.accuracy) == {*world.openings, "guess"}
    assert set(card.pass_at) == {"1", "2", "4", "8", "16", "32", "64"}
    measured = [(step, steps) for name, step, steps in parts if name.endswith("card")]
    assert measured == [(i + 1, len(measured)) for i in range(len(measured))]
    assert Card.load(tmp_path / "base" / "card.json") == card


def test_the_time_of_a_build_is_estimated_from_a_few_steps(lab_tokenizer):
    from merf.lab.estimate import estimate

    base = quick(build.BASES["knights"])
    found = estimate(base, lab_tokenizer, with_trunk=True)
    longer = estimate(replace(base, stage=replace(base.stage, steps=2000)), lab_tokenizer, with_trunk=False)
    assert found.trunk > 0
    assert longer.trunk == 0
    assert longer.branch > 20 * found.branch
    assert "minutes" in str(found)


def test_bases_that_are_not_there_are_named_with_the_command_that_builds_them(tmp_path, monkeypatch):
    monkeypatch.setenv("MERF_CACHE", str(tmp_path))
    bases.require(["lab:knights", "some/model"])
    with pytest.raises(ValueError, match="lab:a, lab:b have to be built first: `merf lab build a b`"):
        bases.require(["lab:a", "lab:knights", "lab:b", "lab:a"])
