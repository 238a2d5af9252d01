# SPDX-License-Identifier: Apache-2.0
"""Units: the distinct sets of series that rules read."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from alarmd.evaluators.kernel.few import Few, few
from alarmd.model.rule import Selector


class Reader(Protocol):
    """What reads a unit."""

    def touch(self, unit: "Unit") -> None:
        """Note that the unit's series have changed."""


class Unit:
    """One selector and the series that it means at the moment, and where it is in the arrays of those who read it.

    There are very many, and most have one reader: it is kept apart from the others, for whom there is a dict.
    """

    __slots__ = ("_others", "_place", "_reader", "members", "selector")

    def __init__(self, selector: Selector, members: Iterable[int]) -> None:
        self.selector = selector
        self.members: Few[int] = few(members)
        self._reader: Reader | None = None
        self._place = -1
        self._others: dict[Reader, int] | None = None

    @property
    def is_read(self) -> bool:
        """Whether anybody reads it."""
        return self._reader is not None or bool(self._others)

    def place(self, reader: Reader) -> int | None:
        """Return where it is in a reader's arrays; None when it is not read there."""
        if reader is self._reader:
            return self._place
        return None if self._others is None else self._others.get(reader)

    def places(self) -> Iterator[tuple[Reader, int]]:
        """Yield all readers, and where it is in their arrays."""
        if self._reader is not None:
            yield self._reader, self._place
        if self._others is not None:
            yield from self._others.items()

    def seat(self, reader: Reader, place: int) -> None:
        """Note a new reader, and where it is in its arrays."""
        if self._reader is None:
            self._reader, self._place = reader, place
        elif self._others is None:
            self._others = {reader: place}
        else:
            self._others[reader] = place

    def unseat(self, reader: Reader) -> None:
        """Forget a reader."""
        if reader is self._reader:
            self._reader, self._place = None, -1
        elif self._others is not None:
            del self._others[reader]
            self._others = self._others or None

    def touch(self) -> None:
        """Tell all readers that the series have changed."""
        for reader, _ in self.places():
            reader.touch(self)
