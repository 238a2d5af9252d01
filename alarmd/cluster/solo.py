# SPDX-License-Identifier: Apache-2.0
"""Membership without anybody to ask: the workers of one host share out the shards by their number."""

from alarmd.model.shard import SHARD_COUNT, Shard


class SoloMembership:
    """Worker `index` of `count`, counted from zero. With more workers than shards the last ones own none."""

    def __init__(self, *, index: int, count: int) -> None:
        if not 0 <= index < count:
            raise ValueError(f"there is no worker {index} among {count}")
        self._owned = frozenset(Shard(number) for number in range(index, SHARD_COUNT, count))

    def owned(self) -> frozenset[Shard]:
        return self._owned

    def close(self) -> None:
        self._owned = frozenset()
