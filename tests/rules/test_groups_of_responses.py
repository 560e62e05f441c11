from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st
from rule_samples import RIGHT, batch

from merf import Responses


@given(st.lists(st.integers(-3, 3), max_size=12))
def test_groups_come_in_order_of_first_appearance_with_their_rows_in_order(numbers: list[int]) -> None:
    expected = [[i for i, n in enumerate(numbers) if n == number] for number in dict.fromkeys(numbers)]
    assert [rows.tolist() for rows in batch(*[RIGHT] * len(numbers), group=numbers).groups()] == expected


def test_many_groups_are_found_in_time_proportional_to_the_batch() -> None:
    responses = Responses.of([RIGHT] * 100_000, list(range(100_000)))
    begun = time.monotonic()
    assert sum(1 for _ in responses.groups()) == 100_000
    assert time.monotonic() - begun < 3
