# SPDX-License-Identifier: Apache-2.0
"""A keeper of trusts that needs no Keystone."""

from itertools import count

from alarmd.alarms import TrustKeeper
from alarmd.model.caller import Caller


class MemoryTrusts:
    """Numbers the trusts that it makes, and remembers who gave them until they end. For one thread."""

    def __init__(self) -> None:
        #: The users who have given the trusts that stand, by the trusts' ids.
        self.givers: dict[str, str] = {}
        self._numbers = count(1)

    def create(self, caller: Caller) -> str:
        """Return the id of a new trust."""
        trust_id = f"trust-{next(self._numbers)}"
        self.givers[trust_id] = caller.user_id
        return trust_id

    def delete(self, trust_id: str, caller: Caller) -> None:
        """Forget a trust; one that is gone is fine."""
        del caller
        self.givers.pop(trust_id, None)


_CHECKED: type[TrustKeeper] = MemoryTrusts
