# SPDX-License-Identifier: Apache-2.0
"""Shards: the unit in which samples and alarms are shared out among evaluator workers.

A shard is chosen by project, so everything an alarm reads lies in the shard the alarm itself lies in.
"""

from typing import NewType
from zlib import crc32

Shard = NewType("Shard", int)

#: How many shards there are. Fixed for the life of a deployment: it is baked into stored alarms and logged samples.
SHARD_COUNT = 64


def shard_of(project_id: str) -> Shard:
    """Return the shard of a project. Stable over processes, machines and releases."""
    return Shard(crc32(project_id.encode()) % SHARD_COUNT)


def all_shards() -> frozenset[Shard]:
    """Return every shard."""
    return frozenset(Shard(number) for number in range(SHARD_COUNT))
