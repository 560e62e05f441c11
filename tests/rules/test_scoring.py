"""Scoring in workers: the numbers of `Rulebook.score`, whatever happens to some responses."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hostile_rules import hostile
from hypothesis import given, settings
from rule_samples import RIGHT, UNKNOWN, UNREADABLE, WRONG, batch, respond, thought
from rule_strategies import batches, expressions

from merf import (
    Boxed,
    Brevity,
    Concise,
    Correct,
    Format,
    Overlong,
    Problem,
    Response,
    Responses,
    Rule,
    Rulebook,
    Verdict,
    easiest,
)
from merf.rules import scoring
from merf.rules.scoring import Scorer, compares_groups, judged, wanted, within
from merf.tasks.answers import answers_named

MIXED = Rulebook(
    Correct(right=1, wrong=0, unreadable=-1),
    Brevity(unit="words").only_if(Correct()),
    Concise(words=6).ranked().named("rank"),
)


def same(a: Any, b: Any) -> None:
    np.testing.assert_array_equal(a.total, b.total)
    assert a.parts.keys() == b.parts.keys()
    for name in a.parts:
        np.testing.assert_array_equal(a.parts[name], b.parts[name])
    assert a.notes == b.notes


def many(groups: int) -> Responses:
    """Groups of four, of different lengths, taking turns in the batch."""
    items, numbers = [], []
    for member in range(4):
        for group in range(groups):
            answer = "4" if (group + member) % 3 else "FAIL"
            items.append(thought("so " * ((group * member) % 11), answer, id=f"q{group}", member=member))
            numbers.append(group)
    return Responses.of(items, numbers)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_give_the_numbers_of_the_rulebook(workers: int) -> None:
    responses = many(40)
    with Scorer(MIXED, workers=workers) as scorer:
        same(scorer.score(responses), MIXED.score(responses))
        same(
            scorer.score(batch(RIGHT, WRONG, UNREADABLE, UNKNOWN)),
            MIXED.score(batch(RIGHT, WRONG, UNREADABLE, UNKNOWN)),
        )
        assert len(scorer.score(Responses.of([])).total) == 0


@settings(max_examples=60, deadline=None)
@given(expressions, batches)
def test_every_rulebook_and_batch_survives_the_way_to_a_worker(rule: Rule, responses: Responses) -> None:
    book = Rulebook(rule)
    sent = pickle.loads(pickle.dumps(book))
    assert sent == book
    same(sent.score(pickle.loads(pickle.dumps(responses))), book.score(responses))


def test_rules_that_compare_questions_see_the_whole_batch() -> None:
    book = Rulebook(Correct(1, 0, 0).where(easiest(0.5)))
    assert compares_groups(book)
    assert not compares_groups(MIXED)
    responses = Responses.of([RIGHT, RIGHT, RIGHT, WRONG], [0, 0, 1, 1])
    with Scorer(book, workers=1) as scorer:
        scores = scorer.score(responses)
    same(scores, book.score(responses))
    assert scores.total.tolist() == [1, 1, 0, 0]


@pytest.fixture(scope="module")
def guarded() -> Iterator[Scorer]:
    book = Rulebook(hostile, Concise(words=3, within=1, over=0).ranked().named("rank"))
    with Scorer(book, seconds=1.0, memory=300 << 20, workers=2) as scorer:
        yield scorer


@pytest.mark.parametrize(("deed", "why"), [("hang", "time"), ("abort", "died"), ("number", "error")])
def test_a_response_that_breaks_the_rules_costs_only_itself(guarded: Scorer, deed: str, why: str) -> None:
    group = batch(respond("a b c d"), respond(deed), respond("a b"), respond("a b c d e"))
    other = batch(respond("a"), respond("b"))
    broken, fine = guarded.stream([group, other])
    assert broken.failed.tolist() == [False, True, False, False]
    assert np.isnan(broken.scores.total[1])
    assert f"could not be scored ({why}: " in broken.scores.notes[1]
    # The others are ranked among the three that are left.
    assert broken.scores.parts["rank"][[0, 2, 3]].tolist() == [0.25, 1.0, 0.25]
    assert not fine.failed.any()
    assert fine.scores.total.tolist() == [1.5, 1.5]


@pytest.mark.parametrize(("deed", "error"), [("raise", "KeyError"), ("grow", "MemoryError")])
def test_a_rule_that_raises_is_heard_of(guarded: Scorer, deed: str, error: str) -> None:
    (outcome,) = guarded.stream([batch(respond(deed), respond("a"))])
    assert outcome.failed.tolist() == [True, False]
    assert np.isnan(outcome.scores.total[0])
    assert outcome.scores.total[1] == 1.5
    assert any(error in warning for warning in outcome.warnings)


def test_where_all_fail_all_are_reported(guarded: Scorer) -> None:
    (outcome,) = guarded.stream([batch(respond("abort 1"), respond("abort 2"))])
    assert outcome.failed.all()
    assert all(outcome.scores.notes)


def test_outcomes_come_in_order_and_are_asked_for_a_little_ahead() -> None:
    taken = []

    def batches_of_one() -> Iterator[Responses]:
        for number in range(5_000):
            taken.append(number)
            yield batch(respond("w " * (number % 7)))

    book = Rulebook(Concise(words=3, within=1, over=0))
    with Scorer(book, workers=2) as scorer:
        stream = scorer.stream(batches_of_one())
        paid = [float(next(stream).scores.total[0]) for _ in range(100)]
        stream.close()
    assert paid == [float(number % 7 <= 3) for number in range(100)]
    assert len(taken) < 1000


class Timeout(BaseException):
    """A timeout as some libraries raise it: `except Exception` doesn't see it."""


@pytest.mark.parametrize("error", [ValueError, Timeout])
def test_a_verifier_that_raises_has_failed_and_paid_nothing(error: type[BaseException]) -> None:
    def verify(problem: Problem, answer: str) -> Verdict:
        if answer == "bad":
            raise error("out of order")
        return Verdict(correct=True)

    def answered(answer: str) -> Response:
        return Response(Problem("?"), f"<think></think><answer>{answer}</answer>", verify=verify)

    assert judged(answered("bad")).correct is None
    with Scorer(Rulebook(Correct(1, 0, 0)), workers=1) as scorer:
        (outcome,) = scorer.stream([Responses.of([answered("good"), answered("bad")])])
    assert outcome.failed.tolist() == [False, True]
    assert outcome.scores.total[0] == 1
    assert np.isnan(outcome.scores.total[1])
    assert outcome.scores.notes[1] == f"the verifier failed: {error.__name__}: out of order"


def test_an_interrupt_is_not_a_verdict() -> None:
    def interrupted(problem: Problem, answer: str) -> Verdict:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        judged(Response(Problem("?"), "<think></think><answer>1</answer>", verify=interrupted))


EXPLODING = (
    "9^9^9^9",
    "9^{9^{9^9}}",
    "10**10**10",
    "((((9!)!)!)!)",
    "2^{100000000}",
    "7" * 5000,
    "\\frac{1}{" * 60 + "2" + "}" * 60,
    "\\sqrt{" * 40 + "2" + "}" * 40,
    "(" * 3000,
    "(x+1)^{9999}",
    "\\int_0^1 x^{x^{x^x}} dx",
    "\\sum_{n=1}^{99999999} n!",
)


def test_exploding_mathematics_is_cut_off_and_never_right() -> None:
    verify = answers_named("math").verify
    texts = [f"\\boxed{{{text}}}" for text in (*EXPLODING, "3")]
    problem = Problem("?", answer="3")
    responses = Responses.of([Response(problem, text, layout=Boxed(), verify=verify) for text in texts])
    started = time.monotonic()
    found: list[Any] = []

    def score() -> None:
        # Off the main thread, where an alarm signal would raise an error.
        with Scorer(Rulebook(Correct(1, 0, 0)), workers=2) as scorer:
            found.append(scorer.score(responses))

    thread = threading.Thread(target=score)
    thread.start()
    thread.join()
    assert found[0].total.tolist() == [0.0] * len(EXPLODING) + [1.0]
    assert time.monotonic() - started < 60


def test_what_a_rulebook_looks_at_is_found_out_by_asking_it() -> None:
    assert "verdict" in wanted(Rulebook(Format() * 0.5 + Correct()))
    assert "verdict" in wanted(Rulebook(Concise(words=3).only_if(Correct())))
    assert "verdict" not in wanted(Rulebook(Format(), Concise(words=3)))
    assert "tokens" in wanted(Rulebook(Overlong(limit=100, band=10)))
    assert "tokens" not in wanted(MIXED)


def test_the_answers_are_not_judged_where_no_rule_asks() -> None:
    def never(problem: Problem, answer: str) -> Verdict:
        raise AssertionError

    response = Response(Problem("?"), "<think></think><answer>1</answer>", verify=never)
    with Scorer(Rulebook(Format(good=1, bad=0)), workers=1) as scorer:
        (outcome,) = scorer.stream([Responses.of([response])])
    assert outcome.scores.total.tolist() == [1.0]
    assert not outcome.failed.any()


def test_the_parts_of_a_rulebook_are_found_at_any_depth() -> None:
    inner = Format(layout=Boxed())
    book = Rulebook(Correct(), (Concise(words=3) * 2).only_if(Correct() & inner))
    assert inner in list(within(book))


def test_long_texts_are_sent_by_themselves() -> None:
    long, short = batch(respond("x" * scoring.CHARACTERS)), batch(respond("x"))
    assert [len(part) for part in scoring._gathered(iter([long, short, short, long, short]))] == [1, 3, 1]


def test_several_workers_judge_at_the_same_time() -> None:
    """Every verdict waits until four are being given at once: one after the other they would never get there."""
    together = threading.Barrier(4, timeout=30)

    def verify(problem: Problem, answer: str) -> Verdict:
        together.wait()
        return Verdict(correct=True)

    items = [Response(Problem("?"), r"\boxed{1}", member=i % 2, layout=Boxed(), verify=verify) for i in range(8)]
    with Scorer(Rulebook(Correct(right=1, wrong=0, unreadable=-1)), workers=4) as scorer:
        assert scorer.score(Responses.of(items, [i // 2 for i in range(8)])).total.tolist() == [1.0] * 8
