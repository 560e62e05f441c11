"""The audit finds every planted hole, names it, and holds nothing against a sound rulebook."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from broken_rulebooks import Sums, effort, leaky, payable_format, ungated_length
from hypothesis import given, settings
from hypothesis import strategies as st

from merf import Boxed, Concise, Correct, FinalLine, Format, Plain, Problem, Response, Rulebook, Verdict, rule
from merf.audit import Audit, audit
from merf.audit.policies import POLICIES, Policy
from merf.core.layout import Layout
from merf.tasks import get
from merf.tasks.knights_knaves import KnightsKnaves

PAPER = Rulebook(Correct(right=2, wrong=-1.5, unreadable=-2), Format(good=1, bad=-1))
SMALL = KnightsKnaves(people=(3, 3))


def found(book: Rulebook, task: object = None, problems: int = 4, **options: object) -> Audit:
    return audit(book, Sums() if task is None else task, problems=problems, **options)  # type: ignore[arg-type]


def names(audited: Audit) -> list[str]:
    return [hole.name for hole in audited.holes]


# The rulebook of the paper, and the three planted holes.


@pytest.fixture(scope="module")
def paper() -> Audit:
    return found(PAPER, get("knights-knaves", people=(3, 4)))


def test_the_papers_rulebook_has_no_hole(paper: Audit) -> None:
    assert paper.passed, paper.holes
    assert vars(paper.scale) == {"low": -3.0, "wrong": -0.5, "right": 3.0, "high": 3.0}
    assert paper.stored == 1.0
    assert 0 < paper.chance < 0.3
    assert paper.signals.alive == 1.0


def test_every_reachable_total_of_the_papers_rulebook_is_promised_and_paid(paper: Audit) -> None:
    totals = [(outcome.promised, outcome.paid) for outcome in paper.outcomes]
    assert totals == [((t, t), (t, t)) for t in (3.0, -0.5, -1.0, -3.0)]
    levels = dict(paper.outcomes[1].levels)
    assert levels["correctness"] == "the final answer is readable but wrong"
    assert levels["format"].startswith("the response is exactly")


def test_leaky_answer_extraction_is_found() -> None:
    audited = found(leaky, SMALL)
    assert {"answer in the reasoning", "outside the tags", "every candidate", "several answers"} <= set(names(audited))
    by_name = {hole.name: hole for hole in audited.holes}
    assert 'through "names-everyone"' in by_name["every candidate"].about
    assert by_name["every candidate"].example.count(" is a kn") > 3 * 3
    assert all(row.passed for row in audited.rows if row.name in ("guess", "tags only", "empty", "padding"))


def test_a_format_that_pays_without_an_answer_is_found() -> None:
    audited = found(payable_format, SMALL)
    assert names(audited) == ["tags only", "reasoning only", "answer in the reasoning"]
    assert all('through "format"' in hole.about for hole in audited.holes)
    assert audited.holes[0].example == "<think></think><answer></answer>"
    tags = next(row for row in audited.rows if row.name == "tags only")
    assert (tags.mean, tags.share, tags.limit) == (1.0, 0.5, pytest.approx(0.9))


def test_a_length_bonus_without_a_gate_is_found() -> None:
    audited = found(ungated_length, SMALL)
    assert {"very long", "endless padding", "repeated reasoning"} <= set(names(audited))
    assert all('through "effort"' in hole.about for hole in audited.holes)
    gated = found(Rulebook(Correct(), Format(), effort.only_if(Correct())), SMALL)
    assert "very long" not in names(gated), "behind the gate a wrong answer earns nothing by its length"
    assert "endless padding" in names(gated), "a right one still does"


def test_a_bonus_for_brevity_without_a_gate_pays_for_saying_nothing() -> None:
    audited = found(Rulebook(Correct(1, 0, 0), Concise(words=50, within=1, over=0)))
    empty = next(hole for hole in audited.holes if hole.name == "empty")
    assert 'Paid 1 through "length"' in empty.about
    assert "empty" not in names(found(Rulebook(Correct(1, 0, 0), Concise(50, 1, 0).only_if(Correct()))))


# What is compared with what.


@pytest.mark.parametrize("layout", [Boxed(), FinalLine(), Plain()])
def test_a_sound_rulebook_is_sound_in_every_layout(layout: Layout) -> None:
    audited = found(Rulebook(Correct(), Format(layout=layout)), Sums(layout=layout))
    assert audited.passed, audited.holes


def test_a_plain_right_or_wrong_reward_passes() -> None:
    assert found(Rulebook(Correct(1, 0, 0))).passed


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from([PAPER, payable_format, Rulebook(Correct(1, 0.5, 0)), Rulebook(Correct(), effort)]),
    st.integers(1, 500).map(lambda n: n / 100),
    st.integers(-300, 300).map(lambda n: n / 100),
)
def test_an_audit_does_not_depend_on_the_unit_or_the_zero_of_the_scores(book, factor, shift) -> None:
    first, *rest = (part * factor for part in book)
    assert names(found(Rulebook(first + shift, *rest), problems=2)) == names(found(book, problems=2))


@dataclass(frozen=True)
class Scorer(Sums):
    """Sums with a verifier of one's own."""

    gives: object = None

    def verify(self, problem: Problem, answer: str) -> Verdict:
        return self.gives(problem, answer)  # type: ignore[operator]


def test_a_verifier_that_accepts_anything_is_found() -> None:
    audited = found(PAPER, Scorer(gives=lambda problem, answer: Verdict(correct=True)))
    assert {"letters", "punctuation", "echo", "guess", "fixed answer"} <= set(names(audited))


def test_a_verifier_that_accepts_any_text_with_the_answer_in_it_is_found() -> None:
    def lenient(problem: Problem, answer: str) -> Verdict:
        return Verdict(correct=str(problem.answer) in answer)

    audited = found(PAPER, Scorer(gives=lenient))
    assert "every candidate" in names(audited)
    assert "hedged" not in names(audited), "not more than the answer alone"


def test_part_marks_for_junk_are_found_where_they_are_paid_for() -> None:
    @rule
    def marks(response: Response) -> float:
        """What the verifier gives."""
        return response.verdict.score or 0.0

    def generous(problem: Problem, answer: str) -> Verdict:
        right = answer == problem.answer
        return Verdict(correct=right, score=1.0 if right else 0.25)

    task = Scorer(gives=generous)
    assert "letters" in names(found(Rulebook(marks), task))
    assert found(PAPER, task).passed, "nobody is paid for these marks"


def test_a_verifier_that_raises_is_found_and_does_not_stop_the_audit() -> None:
    def brittle(problem: Problem, answer: str) -> Verdict:
        return Verdict(correct=int(answer) == int(problem.answer))

    audited = found(PAPER, Scorer(gives=brittle))
    letters = next(row for row in audited.rows if row.name == "letters")
    assert letters.failed == 1.0
    assert "100% of these can't be scored" in next(hole.about for hole in audited.holes if hole.name == "letters")


def test_a_stored_answer_that_is_not_accepted_is_found() -> None:
    audited = found(PAPER, Scorer(gives=lambda problem, answer: Verdict(correct=False)))
    assert names(audited)[:2] == ["stored answer", "being right"]
    assert audited.stored == 0.0


def test_an_inverted_rulebook_is_found() -> None:
    assert "being right" in names(found(PAPER.inverted()))


def test_a_blank_answer_is_as_good_as_none() -> None:
    blank = Response(Problem("?", answer="4"), "<think>a</think><answer> </answer>", verify=exact)
    assert blank.verdict.readable is False
    spaced = Response(Problem("?", answer=""), "<think>a</think><answer> </answer>", verify=exact)
    assert spaced.verdict.correct is True


def exact(problem: Problem, answer: str) -> Verdict:
    return Verdict(correct=answer == problem.answer)


# A new policy is one function.


def test_a_policy_of_ones_own_takes_part(monkeypatch: pytest.MonkeyPatch) -> None:
    @rule
    def polite(text: str) -> bool:
        """It says please."""
        return "please" in text

    def begging(case: object) -> tuple[str]:
        return ("please, please",)

    monkeypatch.setitem(POLICIES, "begging", Policy("begging", "It begs.", "nothing", begging))
    hole = next(hole for hole in found(Rulebook(Correct(), polite)).holes if hole.name == "begging")
    assert hole.about.startswith('It begs. Paid -1 through "polite"')
    assert hole.example == "please, please"


# Bad input.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 0.0}, "between 0 and 1"),
        ({"threshold": 1.0}, "between 0 and 1"),
        ({"problems": 0}, "at least 1 problem"),
    ],
)
def test_nonsense_is_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        audit(PAPER, Sums(), **options)  # type: ignore[arg-type]


def test_an_empty_rulebook_and_a_task_without_problems_are_refused() -> None:
    @dataclass(frozen=True)
    class Nothing(Sums):
        def problems(self, split: str = "train", seed: int = 0) -> Iterator[Problem]:
            return iter(())

    with pytest.raises(ValueError, match="give it a rule"):
        found(Rulebook())
    with pytest.raises(ValueError, match="sums has no training problems"):
        found(PAPER, Nothing())


def test_a_rule_that_raises_is_named_with_the_text() -> None:
    @rule
    def wild(text: str) -> float:
        """Pays beyond its range."""
        return 7.0 if text.startswith("<think></think>") else 0.0

    with pytest.raises(ValueError, match=r"'wild' returned 7.*on the response '<think></think>"):
        found(Rulebook(Correct(), wild))


def test_responses_that_can_not_be_scored_at_all_are_an_error() -> None:
    with pytest.raises(ValueError, match="not one honest response could be scored"):
        found(Rulebook(Correct().centred()))
