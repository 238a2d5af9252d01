# SPDX-License-Identifier: Apache-2.0
"""Who gives way when the log is full."""

from hypothesis import given
from hypothesis import strategies as st

from alarmd.cache.share import fair_share


@given(sizes=st.lists(st.integers(min_value=0, max_value=1000), max_size=20), budget=st.integers(0, 5000))
def test_all_fit_and_little_is_wasted(sizes: list[int], budget: int) -> None:
    """Cut to the share, all fit into the budget; with one more byte for each they would not."""
    share = fair_share(sizes, budget=budget)
    cut = [min(size, share) for size in sizes]
    more = [min(size, share + 1) for size in sizes]

    assert sum(cut) <= budget
    assert cut == sizes or sum(more) > budget


def test_small_ones_keep_everything() -> None:
    """Only the largest give way."""
    assert fair_share([10, 20, 5000, 9000], budget=1030) == 500
