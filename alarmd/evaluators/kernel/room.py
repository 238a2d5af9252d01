# SPDX-License-Identifier: Apache-2.0
"""Rooms: memory for tables that are written in no order, one after the other."""

import mmap
from math import prod

import numpy as np

from alarmd.evaluators.kernel.statistics import Floats

#: Large pages are of this size. Most of what it costs to write here and there is to find out where a small page is.
_PAGE = 2 << 20
#: Room for so much more is made than is asked for, so that a few more members make no difference.
_SPARE = 16


class Room:
    """Memory for one table at a time: who asks for another one overwrites the one before."""

    def __init__(self) -> None:
        self._held: Floats = np.empty(0)

    def table(self, *shape: int) -> Floats:
        """Return a table with anything in it."""
        size = prod(shape)
        if size * 8 < _PAGE:
            return np.empty(shape)
        if not size <= len(self._held) <= 2 * size:
            self._held = _large(size + size // _SPARE)
        return self._held[:size].reshape(shape)


def _large(size: int) -> Floats:
    """Return so many numbers in large pages, where the system has them."""
    mapped = mmap.mmap(-1, size * 8 + _PAGE)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        mapped.madvise(mmap.MADV_HUGEPAGE)
    numbers: Floats = np.frombuffer(mapped, np.float64)
    start = -numbers.ctypes.data % _PAGE // 8
    return numbers[start : start + size]
