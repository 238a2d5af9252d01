# SPDX-License-Identifier: Apache-2.0
"""What goes where in the log, and who gives way when it is full. The rest is told by the contract of the engines."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from alarmd.cache.mixed import ALL_SHARDS, MIXED, PARTITIONS, Excerpts, Mask, Partition, mask_of, parts_of, shares
from alarmd.model.samples import Batch
from alarmd.model.shard import SHARD_COUNT, Shard
from tests.support.batches import a_uniform_batch, project_in


def _batch(shards: list[int]) -> Batch:
    return a_uniform_batch(projects=[project_in(shard) for shard in shards])


@given(shards=st.sets(st.integers(0, SHARD_COUNT - 1), min_size=1))
def test_batch_goes_where_its_shards_are(shards: set[int]) -> None:
    """A batch of few shards is cut into one part each; one of many goes whole, with all their names."""
    parts = list(parts_of(_batch(sorted(shards))))
    followed = {part.partition for part in parts}

    if len(shards) <= 4:
        assert shards == followed
        assert {0} == {part.shards for part in parts}
    else:
        assert {MIXED} == followed
        assert mask_of(Shard(shard) for shard in shards) == parts[0].shards


@given(
    sizes=st.dictionaries(st.sampled_from(PARTITIONS), st.integers(0, 1_000_000), min_size=1),
    budget=st.integers(0, 10_000_000),
)
def test_all_fit_into_the_budget(sizes: dict[Partition, int], budget: int) -> None:
    """Cut to their shares, all fit; and a mixed entry has as large a share as all shards have together."""
    cut = shares({Partition(0): 0, MIXED: 0} | sizes, budget=budget)

    assert sum(min(size, cut[one]) for one, size in sizes.items()) <= budget
    assert cut[Partition(0)] * SHARD_COUNT == cut[MIXED]


def test_who_fills_a_shard_alone_gives_way_first() -> None:
    """Mixed entries stay as long as a shard holds more than what each has of them."""
    cut = shares({Partition(7): 800, MIXED: 640, Partition(9): 5}, budget=1000)

    assert cut[MIXED] >= 640
    assert cut[Partition(7)] == 355
    assert cut[Partition(9)] >= 5


def test_excerpts_are_forgotten_when_there_are_too_many() -> None:
    """Only as many are remembered as may be, the last ones; forgotten ones are made anew."""
    excerpts = Excerpts(max_resources=20)
    batches = [_batch(list(range(10))) for _ in range(3)]
    wanted = mask_of([Shard(2), Shard(5)])

    def picked(number: int) -> object:
        entry = excerpts.entry(MIXED, "1", batches[number], wanted)
        assert entry is not None
        assert entry.batch.values.tolist() == [[1.0], [1.0]]
        return entry.batch.resources

    first = picked(0)
    again, second = picked(0), picked(1)
    picked(2)
    later, anew = picked(1), picked(0)

    assert first is again
    assert second is later
    assert first == anew
    assert first is not anew


def test_reader_of_all_in_a_batch_gets_it_as_it_is() -> None:
    """No rows are copied where all are wanted."""
    excerpts = Excerpts(max_resources=20)
    batch = _batch(list(range(10)))
    for wanted in (ALL_SHARDS, mask_of(Shard(number) for number in range(10))):
        entry = excerpts.entry(MIXED, "1", batch, wanted)

        assert entry is not None
        assert np.shares_memory(batch.values, entry.batch.values)
    assert excerpts.entry(MIXED, "1", batch, Mask(1 << 60)) is None
