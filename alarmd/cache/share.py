# SPDX-License-Identifier: Apache-2.0
"""How a log that is too large is cut: the fullest shards give way first.

So a tenant that floods the log shortens the memory of its own shard, and not everybody's.
"""

from collections.abc import Iterable
from typing import Final

#: A log that has grown past its limit is cut to this part of it, so that the next append need not cut again.
TRIM_TO: Final = 0.95


def fair_share(sizes: Iterable[int], *, budget: int) -> int:
    """Return the size that each may keep at most, so that all together fit into the budget.

    Whoever is below that keeps everything, and what it leaves is shared out among the larger ones.
    """
    ascending = sorted(sizes)
    left = budget
    for index, size in enumerate(ascending):
        share = left // (len(ascending) - index)
        if size > share:
            return share
        left -= size
    return budget
