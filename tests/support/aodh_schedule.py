# SPDX-License-Identifier: Apache-2.0
"""Time constraints as Aodh decides them: moment by moment, with croniter, on the clock on the wall."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from croniter import croniter


def is_open_in_aodh(constraints: Sequence[Mapping[str, Any]], at: datetime) -> bool:
    """Whether Aodh would evaluate an alarm with these constraints at a moment."""
    return not constraints or any(_holds(constraint, at) for constraint in constraints)


def _holds(constraint: Mapping[str, Any], at: datetime) -> bool:
    now = at.astimezone(_zone_of(constraint))
    previous = _neighbour(constraint["start"], now, back=True)
    # Aodh steps one back and one forth, to find the present moment too when it is one of the line's.
    following = _neighbour(constraint["start"], previous, back=False)
    if abs(_on_the_wall(now) - _on_the_wall(following)) < timedelta(seconds=60):
        return True
    passed = _on_the_wall(now) - _on_the_wall(previous)
    return timedelta(0) <= passed <= timedelta(seconds=constraint["duration"])


def clocks_are_odd(constraint: Mapping[str, Any], at: datetime) -> bool:
    """Whether the clock on the wall shows an hour that comes twice, or skips one within the minute."""
    zone = _zone_of(constraint)
    wall = _on_the_wall(at.astimezone(zone))
    return _is_odd(wall, zone) or _is_odd(wall + timedelta(seconds=60), zone)


def _neighbour(line: str, at: datetime, *, back: bool) -> datetime:
    found = croniter(line, at)
    moment: datetime = found.get_prev(datetime) if back else found.get_next(datetime)
    return moment


def _on_the_wall(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None, fold=0)


def _is_odd(wall: datetime, zone: tzinfo) -> bool:
    first, second = (wall.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    return first != second


def _zone_of(constraint: Mapping[str, Any]) -> tzinfo:
    return ZoneInfo(constraint["timezone"]) if constraint["timezone"] else UTC
