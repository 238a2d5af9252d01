# SPDX-License-Identifier: Apache-2.0
"""Columns: a table as arrays whose rows are added at the end, and whose gaps the last row fills."""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Key = TypeVar("Key")


def grown(array: NDArray[Any], size: int) -> NDArray[Any]:
    """Return an array with more rows, of zeros."""
    longer = np.zeros(size, array.dtype)
    longer[: len(array)] = array
    return longer


class Columns(Generic[Key]):
    """Arrays of one length, a key for each row. Rows move when others go, so nobody keeps their numbers but by key."""

    def __init__(self, kinds: Mapping[str, type[np.generic]]) -> None:
        self.keys: list[Key] = []
        self._arrays: dict[str, NDArray[Any]] = {name: np.zeros(0, kind) for name, kind in kinds.items()}
        self._size = 0

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return a column; it may be longer than there are rows."""
        return self._arrays[name]

    def add(self, key: Key, values: Mapping[str, Any]) -> int:
        """Add a row, 0 where no value is given; return its number."""
        row = len(self.keys)
        if row == self._size:
            self._size = max(row * 9 // 8, row + 16)
            self._arrays = {name: grown(array, self._size) for name, array in self._arrays.items()}
        self.keys.append(key)
        for name, array in self._arrays.items():
            array[row] = values.get(name, 0)
        return row

    def drop(self, row: int) -> Key | None:
        """Remove a row; return the key of the row that has moved into its place, if one has."""
        last = len(self.keys) - 1
        moved = self.keys.pop()
        if row == last:
            return None
        self.keys[row] = moved
        for array in self._arrays.values():
            array[row] = array[last]
        return moved
