"""Mathematical answers: what they mean, and what they must not cost."""

from __future__ import annotations

import threading
import time

import pytest

from merf.tasks import mathematics
from merf.tasks.deadline import KillablePool
from merf.tasks.mathematics import SECONDS, compare, gold_answer, judge, unusable

SAME = [
    *(("72", answer) for answer in ("72", "72.", " 72 ", "072", "72.0", "+72", "$72$", r"\boxed{72}", r"$\boxed{72}$")),
    *(
        ("72", answer)
        for answer in ("The answer is 72", "72 clips", "x = 72", "48+24=72", "**72**", "$72", "72 dollars")
    ),
    *((gold, "1000") for gold in ("1,000", "#### 1,000", r"So we get \boxed{1000}.", "10^3", "1e3", r"1{,}000")),
    *(
        (r"\frac{3}{4}", answer)
        for answer in ("3/4", "0.75", r"\boxed{\frac34}", r"\dfrac{6}{8}", "75%", r"75\%", "3 / 4")
    ),
    *(("1.5", answer) for answer in ("1 1/2", r"1\frac{1}{2}", "3/2")),
    *((r"50\%", answer) for answer in ("50%", "50", "0.5", "1/2", "50 percent")),
    *(("(1,2)", answer) for answer in ("(1, 2)", r"\left(1,2\right)", "$(1,2)$")),
    *((r"\{1,2,3\}", answer) for answer in ("{3,2,1}", r"\{1, 2, 3\}", "1, 2, 3", "1,3,2")),
    *(("[1,2)", answer) for answer in ("[1, 2)", r"\left[1,2\right)")),
    (r"(-\infty,3)\cup(5,\infty)", "(-∞,3)∪(5,∞)"),
    *((r"\sqrt{2}", answer) for answer in ("sqrt(2)", "√2", "2^{1/2}", r"$\sqrt2$")),
    *((r"2\pi", answer) for answer in ("2π", "2*pi", "2 pi")),
    ("x^2+2x+1", "(x+1)^2"),
    *((r"5 \text{ cm}", answer) for answer in ("5 cm", "5", r"5\text{cm}")),
    (r"90^\circ", "90°"),
    ("3:2", "6:4"),
    ("1/3", "0.3333333"),
    (r"\text{even}", "even"),
    ("Tuesday", "tuesday."),
    (r"\text{(A)}", "(A)"),
    ("-3", "−3"),
    ("1/2", "½"),
    (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}"),
    (r"x \ge 3", r"[3,\infty)"),
    (r"\emptyset", "∅"),
]

DIFFERENT = [
    *(("72", answer) for answer in ("73", "-72", "7.2", "720", "7 2", "0.72", "72 or 73", "71, 72, 73", "1 2 3 72")),
    *(
        ("72", answer)
        for answer in (r"\boxed{71} or \boxed{72}", "between 70 and 72", "it is 70 or 71 or 72", "seventy-two")
    ),
    *(("(1,2)", answer) for answer in ("(2,1)", "[1,2]", "1", "(1,2,3)")),
    *((r"\{1,2\}", answer) for answer in ("{1}", "1", "{1,2,3}")),
    *(("[1,2)", answer) for answer in ("(1,2]", "[1,2]", "1")),
    *(("3:2", answer) for answer in ("3:5", "3", "2:3")),
    *((r"\frac{1}{3}", answer) for answer in ("0.33", "3", r"\frac{3}{1}")),
    (r"\pi", "3.14"),
    ("even", "odd"),
    ("5", "5!"),
    (r"(-\infty,3)", r"(-\infty,3]"),
    ("x^2+1", "x^2-1"),
]

HOSTILE = [
    *("", " ", "zzz", "\x00", "{" * 900, "$" * 500, "(" * 500, r"\frac{" * 100, r"\text{" * 100, "x" * 999, "72" * 400),
    *(
        "9^9^9^9",
        "9**9**9",
        "9^{9^{9^9}}",
        r"\left(9^9\right)^{99999999}",
        "10^{10^{10}}",
        "9" * 5000,
        "100000!",
        "5!!!!",
    ),
    *(r"\sum_{i=1}^{99999999} i^i", r"\binom{99999999}{49999999}", r"\int e^{x^x} dx", r"\prod_{n=1}^{10^9} n"),
    *("__import__('os').system('true')", r"\input{/etc/passwd}", "\ud800"),
]


@pytest.mark.parametrize(("gold", "answer"), SAME)
def test_the_same_in_other_words_is_right(gold: str, answer: str) -> None:
    assert judge(gold, answer).correct is True


@pytest.mark.parametrize(("gold", "answer"), DIFFERENT)
def test_something_else_is_wrong(gold: str, answer: str) -> None:
    assert judge(gold, answer).correct is False


@pytest.mark.parametrize("answer", HOSTILE)
def test_hostile_answers_are_wrong_within_the_deadline(answer: str) -> None:
    start = time.perf_counter()
    verdict = judge("72", answer)
    assert verdict.correct is False
    assert verdict.readable is False
    # Twice: the gold answer may be compared with itself to see whose fault it was. And a worker's start.
    assert time.perf_counter() - start < 2 * SECONDS + 30
    assert judge("72", "71.5 + 0.5").correct is True


def test_listing_answers_is_no_answer() -> None:
    verdict = judge("7", "It could be 5, or 6, or 7")
    assert verdict.readable is False
    assert verdict.note == "several numbers in prose"


@pytest.mark.parametrize("gold", ["9^9^9^9", "", "1" * 3000, r"\frac{"])
def test_a_gold_answer_that_cant_be_judged_against_is_found_beforehand(gold: str) -> None:
    assert unusable(gold)
    assert judge(gold, "2^{5}+x").correct is not True


def test_whose_fault_a_slow_comparison_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with KillablePool(compare, seconds=0.5, prepare=mathematics._import_packages) as impatient:
        monkeypatch.setattr(mathematics, "_pool", lambda: impatient)
        slow = r"\binom{99999999}{49999999}"
        assert judge("x+1", slow).correct is False
        assert judge(slow, "x+1").correct is None


def test_usable_gold_answers() -> None:
    assert [gold for gold, _ in SAME if unusable(gold)] == []


@pytest.mark.parametrize(
    ("solution", "answer"),
    [
        ("Natalia sold 48/2 = 24 clips in May.\n#### 72", "72"),
        (r"Thus $x = \boxed{\frac{1}{2}}$.", r"\frac{1}{2}"),
        (r"First \boxed{1}, then \boxed{\sqrt{2}}", r"\sqrt{2}"),
        ("  42 ", "42"),
        (r"\text{even}", "even"),
        (r"\boxed{unclosed", r"\boxed{unclosed"),
    ],
)
def test_the_answer_at_the_end_of_a_solution(solution: str, answer: str) -> None:
    assert gold_answer(solution) == answer


def test_verdicts_off_the_main_thread() -> None:
    found: list[bool | None] = []
    thread = threading.Thread(target=lambda: found.append(judge(r"\frac12", "0.5").correct))
    thread.start()
    thread.join()
    assert found == [True]
