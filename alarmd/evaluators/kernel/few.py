# SPDX-License-Identifier: Apache-2.0
"""Few: sets in the order of joining, of which there are very many, and most hold one thing.

A tuple of one takes a fifth of the memory of a dict of one; with the second it becomes a dict.
"""

from collections.abc import Iterable
from typing import TypeAlias, TypeVar

_T = TypeVar("_T")
#: A tuple holds one at most. What is returned by `joined` and `parted` takes its place.
Few: TypeAlias = tuple[_T, ...] | dict[_T, None]


def few(things: Iterable[_T]) -> Few[_T]:
    """Return a set of things."""
    held = dict.fromkeys(things)
    return held if len(held) > 1 else tuple(held)


def joined(held: Few[_T], one: _T) -> Few[_T]:
    """Return the set with one thing in it."""
    if one in held:
        return held
    if not held:
        return (one,)
    held = held if isinstance(held, dict) else dict.fromkeys(held)
    held[one] = None
    return held


def parted(held: Few[_T], one: _T) -> Few[_T]:
    """Return the set without one thing."""
    if isinstance(held, tuple):
        return () if one in held else held
    held.pop(one, None)
    return held
