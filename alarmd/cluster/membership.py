# SPDX-License-Identifier: Apache-2.0
"""The seam of membership: which shards a worker is to work on.

Nothing depends on this being right. Two members that both believe to own a shard cost work, never a second
transition: state changes by compare-and-set in the database.
"""

from typing import Protocol

from alarmd.model.shard import Shard


class Membership(Protocol):
    """One worker's place among those who share out the shards."""

    def owned(self) -> frozenset[Shard]:
        """Return the shards that this member works on right now.

        Costs nothing, so it may be asked at every tick; never waits and never raises. The same object is returned
        as long as nothing has changed.
        """

    def close(self) -> None:
        """Leave, so that the others take over at once; nothing is owned from then on."""
