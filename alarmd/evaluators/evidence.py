# SPDX-License-Identifier: Apache-2.0
"""Evidence: what the values of units were found from, in a form that can be stored and shown."""

from collections.abc import Iterator, Sequence
from math import isfinite
from typing import Any

from alarmd.cache.window import Window
from alarmd.evaluators.column import Column
from alarmd.evaluators.statistics import Flags, Floats
from alarmd.evaluators.strip import Moment, Pass
from alarmd.evaluators.unit import Unit
from alarmd.model.rule import MissingData

#: How many members that are missing are named.
_NAMED = 20
#: Of how many periods it is told; those behind are counted in the values only.
_PERIODS_TOLD = 20


def evidence_of(
    column: Column, places: Sequence[int], window: Window, moment: Moment, *, wanted: int, missing: MissingData
) -> list[dict[str, Any]]:
    """Return what the values at some places were found from; times are seconds since the epoch."""
    units = [column.unit(place) for place in places]
    having = [unit for unit in units if unit.members]
    told = iter(_found(column, having, window, moment, wanted=wanted, missing=missing) if having else ())
    return [next(told) if unit.members else _nothing(unit, window, wanted) for unit in units]


def _nothing(unit: Unit, window: Window, wanted: int) -> dict[str, Any]:
    return {"watermark": None, "values": [None] * wanted, "periods": []} | _members(unit, window, set(), 0)


def _found(
    column: Column, units: Sequence[Unit], window: Window, moment: Moment, *, wanted: int, missing: MissingData
) -> Iterator[dict[str, Any]]:
    """Yield it for units that have series, all read at once."""
    one = column.read_alone(units, window.rings, moment)
    found, why = column.found(one, slice(None), moment)
    values = column.chosen(found, one.shift, moment, wanted=wanted, missing=missing).T.tolist()
    newest = int(column.method.complete_only and moment.is_aligned and column.periods > 1)
    is_reporting = (one.findings.member_count[newest] > 0).tolist()
    remembered = one.members(column.memory_ms(moment)).tolist()
    watermark_ms, starts = one.watermark_ms.tolist(), one.starts.tolist()
    periods = _periods(column, one, moment, found, why)
    for number, unit in enumerate(units):
        flags = is_reporting[starts[number] : starts[number] + len(unit.members)]
        reporting = {member for member, reports in zip(unit.members, flags, strict=True) if reports}
        yield {
            "watermark": watermark_ms[number] / 1000,
            "values": [_number(value) for value in values[number]],
            "periods": periods[number],
        } | _members(unit, window, reporting, remembered[number])


def _periods(
    column: Column, one: Pass, moment: Moment, found: Floats, why: dict[str, Flags]
) -> list[list[dict[str, Any]]]:
    """Return, by unit, what each of the newest periods came to, newest first."""
    told = min(column.periods, _PERIODS_TOLD)
    length_ms = moment.length_ms
    ends_ms = [moment.grid_end_ms + 1] * found.shape[1] if moment.is_aligned else one.watermark_ms.tolist()
    values, count = found[:told].T.tolist(), one.findings.count[:told].T.tolist()
    reporting = one.findings.reporting()[:told].T.tolist()
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
