# SPDX-License-Identifier: Apache-2.0
"""Which trace brought the newest sample of each series: for the few of which something is to be said."""

import numpy as np
from numpy.typing import NDArray

from alarmd.cache.rings import Numbers

#: How many traces are remembered, a hundred bytes each. A trace is a poll of a host, or a push.
_KEPT = 65_536
#: Where counting starts anew: four bytes a series are enough.
_LAST = 2**31 - 1
_NONE = 0


class Traces:
    """The traces of the newest samples; of series whose newest sample came long ago nothing is known."""

    def __init__(self) -> None:
        #: Number of the trace, by series; empty as long as nobody traces anything.
        self._number_of: NDArray[np.int32] = np.zeros(0, np.int32)
        self._traces: dict[int, str] = {}
        self._number = _NONE
        self._latest = ""

    def note(self, series: Numbers, traceparent: str, *, capacity: int) -> None:
        """Note what has brought the newest samples of series, whose numbers are all below `capacity`."""
        if not traceparent:
            if self._traces:
                self._number_of[series[series < len(self._number_of)]] = _NONE
            return
        if traceparent != self._latest:
            self._begin(traceparent)
        if len(self._number_of) < capacity:
            grown = np.zeros(capacity, np.int32)
            grown[: len(self._number_of)] = self._number_of
            self._number_of = grown
        self._number_of[series] = self._number

    def of(self, series: int) -> str:
        """Return the `traceparent` of a series' newest sample; empty when it has none, or none that is known still."""
        if series >= len(self._number_of):
            return ""
        return self._traces.get(int(self._number_of[series]), "")

    def _begin(self, traceparent: str) -> None:
        if self._number == _LAST:
            self._number, self._traces = _NONE, {}
            self._number_of[:] = _NONE
        self._number += 1
        self._latest = self._traces[self._number] = traceparent
        self._traces.pop(self._number - _KEPT, None)
