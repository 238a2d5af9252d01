# SPDX-License-Identifier: Apache-2.0
"""Units: the distinct sets of series that rules read."""

from collections.abc import Iterable
from typing import Protocol

from alarmd.evaluators.kernel.few import Few, few
from alarmd.model.rule import Selector


class Reader(Protocol):
    """What reads a unit."""

    def touch(self, unit: "Unit") -> None:
        """Note that the unit's series have changed."""


class Unit:
    """One selector and the series that it means at the moment."""

    __slots__ = ("members", "places", "selector")

    def __init__(self, selector: Selector, members: Iterable[int]) -> None:
        self.selector = selector
        self.members: Few[int] = few(members)
        #: Where it is in the arrays of whatever reads it.
        self.places: dict[Reader, int] = {}

    def touch(self) -> None:
        """Tell all readers that the series have changed."""
        for reader in self.places:
            reader.touch(self)
