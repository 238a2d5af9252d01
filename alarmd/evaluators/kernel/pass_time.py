# SPDX-License-Identifier: Apache-2.0
"""When a pass is made, and where that lies among the periods that it reads."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Times: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PassTime:
    """When a pass is made, ms since the epoch, and what it is to know of periods besides."""

    now_ms: int
    lateness_ms: int
    is_aligned: bool
    length_ms: int

    @property
    def grid_end_ms(self) -> int:
        """The last millisecond of the aligned period that now lies in."""
        return (self.now_ms // self.length_ms + 1) * self.length_ms - 1

    def shift(self, watermark_ms: Times) -> Times:
        """Return how many whole periods have passed since the watermarks without anything."""
        if self.is_aligned:
            return np.zeros_like(watermark_ms)
        return np.maximum((self.now_ms - self.lateness_ms - watermark_ms) // self.length_ms, 0)
