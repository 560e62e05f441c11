"""Our verdicts are the libraries' own, on generated answers both right and wrong."""

from __future__ import annotations

import pytest

from tests.tasks.agreement import disagreements

CASES = {
    "mathematics": 1000,
    "reasoning-gym": 1000,
    "knights-knaves": 1000,
    "countdown": 1000,
    "sql": 1000,
    "code": 100,
}
"""As many as fit the suite; `python -m tests.tasks.agreement 1000` runs a thousand of each."""


@pytest.mark.parametrize("kind", CASES)
def test_verdicts_agree_with_the_library_on_generated_answers(kind: str) -> None:
    differing, total, right = disagreements(kind, CASES[kind])
    assert differing == []
    assert total == CASES[kind]
    # Neither kind of answer is rare enough for an always-yes or always-no verifier to pass.
    assert 0.1 * total < right < 0.9 * total
