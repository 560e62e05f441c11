"""What is decided without math-verify is decided as math-verify does it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merf.tasks import mathematics
from merf.tasks.mathematics import brackets, compare, judge, typeset, value

small = st.integers(-9, 99)
texts = st.one_of(
    small.map(str),
    st.builds("{}/{}".format, small, st.integers(1, 9)),
    st.builds(r"\frac{{{}}}{{{}}}".format, st.integers(0, 99), st.integers(1, 9)),
    st.builds(r"-\dfrac{{{}}}{{{}}}".format, st.integers(1, 99), st.integers(1, 9)),
    st.builds("({}, {})".format, small, small),
    st.builds(r"\left({},{},{}\right)".format, small, small, small),
    st.builds(r"\{{{},{}\}}".format, st.integers(1, 3), st.integers(1, 3)),
    st.builds(r"\{{ {}, {}, {} \}}".format, st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)),
)


@settings(max_examples=60, deadline=None)
@given(texts, texts)
def test_math_verify_agrees(gold: str, answer: str) -> None:
    a, b = value(gold), value(answer)
    if a is not None and b is not None and brackets(gold) == brackets(answer):
        assert (a == b) is compare((gold, answer)).correct


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (r"\left[ 1, 2 \right)", "[1,2)", True),
        (r"\dfrac{x}{2} + 1", r"\frac{x}{2}+1", True),
        (r"\begin{pmatrix} 1 & 2 \end{pmatrix}", r"\begin{pmatrix}1&2\end{pmatrix}", True),
        ("7 2", "72", False),
        (r"7\ 2", "72", False),
        ("1, 234", "1,234", False),
        (r"\sqrt 2", r"\sqrt2", False),
        (r"\pi x", r"\pix", False),
        (r"1\\ 2", r"1\ 2", False),
        ("x y", "xy", False),
    ],
)
def test_only_what_the_eye_sees_is_taken_away(one: str, other: str, same: bool) -> None:
    assert (typeset(one) == typeset(other)) is same


def test_lists_of_numbers_that_may_be_long_numbers_are_left_to_math_verify() -> None:
    assert value("(1,000,000)") is None
    assert value("(1,2") is None
    assert brackets("(1,2]") == "(]"
    assert brackets("1,2") == ""


def test_common_answers_take_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    def pool() -> None:
        raise AssertionError

    monkeypatch.setattr(mathematics, "_pool", pool)
    assert judge("3/4", r"\boxed{\frac{6}{8}}").correct
    assert judge(r"\frac{3}{4}", "4/3").correct is False
    assert judge("(1,2)", r"\left(1, 2\right)").correct
    assert judge("(1,2)", "(2,1)").correct is False
    assert judge(r"\{1,2\}", r"\{2, 1\}").correct
    assert judge("4", "8/2").correct
    assert judge(r"[1,2)", r"[ 1 , 3 )").correct is False


def test_the_same_comparison_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Pool:
        def call(self, pair: tuple[str, str]) -> object:
            asked.append(pair)
            return compare(pair)

    monkeypatch.setattr(mathematics, "_pool", Pool)
    for _ in range(3):
        assert judge("x^3+7x", "7x+x^3").correct
        assert judge("x^3+7x", "7x-x^3").correct is False
    assert asked == [("x^3+7x", "7x+x^3"), ("x^3+7x", "7x-x^3")]
