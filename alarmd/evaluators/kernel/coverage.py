# SPDX-License-Identifier: Apache-2.0
"""Coverage: of how many of a unit's members there is fresh evidence, in every period that is judged."""

from collections.abc import Sequence
from itertools import chain
from typing import Final, NamedTuple

import numpy as np

from alarmd.cache.window import Window
from alarmd.evaluators.kernel.column import Column
from alarmd.evaluators.kernel.pass_time import PassTime
from alarmd.evaluators.kernel.passes import Pass
from alarmd.evaluators.kernel.statistics import Flags, Floats, Index
from alarmd.model.rule import MissingData, Statistic

#: What falls for want of samples: a member counts in a period only where that was seen as a whole.
_WANTS_ALL: Final = frozenset({Statistic.SUM, Statistic.COUNT})
#: The share of a member's usual number of samples that a period has which was seen as a whole.
_USUAL_SHARE: Final = 0.8


class Coverage(NamedTuple):
    """By unit: how many of its members have reported in each judged period, and how many there are."""

    reported: Index
    members: Index

    def is_enough(self, share: float) -> Flags:
        """Return of which units at least a share of the members has reported, and anybody at all."""
        # A share of 0.9 of 10 members is 9, whatever the last digit says.
        enough: Flags = (self.reported > 0) & (self.reported >= share * self.members - 1e-9)
        return enough


def coverage_of(
    column: Column,
    places: Sequence[int],
    window: Window,
    pass_time: PassTime,
    *,
    wanted: int,
    missing: MissingData,
) -> Coverage:
    """Return the coverage of the units at some places.

    Members are those of which something was heard lately and whose machines have not left. In a unit of which nothing
    was heard for a period and the lateness budget, nobody has reported.
    """
    units = [column.unit(place) for place in places]
    reported, members = np.zeros((2, len(units)), np.intp)
    having = np.array([number for number, unit in enumerate(units) if unit.members], np.intp)
    if len(having):
        seen = column.seen(np.array(places, np.intp)[having], window.rings, pass_time)
        for one, index, numbers in seen:
            chosen = having[numbers]
            series = np.fromiter(chain.from_iterable(units[number].members for number in chosen.tolist()), np.int32)
            reported[chosen], members[chosen] = _counted(
                column, (one, index), pass_time, ~window.roll.have_left(series), wanted=wanted, missing=missing
            )
    return Coverage(reported, members)


def _counted(
    column: Column, at: tuple[Pass, Index], pass_time: PassTime, stays: Flags, *, wanted: int, missing: MissingData
) -> tuple[Index, Index]:
    """Return, for some units of a pass, how many members have reported in all judged periods, and how many there are.

    `stays` says which of their members have not left.
    """
    one, index = at
    ranks, members = one.heard.ranks.some(index)
    watermark_ms = one.heard.watermark_ms[index]
    counts = stays & (one.heard.newest_ms[members] >= ranks.spread(watermark_ms - column.memory_ms(pass_time)))
    reports = _reports(column, one.counts.of_members(members, periods=column.periods)) & counts
    reporting = ranks.reduce(np.add, reports.astype(np.intp))
    judged, is_whole = _judged(column, at, pass_time, wanted=wanted, missing=missing)
    fewest = np.where(judged, reporting, np.iinfo(np.intp).max).min(axis=0)
    is_fresh = watermark_ms >= pass_time.now_ms - pass_time.length_ms - pass_time.lateness_ms
    return np.where(is_whole & is_fresh, fewest, 0), ranks.reduce(np.add, counts.astype(np.intp))


def _reports(column: Column, count: Floats) -> Flags:
    """Return which members have reported in which periods, from how many samples they have there; (P, M)."""
    reports: Flags = count > 0
    if column.method.over_time not in _WANTS_ALL:
        return reports
    usual = count.max(axis=0)
    # Whoever has reported before has not begun within the period.
    was_there = np.zeros(count.shape, np.bool_)
    was_there[:-1] = np.logical_or.accumulate(reports[:0:-1], axis=0)[::-1]
    is_full: Flags = count >= np.minimum(usual - 1, _USUAL_SHARE * usual)
    return np.asarray(reports & was_there & is_full, np.bool_)


def _judged(
    column: Column, at: tuple[Pass, Index], pass_time: PassTime, *, wanted: int, missing: MissingData
) -> tuple[Flags, Flags]:
    """Return which periods of some units are judged, (P, U), and in which units all have values that must have some."""
    one, index = at
    values, _ = one.looked[column].some(index)
    is_there = ~np.isnan(values)
    if missing is MissingData.MISSING:
        judged = is_there & (np.cumsum(is_there, axis=0) <= wanted)
        return judged, np.asarray(judged.any(axis=0))
    period = np.arange(len(values))[:, None]
    first = int(column.method.complete_only and pass_time.is_aligned)
    judged = np.broadcast_to((period >= first) & (period < first + wanted), values.shape)
    # What time has moved on leaves periods without anything in front.
    return judged, np.asarray((one.shift[index] == 0) & ((judged & is_there).sum(axis=0) == wanted))
