# SPDX-License-Identifier: Apache-2.0
"""Rendezvous hashing: every member works out alone, and alike, who owns which shard.

Each shard goes to the member that draws the highest number for it. So when a member comes or goes, only the shards
move that it takes or leaves.
"""

from collections.abc import Iterable
from hashlib import blake2b

from alarmd.model.shard import Shard


def owner_of(shard: Shard, members: Iterable[str]) -> str:
    """Return the member that owns a shard; the same whatever the order of the members. There must be one at least."""
    return max(members, key=lambda member: (_draw(member, shard), member))


def owned_by(member: str, *, members: Iterable[str], shards: Iterable[Shard]) -> frozenset[Shard]:
    """Return those of the shards that a member owns among the members, which it must be one of to own any."""
    everybody = frozenset(members)
    if member not in everybody:
        return frozenset()
    return frozenset(shard for shard in shards if owner_of(shard, everybody) == member)


def _draw(member: str, shard: Shard) -> bytes:
    return blake2b(f"{shard}/{member}".encode(), digest_size=8).digest()
