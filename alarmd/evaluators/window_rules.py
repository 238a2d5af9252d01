# SPDX-License-Identifier: Apache-2.0
"""The rules over the window: of alarms and of leaves of composites, in cells over layers of units."""

from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alarmd.cache.window import Window
from alarmd.evaluators.cell import Cell, CellKey, LeafCell, Seat, Sight, rule_columns
from alarmd.evaluators.fresh_evidence import FreshEvidence
from alarmd.evaluators.kernel.coverage import Coverage
from alarmd.evaluators.kernel.layer import Layer
from alarmd.evaluators.kernel.look_back import periods_read
from alarmd.evaluators.kernel.method import Method
from alarmd.evaluators.kernel.newest import NOTHING, Newest, newest_of
from alarmd.evaluators.kernel.unit import Unit
from alarmd.evaluators.kernel.units import Units
from alarmd.evaluators.roster import Found
from alarmd.evaluators.verdicts.judging import Shape
from alarmd.model.alarm import AlarmId
from alarmd.model.rule import MissingData, WindowRule

#: For so many alarms a tick it is told in full what a change was found from; a storm of more would take too long.
_EVIDENCE_A_TICK = 1_000
_NO_EVIDENCE: Mapping[str, Any] = {}


class WindowRules:
    """All rules of a plan that read the window. Not safe for use by several threads."""

    def __init__(
        self, window: Window, *, lateness_s: float, member_memory_s: float, counts_results: bool = False
    ) -> None:
        self._window = window
        self._lateness_s = lateness_s
        self._counts_results = counts_results
        self._units = Units(window, lateness_s=lateness_s, member_memory_s=member_memory_s)
        self._cells: dict[tuple[Layer, CellKey], Cell] = {}
        self._leaf_cells: dict[tuple[Layer, CellKey], LeafCell] = {}
        #: Where each leaf is, by its slot; None where there is none. Slots are few more than leaves.
        self._leaf_cell_of: list[LeafCell | None] = []
        self._leaf_row_of: array[int] = array("i")
        self._evidence_left = 0
        #: What has been asked for since the last pass.
        self._newest: dict[Unit, Newest] = {}

    @property
    def cells(self) -> Iterator[Cell]:
        """Every cell of alarms."""
        return iter(self._cells.values())

    def add(self, alarm_id: AlarmId, rule: WindowRule, values: Mapping[str, Any]) -> tuple[Cell, int]:
        """Add an alarm; return its cell and row."""
        seat, unit = self._join(rule)
        cell = self._cells.get((seat.layer, seat.key))
        if cell is None:
            cell = self._cells[seat.layer, seat.key] = Cell(seat, counts_results=self._counts_results)
        return cell, cell.roster.add(alarm_id, {**values, **rule_columns(rule, unit=unit)})

    def drop(self, cell: Cell, row: int) -> AlarmId | None:
        """Remove an alarm from its row; return the alarm that has moved into this row, if one has."""
        self._leave(cell.seat, cell.unit(row))
        moved = cell.roster.drop(row)
        if not len(cell.roster):
            del self._cells[cell.seat.layer, cell.seat.key]
        return moved

    def add_leaf(self, slot: int, rule: WindowRule) -> None:
        """Add a leaf of a composite, by its slot."""
        seat, unit = self._join(rule)
        cell = self._leaf_cells.get((seat.layer, seat.key))
        if cell is None:
            cell = self._leaf_cells[seat.layer, seat.key] = LeafCell(seat)
        self._seat_leaf(slot, cell, cell.add(slot, rule_columns(rule, unit=unit)))

    def drop_leaf(self, slot: int) -> None:
        """Remove a leaf, if it is there."""
        if slot >= len(self._leaf_cell_of) or self._leaf_cell_of[slot] is None:
            return
        cell, row = self._leaf(slot)
        self._leaf_cell_of[slot] = None
        self._leave(cell.seat, cell.unit(row))
        moved = cell.drop(row)
        if moved is not None:
            self._leaf_row_of[moved] = row
        if not len(cell):
            del self._leaf_cells[cell.seat.layer, cell.seat.key]

    def compute(self, *, now: datetime) -> None:
        """Bring everything up to the window as it is now."""
        self._evidence_left = _EVIDENCE_A_TICK
        self._newest.clear()
        self._units.compute(now_ms=round(now.timestamp() * 1000))

    def find(self, fresh: FreshEvidence, *, now: datetime, watched_s: float) -> list[Found]:
        """Return the alarms of which something is to be said; it has been watched for so long."""
        found: list[Found] = []
        for cell in self._cells.values():
            found += cell.find(self._sight(cell.seat, watched_s), fresh, now_ms=now.timestamp() * 1000)
        return found

    def fill_leaves(
        self, into: NDArray[np.int8], blind: NDArray[np.bool_], states: NDArray[np.int8], *, watched_s: float
    ) -> None:
        """Put the outcome of each leaf into its slot; `states` are those of the leaves (`Composites.leaf_states`)."""
        for cell in self._leaf_cells.values():
            cell.fill(into, blind, states, self._sight(cell.seat, watched_s))

    def coverage(self, cell: Cell, row: int) -> Coverage:
        """Return of how many members there is fresh evidence for the alarm in a row, alone in what is returned."""
        return _coverage(cell.seat, [cell.unit(row)])

    def leaf_coverage(self, slots: Sequence[int]) -> Coverage:
        """Return of how many members there is fresh evidence for leaves."""
        reported, members = np.zeros((2, len(slots)), np.intp)
        by_cell: dict[LeafCell, list[int]] = {}
        for at, slot in enumerate(slots):
            by_cell.setdefault(self._leaf(slot)[0], []).append(at)
        for cell, places in by_cell.items():
            found = _coverage(cell.seat, [cell.unit(self._leaf(slots[at])[1]) for at in places])
            reported[places], members[places] = found
        return Coverage(reported, members)

    def leaf_evidence(self, slots: Iterable[int]) -> dict[int, Mapping[str, Any]]:
        """Return what the outcomes of leaves were found from."""
        by_cell: dict[LeafCell, list[int]] = {}
        for slot in slots:
            by_cell.setdefault(self._leaf(slot)[0], []).append(slot)
        found: dict[int, Mapping[str, Any]] = {}
        for cell, of_cell in by_cell.items():
            units = [cell.unit(self._leaf(slot)[1]) for slot in of_cell]
            found.update(zip(of_cell, self._evidence(cell.seat, units), strict=True))
        return found

    def series_of(self, cell: Cell, row: int) -> Collection[int]:
        """Return the series that the alarm in a row reads."""
        layer, key, _ = cell.seat
        return layer.unit(cell.unit(row), key.method, key.periods).members

    def newest(self, cell: Cell, row: int) -> Newest:
        """Return the newest sample that the alarm in a row reads."""
        return self._newest_of(cell.seat, cell.unit(row))

    def newest_of_leaves(self, slots: Iterable[int]) -> Newest:
        """Return the newest sample that any of some leaves reads."""
        seated = [self._leaf(slot) for slot in slots]
        return max((self._newest_of(cell.seat, cell.unit(row)) for cell, row in seated), default=NOTHING)

    def _leaf(self, slot: int) -> tuple[LeafCell, int]:
        """Return the cell and the row of a leaf, which must be there."""
        cell = self._leaf_cell_of[slot]
        if cell is None:
            raise KeyError(slot)
        return cell, self._leaf_row_of[slot]

    def _seat_leaf(self, slot: int, cell: LeafCell, row: int) -> None:
        more = slot + 1 - len(self._leaf_cell_of)
        if more > 0:
            self._leaf_cell_of += [None] * more
            self._leaf_row_of.extend([0] * more)
        self._leaf_cell_of[slot] = cell
        self._leaf_row_of[slot] = row

    def _newest_of(self, seat: Seat, place: int) -> Newest:
        unit = seat.layer.unit(place, seat.key.method, seat.key.periods)
        if len(unit.members) < 2:
            # Quick to find again, and there may be very many.
            return newest_of(unit, self._window)
        newest = self._newest.get(unit)
        if newest is None:
            newest = self._newest[unit] = newest_of(unit, self._window)
        return newest

    def _join(self, rule: WindowRule) -> tuple[Seat, int]:
        periods = periods_read(rule, lateness_s=self._lateness_s)
        layer, unit = self._units.join(rule.reading, periods=periods)
        return Seat(layer, CellKey(Method.of(rule.reading), periods, Shape.of(rule.judgement)), rule.reading), unit

    def _leave(self, seat: Seat, unit: int) -> None:
        self._units.leave(seat.layer, unit, seat.reading, periods=seat.key.periods)

    def _sight(self, seat: Seat, watched_s: float) -> Sight:
        layer, (method, periods, shape), _ = seat
        # What has not held long enough only waits; but where missing data counts, all of it must have been watched for.
        judged = shape.evaluation_periods if shape.missing is MissingData.MISSING else shape.reach
        # Where periods stand on a grid, the one that has begun comes on top.
        patience_s = layer.period_s * (judged + layer.is_aligned) + self._lateness_s
        return Sight(
            points=layer.points(method, periods=periods, wanted=shape.reach, missing=shape.missing),
            evidence=lambda units: self._evidence(seat, units),
            coverage=lambda units: _coverage(seat, units),
            believe_silence=watched_s > patience_s,
        )

    def _evidence(self, seat: Seat, units: Sequence[int]) -> list[Mapping[str, Any]]:
        distinct = list(dict.fromkeys(units))[: self._evidence_left]
        self._evidence_left -= len(distinct)
        if not distinct:
            return [_NO_EVIDENCE] * len(units)
        layer, (method, periods, shape), _ = seat
        told = layer.evidence(distinct, method, periods=periods, wanted=shape.reach, missing=shape.missing)
        found: dict[int, Mapping[str, Any]] = dict(zip(distinct, told, strict=True))
        return [found.get(unit, _NO_EVIDENCE) for unit in units]


def _coverage(seat: Seat, units: Sequence[int]) -> Coverage:
    """Return of how many members of units there is fresh evidence; each is looked at once."""
    layer, (method, periods, shape), _ = seat
    distinct, at = np.unique(np.array(units, np.intp), return_inverse=True)
    found = layer.coverage(distinct.tolist(), method, periods=periods, wanted=shape.reach, missing=shape.missing)
    return Coverage(found.reported[at], found.members[at])
