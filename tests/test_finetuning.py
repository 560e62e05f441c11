"""Training from Python."""

from __future__ import annotations

import pytest

from merf import Correct, Format, Rulebook, finetune, rule

SMALL = {
    "people": (2, 2),
    "steps": 2,
    "problems": 1,
    "group_size": 4,
    "max_tokens": 8,
    "evaluation": {"every": 2, "problems": 2, "samples": 2, "quick_problems": 1, "quick_samples": 1},
}


@rule(low=0, high=1)
def long(text: str) -> bool:
    """The response has at least twelve characters."""
    return len(text) >= 12


@pytest.fixture
def model(saved_models):
    return str(saved_models["llama"])


def test_it_trains_for_a_rule_of_ones_own_and_tells_it(model, tmp_path):
    book = Rulebook(Correct(), Format(), long)
    run = finetune(book, model=model, out=tmp_path / "run", quiet=True, **SMALL)
    assert run.state == "done"
    assert "at least twelve characters" in run.motivation
    assert len(run.steps) == 2
    assert all("rewards/long/mean" in step for step in run.steps)
    assert 0 <= run.final("bare", "accuracy") <= 1


def test_a_finished_run_is_returned_and_other_options_or_rules_are_refused(model, tmp_path):
    def again(book=None, **changes):
        return finetune(book, model=model, out=tmp_path / "run", quiet=True, **{**SMALL, **changes})

    again()
    written = (tmp_path / "run" / "metrics.jsonl").stat().st_mtime_ns
    assert again().state == "done"
    assert (tmp_path / "run" / "metrics.jsonl").stat().st_mtime_ns == written
    with pytest.raises(ValueError, match="holds a run with other options or rules"):
        again(steps=3)
    with pytest.raises(ValueError, match="holds a run with other options or rules"):
        again(Rulebook(Correct(right=3), Format()))


def test_a_run_whose_method_changes_the_rules_is_found_again(model, tmp_path):
    def again(method):
        return finetune(model=model, out=tmp_path / "run", quiet=True, methods=[method], **SMALL)

    again("dapo")
    assert again("dapo").state == "done"
    with pytest.raises(ValueError, match="holds a run with other options or rules"):
        again("dapo:band=0.5")


def test_unknown_options_are_named_before_anything_runs(model, tmp_path):
    with pytest.raises(ValueError, match="did you mean steps"):
        finetune(model=model, out=tmp_path / "run", step=3)
    assert not (tmp_path / "run").exists()
