# SPDX-License-Identifier: Apache-2.0
"""Lengths of time as people write them: 90s, 15m, 12h, 30d, 4w."""

import re
from datetime import timedelta

import click

from alarmd.clock import SystemClock

_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_DURATION = re.compile(r"([0-9]{1,9})([smhdw])")
#: A hundred years, as with settings: what is longer is meant as "for ever".
_LONGEST_S = 100 * 365 * 86400


def seconds_of(text: str) -> int | None:
    """Return how many seconds a text means; None when it is no length of time, or too long a one."""
    parts = _DURATION.fullmatch(text)
    seconds = int(parts[1]) * _UNIT_S[parts[2]] if parts else None
    return None if seconds is None or seconds > _LONGEST_S else seconds


def duration(_context: click.Context, _option: click.Parameter, given: str | None) -> timedelta | None:
    """Return the length of time that an option names; a callback."""
    return None if given is None else _length(given, least_s=1)


def duration_or_none_at_all(_context: click.Context, _option: click.Parameter, given: str | None) -> timedelta | None:
    """Return the length of time that an option names, which may be 0s; a callback."""
    return None if given is None else _length(given, least_s=0)


def moment(_context: click.Context, _option: click.Parameter, given: str | None) -> str | None:
    """Return the moment that an option names: as it is written, or so long ago; a callback."""
    seconds = None if given is None else seconds_of(given)
    return given if seconds is None else (SystemClock().now() - timedelta(seconds=seconds)).isoformat()


def _length(given: str, *, least_s: int) -> timedelta:
    seconds = seconds_of(given)
    if seconds is None or seconds < least_s:
        raise click.BadParameter(
            f"{given!r} is no duration; write e.g. 90s, 15m, 12h, 30d or 4w, a hundred years at most."
        )
    return timedelta(seconds=seconds)
