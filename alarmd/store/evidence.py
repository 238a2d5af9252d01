# SPDX-License-Identifier: Apache-2.0
"""Evidence within its bound: the history of an alarm must not outgrow what the alarm is about."""

from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from alarmd.store.columns import storable
from alarmd.store.json import to_json

#: How long the evidence of one transition may be, as JSON.
LONGEST: Final = 65_536
#: Where it is said what was left out.
OMITTED: Final = "omitted"
#: Kept free for saying so.
_FOR_THE_NOTE: Final = 4_096
#: How many members are named there, and how much of their names is told; of the others only the number.
_NAMED, _LONGEST_NAME = 10, 60


def bounded(evidence: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return evidence that is not longer than `LONGEST`.

    What is longer loses, member by member, what no longer fits: of lists and objects what stands behind, of others the
    member itself. ``omitted`` says how many parts each has lost.
    """
    if len(to_json(evidence)) <= LONGEST:
        return evidence
    evidence = storable(evidence)  # once, rather than part by part
    kept: dict[str, Any] = {}
    lost: dict[str, int] = {}
    room = LONGEST - _FOR_THE_NOTE
    for name, value in evidence.items():
        part, lost_here = _cut(value, room - _length(name))
        if part is not None or value is None:
            kept[name] = part
            room -= _length(name) + _length(part)
        if lost_here:
            lost[name[:_LONGEST_NAME]] = lost_here
    told = dict(islice(lost.items(), _NAMED))
    if len(lost) > len(told):
        told["…"] = len(lost) - len(told)
    return kept | {OMITTED: told}


def _cut(value: Any, room: int) -> tuple[Any, int]:
    """Return as much of a value as fits, None when nothing does; and how many parts of it do not."""
    if _length(value) <= room:
        return value, 0
    match value:
        case Mapping():
            fitting = _those_that_fit([{name: part} for name, part in value.items()], room)
            return ({name: part for one in fitting for name, part in one.items()} or None), len(value) - len(fitting)
        case list() | tuple():
            fitting = _those_that_fit(value, room)
            return (fitting or None), len(value) - len(fitting)
        case _:
            return None, 1


def _those_that_fit(parts: Any, room: int) -> list[Any]:
    fitting: list[Any] = []
    for part in parts:
        room -= _length(part)
        if room < 0:
            break
        fitting.append(part)
    return fitting


def _length(value: Any) -> int:
    """Return how long a value is as JSON, with what stands around it."""
    return len(to_json(value)) + len(",:")
