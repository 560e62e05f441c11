"""What holds for every rule that can be built, on every text: the contract between what a model is told
and what it is paid."""

from __future__ import annotations

import contextlib
import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st
from rule_samples import HOSTILE, LAYOUTS, RIGHT, UNKNOWN, UNREADABLE, WRONG, batch, respond, thought
from rule_strategies import batches, conditions, expressions, leaves, numbers

from merf import Progress, Responses, Rule, Rulebook
from merf.rules.conditions import AtLeast, Combined, Condition, Not, Solved, Standing
from merf.rules.form import Misread, Reader, plain_condition, plain_rule
from merf.rules.noise import Noisy
from merf.rules.rule import LevelRule
from merf.rules.shaping import Squashed
from merf.rules.wording import STYLES, percent, plain

often = settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))

KEYS = (
    "rule",
    "then",
    "do",
    "name",
    "sum",
    "priority",
    "condition",
    "weight",
    "all",
    "not",
    "easiest",
    "at_least",
    "x",
)
META = {"reference_scores": 0.5, "gold": "two and two", "names": ["two", "4"], "label": True}
TOLD = [thought(text, answer, meta=META) for text in ("two and two", "So. It is. Four.") for answer in "45"]
FIXED = [
    batch(
        *(*TOLD, *(respond(text, meta=META, id="q2") for text in HOSTILE[:8]), RIGHT, WRONG, UNREADABLE, UNKNOWN),
        group=[0, 0, 1, 1, *[2] * 8, 0, 1, 2, 3],
        progress=Progress(step, 4),
    )
    for step in (0, 2)
]


def same_scores(a: Rule, b: Rule, responses: Responses) -> bool:
    # Sums may be reordered, so equality is up to rounding.
    return np.allclose(a.score(responses), b.score(responses), rtol=1e-9, atol=1e-9, equal_nan=True)


@often
@given(expressions, batches)
def test_scoring_raises_on_no_text_and_never_leaves_the_declared_range(rule: Rule, responses: Responses) -> None:
    low, high = rule.range
    slack = 1e-9 * max(1.0, abs(low), abs(high))
    with np.errstate(all="raise", under="ignore"):
        scores = rule.score(responses)
    assert scores.shape == (len(responses),)
    assert scores.dtype == np.float64
    known = scores[~np.isnan(scores)]
    assert ((known >= low - slack) & (known <= high + slack)).all()


@often
@given(expressions, st.integers(0, 3))
def test_every_style_and_wording_says_something_in_one_line(rule: Rule, wording: int) -> None:
    for style in STYLES:
        said = rule.describe(style, wording)
        assert said.strip() == said != ""
        assert "\n" not in said
        assert "  " not in said
        if style == "full":
            assert said.startswith(f"{rule.label}: ")
            assert said.endswith(".")
            assert not said.endswith("..")


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to every number of a rule's plain form."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield (*path, key)
        yield from places(value, (*path, key))


def everywhere(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to everything in a rule's plain form."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from everywhere(value, (*path, key))


def at(data: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        data = data[key]
    return data


def changed(data: Any, path: tuple[Any, ...], value: Any) -> Rule:
    """The rule with one entry of its plain form replaced."""
    data = copy.deepcopy(data)
    at(data, path[:-1])[path[-1]] = value
    try:
        return Reader().rule(data)
    except Misread:
        assume(False)
        raise


def in_condition(path: tuple[Any, ...]) -> bool:
    return bool({"condition", "priority", "by"} & set(path))


@often
@given(expressions, numbers, st.integers(1, 9), st.data())
def test_a_changed_number_changes_the_full_description(
    rule: Rule, number: float, count: int, data: st.DataObject
) -> None:
    form = plain_rule(rule)
    path = data.draw(st.sampled_from(list(places(form)) or [()]))
    assume(path)
    before = at(form, path)
    after = count if isinstance(before, int) else abs(number) if before > 0 else number
    other = changed(form, path, after)
    assume(after != before)
    for wording in range(3):
        if rule.describe("full", wording) == other.describe("full", wording):
            # What an outcome pays is beside the point where the outcome is only asked about.
            assert in_condition(path)
            assert all(same_scores(rule, other, responses) for responses in FIXED)
            event("a number that decides nothing")


@often
@given(expressions, conditions(leaves), st.data())
def test_a_changed_condition_changes_the_full_description(
    rule: Rule, condition: Condition, data: st.DataObject
) -> None:
    try:
        gated = rule.only_if(condition)
    except ValueError:
        assume(False)
        raise
    form = plain_rule(gated)
    other_condition = data.draw(conditions(leaves))
    other = changed(form, ("then", len(form["then"]) - 1, "condition"), plain_condition(other_condition))
    assume(condition != other_condition)
    if gated.describe() == other.describe():
        assert all(same_scores(gated, other, responses) for responses in FIXED)
    else:
        event("said differently")


@often
@given(expressions, st.data())
def test_a_changed_order_changes_the_full_description(rule: Rule, data: st.DataObject) -> None:
    form = plain_rule(rule)
    steps = form.get("then", [])
    assume(len(steps) > 1)
    i = data.draw(st.integers(0, len(steps) - 2))
    assume(steps[i] != steps[i + 1])
    swapped = [*steps[:i], steps[i + 1], steps[i], *steps[i + 2 :]]
    other = changed(form, ("then",), swapped)
    for wording in range(3):
        assert rule.describe("full", wording) != other.describe("full", wording)


@often
@given(expressions, expressions, batches)
def test_equal_descriptions_imply_equal_scores(a: Rule, b: Rule, responses: Responses) -> None:
    for wording in range(3):
        if a.describe("full", wording) == b.describe("full", wording):
            event("equally described")
            assert same_scores(a, b, responses)


@often
@given(leaves, leaves, batches)
def test_equally_described_plain_rules_are_equal(a: Rule, b: Rule, responses: Responses) -> None:
    # Among plain rules coincidences are frequent enough to be found.
    if a.describe() == b.describe():
        event("equally described")
        assert a == b
        assert same_scores(a, b, responses)


def numbers_of(value: Any) -> Iterator[float]:
    """The numbers that can move a rule's score."""
    if isinstance(value, AtLeast):
        if isinstance(value.rule, LevelRule):
            yield from thresholds_of(value.rule)
        else:
            yield value.threshold
            yield from numbers_of(value.rule)
        return
    if isinstance(value, LevelRule):
        yield from (level.value for level in value.levels())
        yield from thresholds_of(value)
        return
    for name, entry in vars(value).items():
        # "words" stands for sequences of 1; the first draw, a centre of 0 and all of training go without saying.
        unsaid = (name in ("n", "over") and entry == 1) or (isinstance(value, Noisy | Squashed) and entry == 0)
        if isinstance(entry, int | float) and not isinstance(entry, bool) and not unsaid:
            yield entry
        for part in entry if isinstance(entry, tuple) else (entry,):
            if isinstance(part, Rule | Not | Combined | Solved | Standing | AtLeast) or name == "schedule":
                yield from numbers_of(part)


def thresholds_of(rule: Any) -> Iterator[float]:
    """Whole numbers in a rule with outcomes: how many words, how many steps."""
    while hasattr(rule, "rule"):
        rule = rule.rule
    yield from (value for name, value in vars(rule).items() if name in ("words", "least"))


def occurs(number: float, text: str) -> bool:
    spellings = {plain(number), plain(abs(number)), percent(number)}
    return any(re.search(rf"(?<![\d.]){re.escape(one)}(?![\d]|\.\d)", text) for one in spellings)


@often
@given(expressions)
def test_every_number_that_can_move_the_score_is_in_the_full_description(rule: Rule) -> None:
    for wording in range(3):
        said = rule.describe("full", wording)
        for number in numbers_of(rule):
            assert occurs(number, said), f"{number} is missing from: {said}"


@often
@given(st.lists(expressions, min_size=1, max_size=3))
def test_inverting_twice_is_the_original(rules: list[Rule]) -> None:
    try:
        book = Rulebook(*(rule.named(f"part {i}") for i, rule in enumerate(rules)))
    except ValueError:  # parts that cancel
        assume(False)
        raise
    assert book.inverted().inverted() == book
    assert book.inverted().inverted().describe() == book.describe()
    for rule in rules:
        negative = -rule
        assert -negative == rule
        assert negative.describe() != rule.describe()


@often
@given(expressions, batches)
def test_toml_and_python_are_the_identity_on_score_and_text(rule: Rule, responses: Responses) -> None:
    book = Rulebook(rule)
    for again in (Rulebook.from_toml(book.as_toml()), Rulebook.from_python(book.as_python())):
        assert again == book
        assert all(again.describe(style, 1) == book.describe(style, 1) for style in STYLES)
        assert np.array_equal(again.score(responses).total, book.score(responses).total, equal_nan=True)
    assert json.loads(json.dumps(plain_rule(rule))) == plain_rule(rule)


junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 9)
    | st.floats()
    | st.sampled_from(("Correct", "times", "", "a:b", "x")),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=2),
    max_leaves=4,
)


@often
@given(expressions, junk, st.data())
def test_nonsense_in_a_file_is_always_answered_with_where_it_is(rule: Rule, wrong: Any, data: st.DataObject) -> None:
    form = copy.deepcopy(plain_rule(rule))
    paths = list(everywhere(form))
    path = data.draw(st.sampled_from(paths))
    at(form, path[:-1])[path[-1]] = wrong
    with contextlib.suppress(Misread):
        Reader().rule(form)


@often
@given(expressions, st.integers(1, 50).map(lambda n: n / 10), numbers, batches)
def test_an_affine_change_is_invisible_after_group_normalisation(
    rule: Rule, scale: float, shift: float, responses: Responses
) -> None:
    scores = rule.score(responses)
    for rows in responses.groups():
        spread = np.nanstd(scores[rows]) if not np.isnan(scores[rows]).all() else 0.0
        assume(spread == 0 or spread > 1e-6)
    plainly = rule.within_group(1000).score(responses)
    affine = (scale * rule + shift).within_group(1000).score(responses)
    assert np.allclose(plainly, affine, atol=1e-4, equal_nan=True)


@pytest.mark.slow
def test_ten_megabytes_are_scored_like_any_other_text() -> None:
    from merf import FreshSteps, JsonFormat, Matches, NoRepetition, Overlap, Script
    from merf.rules.form import RULES

    megabytes = 10 * 2**20
    texts = ["word " * (megabytes // 5), "<think>" * (megabytes // 7), "[" * megabytes]
    rules = [
        *(kind() for name, kind in RULES.items() if name not in ("Matches", "Similar")),
        Matches("[a-z ]*", "it is small letters", of="response"),
        *(JsonFormat(of="response"), NoRepetition(4), Script(), Overlap(of="response"), FreshSteps(5)),
    ]
    responses = batch(*(respond(text) for text in texts), respond(f"<think>{texts[0]}</think><answer>4</answer>"))
    for rule in rules:
        low, high = rule.range
        scores = rule.score(responses)
        assert ((low <= scores) & (scores <= high) | np.isnan(scores)).all()


def test_every_rule_can_read_every_hostile_text_in_every_layout() -> None:
    from merf.rules.form import RULES

    rules = [kind() for name, kind in RULES.items() if name not in ("Matches", "Similar")]
    for layout in LAYOUTS:
        responses = batch(*(respond(text, layout=layout) for text in HOSTILE))
        for rule in rules:
            assert rule.score(responses).shape == (len(HOSTILE),)
