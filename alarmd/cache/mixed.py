# SPDX-License-Identifier: Apache-2.0
"""Mixed entries: a batch of many shards stands in the log once, and each reader gets the rows of its shards (ADR 0018).

The log is kept in 65 partitions: one a shard, and one more for mixed entries. A reader follows the partitions of its
shards and the mixed one. Both engines ask here what goes where, who gets what of it, and who gives way when the log is
full.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from threading import Lock
from typing import Final, NewType, TypeVar

import numpy as np
from numpy.typing import NDArray

from alarmd.cache.log import Entry, Position
from alarmd.cache.share import fair_share
from alarmd.model.samples import Batch, Resource
from alarmd.model.shard import SHARD_COUNT, Shard, all_shards, shard_of

#: Where an entry stands: the number of its shard, or `MIXED`.
Partition = NewType("Partition", int)
#: A set of shards: bit n stands for shard n.
Mask = NewType("Mask", int)

#: How an engine numbers what stands in a partition.
_Place = TypeVar("_Place", int, tuple[int, int])

#: The partition of mixed entries.
MIXED: Final = Partition(SHARD_COUNT)
#: In order.
PARTITIONS: Final = tuple(Partition(number) for number in range(SHARD_COUNT + 1))
NO_SHARDS: Final = Mask(0)
ALL_SHARDS: Final = Mask((1 << SHARD_COUNT) - 1)

#: A batch of more shards than this is stored whole. An entry costs about what fifty values do to store, read and take,
#: so few parts of a batch are dearer than one, but spare those who follow one of the shards all the others.
_MOST_PARTS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What of a batch goes into one partition."""

    partition: Partition
    #: The shards that a mixed part is of; none for others, whose partition says it.
    shards: Mask
    batch: Batch


def mask_of(shards: Iterable[Shard]) -> Mask:
    """Return a set of shards as a mask."""
    mask = 0
    for shard in shards:
        mask |= 1 << shard
    return Mask(mask)


@lru_cache(maxsize=1024)
def shards_of(mask: Mask) -> frozenset[Shard]:
    """Return a mask as a set of shards."""
    return frozenset(shard for shard in all_shards() if mask >> shard & 1)


def parts_of(batch: Batch) -> Iterator[Part]:
    """Yield what of a batch goes into which partition: a part a shard, or all of it into the mixed one."""
    if not batch.resources:
        # A roll call is for everybody.
        yield Part(partition=MIXED, shards=ALL_SHARDS, batch=batch)
        return
    shards = {shard_of(resource.project_id) for resource in batch.resources}
    if len(shards) > _MOST_PARTS:
        yield Part(partition=MIXED, shards=mask_of(shards), batch=batch)
        return
    for shard, part in batch.by_shard():
        yield Part(partition=Partition(shard), shards=NO_SHARDS, batch=part)


def followers_at(stands: Mapping[Shard, _Place]) -> Callable[[_Place], Mask]:
    """Return who is still to see a mixed entry, by the place where it stands: those shards that stand before it."""
    by_stand: dict[_Place, list[Shard]] = {}
    for shard, stand in stands.items():
        by_stand.setdefault(stand, []).append(shard)
    masks = [(stand, mask_of(shards)) for stand, shards in by_stand.items()]
    if len(masks) == 1:
        ((first, all_of_them),) = masks
        return lambda place: all_of_them if place > first else NO_SHARDS
    return lambda place: Mask(sum(mask for stand, mask in masks if place > stand))


def shares(sizes: Mapping[Partition, int], *, budget: int) -> dict[Partition, int]:
    """Return what each partition may keep of a log that is too large.

    Mixed entries count as if they were shared out among all shards. So they give way only once a shard by itself is no
    larger than its part of them.
    """
    own = [size for partition, size in sizes.items() if partition != MIXED]
    mixed = -(-sizes.get(MIXED, 0) // SHARD_COUNT)
    share = fair_share([*own, *[mixed] * SHARD_COUNT], budget=budget)
    return {partition: share * SHARD_COUNT if partition == MIXED else share for partition in sizes}


@dataclass(frozen=True, slots=True)
class _Excerpt:
    """Which resources of a tuple lie in some shards."""

    #: Held so that its `id` stays taken.
    source: tuple[Resource, ...]
    rows: NDArray[np.intp]
    resources: tuple[Resource, ...]


class Excerpts:
    """Makes entries for a reader, mixed ones with the rows of its shards only. Safe to use from several threads.

    What was picked of a tuple of resources is remembered, so that the very same tuple comes again with the next batch.
    """

    def __init__(self, *, max_resources: int) -> None:
        """Remember excerpts from tuples that hold up to `max_resources` together, least recently used first out."""
        self._limit = max_resources
        self._held = 0
        self._known: OrderedDict[tuple[int, Mask], _Excerpt] = OrderedDict()
        self._lock = Lock()

    def entry(self, partition: Partition, position: str, batch: Batch, wanted: Mask) -> Entry | None:
        """Return an entry as it is for who wants these shards; None when nothing in it is."""
        if partition != MIXED:
            return Entry(shards=shards_of(Mask(1 << partition)), position=Position(position), batch=batch)
        if wanted != ALL_SHARDS and batch.resources:
            excerpt = self._excerpt(batch.resources, wanted)
            if not excerpt.resources:
                return None
            if excerpt.resources is not batch.resources:
                batch = replace(
                    batch,
                    resources=excerpt.resources,
                    values=batch.values[excerpt.rows],
                    expected=len(excerpt.resources),
                )
        return Entry(shards=shards_of(wanted), position=Position(position), batch=batch)

    def _excerpt(self, resources: tuple[Resource, ...], wanted: Mask) -> _Excerpt:
        key = id(resources), wanted
        with self._lock:
            found = self._known.get(key)
            if found is not None:
                self._known.move_to_end(key)
                return found
        made = _made(resources, wanted)
        with self._lock:
            # Another thread may have picked the same meanwhile; then both use the first.
            known = self._known.setdefault(key, made)
            if known is made:
                self._held += len(resources)
            while self._held > self._limit and len(self._known) > 1:
                _, dropped = self._known.popitem(last=False)
                self._held -= len(dropped.source)
            return known


def _made(resources: tuple[Resource, ...], wanted: Mask) -> _Excerpt:
    rows = [row for row, one in enumerate(resources) if wanted >> shard_of(one.project_id) & 1]
    picked = resources if len(rows) == len(resources) else tuple(resources[row] for row in rows)
    return _Excerpt(resources, np.array(rows, np.intp), picked)
