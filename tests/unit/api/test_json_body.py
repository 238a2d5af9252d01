# SPDX-License-Identifier: Apache-2.0
"""What a hostile body costs: as much as its size, and no more."""

import tracemalloc
from typing import Any

import pytest

from alarmd.api.json_body import MAX_PARTS, refuse_unstorable
from alarmd.errors import InvalidInput


def test_a_long_key_over_many_values_costs_no_memory() -> None:
    """Where each value stands is not spelt out: 100 kB over 20,000 values would be 2 GB."""
    body = {"k" * 100_000: [0] * 20_000}
    tracemalloc.start()
    refuse_unstorable(body)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert most < 2_000_000


@pytest.mark.parametrize(
    "body",
    [[0] * MAX_PARTS, [[]] * MAX_PARTS, {str(number): 0 for number in range(MAX_PARTS)}],
    ids=["values", "lists", "keys"],
)
def test_a_body_of_countless_parts_is_refused(body: Any) -> None:
    """Each of its parts would become a complaint of its own, of which only one is shown."""
    with pytest.raises(InvalidInput, match="more than 100000 keys and values"):
        refuse_unstorable(body)


def test_a_complaint_names_the_place_and_stays_short() -> None:
    """People find the value by its place; a place of megabytes is cut."""
    with pytest.raises(InvalidInput, match=r"^data\.a\[1\]\.b holds a character"):
        refuse_unstorable({"a": [0, {"b": "\0"}]})
    with pytest.raises(InvalidInput) as refused:
        refuse_unstorable({"k" * 100_000: ["\0"]})

    assert len(refused.value.message) < 500
