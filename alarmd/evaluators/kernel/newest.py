# SPDX-License-Identifier: Apache-2.0
"""The newest sample that a rule has read: when it was taken, and which trace brought it."""

from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from alarmd.cache.rings import NEVER_MS
from alarmd.cache.window import Window
from alarmd.evaluators.kernel.unit import Unit


class Newest(NamedTuple):
    """The newest of some samples; the later of two compares as the greater."""

    time_ms: int
    #: W3C `traceparent`; empty when nobody gave one.
    traceparent: str

    @property
    def taken_at(self) -> datetime | None:
        """When it was taken; None when there is no sample at all."""
        return None if self.time_ms == NEVER_MS else datetime.fromtimestamp(self.time_ms / 1000, UTC)


#: There is no sample.
NOTHING = Newest(NEVER_MS, "")


def newest_of(unit: Unit, window: Window) -> Newest:
    """Return the newest sample of a unit's series."""
    if not unit.members:
        return NOTHING
    newest_ms = window.rings.newest_ms
    if len(unit.members) == 1:
        (latest,) = unit.members
    else:
        members = np.fromiter(unit.members, np.intp, len(unit.members))
        latest = int(members[newest_ms[members].argmax()])
    return Newest(int(newest_ms[latest]), window.traces.of(latest))
