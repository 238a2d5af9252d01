# SPDX-License-Identifier: Apache-2.0
"""Evidence: what the values of units were found from, in a form that can be stored and shown."""

from collections.abc import Iterator, Sequence
from math import isfinite
from typing import Any

import numpy as np

from alarmd.cache.window import Window
from alarmd.evaluators.kernel.column import Column
from alarmd.evaluators.kernel.pass_time import PassTime
from alarmd.evaluators.kernel.passes import Pass
from alarmd.evaluators.kernel.statistics import Flags, Floats, Index
from alarmd.evaluators.kernel.unit import Unit
from alarmd.model.rule import MissingData

#: How many members that are missing are named.
_NAMED = 20
#: Of how many periods it is told; those behind are counted in the values only.
_PERIODS_TOLD = 20


def evidence_of(
    column: Column,
    places: Sequence[int],
    window: Window,
    pass_time: PassTime,
    *,
    wanted: int,
    missing: MissingData,
) -> list[dict[str, Any]]:
    """Return what the values at some places were found from; times are seconds since the epoch."""
    units = [column.unit(place) for place in places]
    told = [_nothing(unit, window, wanted) if not unit.members else {} for unit in units]
    having = np.array([number for number, unit in enumerate(units) if unit.members], np.intp)
    if not len(having):
        return told
    for one, index, numbers in column.seen(np.array(places, np.intp)[having], window.rings, pass_time):
        chosen = having[numbers].tolist()
        found = _found(
            column, (one, index), [units[n] for n in chosen], window, pass_time, wanted=wanted, missing=missing
        )
        for number, evidence in zip(chosen, found, strict=True):
            told[number] = evidence
    return told


def _nothing(unit: Unit, window: Window, wanted: int) -> dict[str, Any]:
    return {"watermark": None, "values": [None] * wanted, "periods": []} | _members(unit, window, set(), 0)


def _found(
    column: Column,
    at: tuple[Pass, Index],
    units: Sequence[Unit],
    window: Window,
    pass_time: PassTime,
    *,
    wanted: int,
    missing: MissingData,
) -> Iterator[dict[str, Any]]:
    """Yield it for units that have series and are at some places in a pass."""
    one, index = at
    found, why = one.looked[column].some(index)
    values = column.chosen(found, one.shift[index], pass_time, wanted=wanted, missing=missing).T.tolist()
    newest = int(column.method.complete_only and pass_time.is_aligned and column.periods > 1)
    remembered = one.heard.members(index, since_ms=column.memory_ms(pass_time)).tolist()
    watermark_ms = one.heard.watermark_ms[index].tolist()
    periods = _periods(column, at, pass_time, found, why)
    for number, (rank, unit) in enumerate(zip(index.tolist(), units, strict=True)):
        flags = one.counts.reporting_members(rank, newest).tolist()
        reporting = {member for member, reports in zip(unit.members, flags, strict=True) if reports}
        yield {
            "watermark": watermark_ms[number] / 1000,
            "values": [_number(value) for value in values[number]],
            "periods": periods[number],
        } | _members(unit, window, reporting, remembered[number])


def _periods(
    column: Column, at: tuple[Pass, Index], pass_time: PassTime, found: Floats, why: dict[str, Flags]
) -> list[list[dict[str, Any]]]:
    """Return, by unit, what each of the newest periods came to, newest first."""
    one, index = at
    told = min(column.periods, _PERIODS_TOLD)
    length_ms = pass_time.length_ms
    ends_ms = (
        [pass_time.grid_end_ms + 1] * found.shape[1] if pass_time.is_aligned else one.heard.watermark_ms[index].tolist()
    )
    values, count = found[:told].T.tolist(), one.counts.of_units(index, periods=told).T.tolist()
    reporting = one.counts.reporting(index, periods=told).T.tolist()
    flags = {reason: is_so[:told].T.tolist() for reason, is_so in why.items()}
    periods = []
    for number, end_ms in enumerate(ends_ms):
        of_unit = []
        for k in range(told):
            period = {
                "start": (end_ms - (k + 1) * length_ms) / 1000,
                "end": (end_ms - k * length_ms) / 1000,
                "value": _number(values[number][k]),
                "samples": int(count[number][k]),
                "reporting": int(reporting[number][k]),
            }
            for reason, is_so in flags.items():
                if is_so[number][k]:
                    period["passed_over"] = reason
                    break
            of_unit.append(period)
        periods.append(of_unit)
    return periods


def _members(unit: Unit, window: Window, reporting: set[int], remembered: int) -> dict[str, Any]:
    """Return how many members there are, and which of them are missing in the newest period that counts."""
    directory, selector = window.directory, unit.selector
    missing = {directory.get(number).resource.id for number in unit.members if number not in reporting}
    missing |= {
        resource_id
        for resource_id, metric in selector.any_of
        if directory.find(selector.project_id, resource_id, metric) is None
    }
    return {
        "members": {"known": len(unit.members), "remembered": remembered, "reporting": len(reporting)},
        "missing": {"count": len(missing), "resources": sorted(missing)[:_NAMED]},
    }


def _number(value: float) -> float | None:
    """Return a value as JSON can hold it."""
    return value if isfinite(value) else None
