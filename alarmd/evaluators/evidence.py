# SPDX-License-Identifier: Apache-2.0
"""Evidence: what the values of one unit were found from, in a form that can be stored and shown."""

from typing import Any

import numpy as np

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
    column: Column, place: int, window: Window, moment: Moment, *, wanted: int, missing: MissingData
) -> dict[str, Any]:
    """Return what the values at a place were found from; times are seconds since the epoch."""
    unit = column.unit(place)
    if not unit.members:
        return {"watermark": None, "values": [None] * wanted, "periods": []} | _members(unit, window, set(), 0)
    one = column.read_alone(unit, window.rings, moment)
    found, why = column.found(one, slice(None), moment)
    values = column.chosen(found, one.shift, moment, wanted=wanted, missing=missing)[:, 0]
    newest = int(column.method.complete_only and moment.is_aligned and column.periods > 1)
    is_reporting = (one.findings.member_count[newest] > 0).tolist()
    reporting = {number for number, reports in zip(unit.members, is_reporting, strict=True) if reports}
    return {
        "watermark": int(one.watermark_ms[0]) / 1000,
        "values": [_number(value) for value in values],
        "periods": _periods(column, one, moment, found, why),
    } | _members(unit, window, reporting, int(one.members(column.memory_ms(moment))[0]))


def _periods(column: Column, one: Pass, moment: Moment, found: Floats, why: dict[str, Flags]) -> list[dict[str, Any]]:
    """Return what each of the newest periods came to, newest first."""
    end_ms = moment.grid_end_ms + 1 if moment.is_aligned else int(one.watermark_ms[0])
    count, reporting = one.findings.count, one.findings.reporting()
    periods = []
    for k in range(min(column.periods, _PERIODS_TOLD)):
        period = {
            "start": (end_ms - (k + 1) * moment.length_ms) / 1000,
            "end": (end_ms - k * moment.length_ms) / 1000,
            "value": _number(found[k, 0]),
            "samples": int(count[k, 0]),
            "reporting": int(reporting[k, 0]),
        }
        reasons = [reason for reason, flags in why.items() if flags[k, 0]]
        periods.append(period | ({"passed_over": reasons[0]} if reasons else {}))
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
    return float(value) if np.isfinite(value) else None
