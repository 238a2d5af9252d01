# SPDX-License-Identifier: Apache-2.0
"""Time constraints: when an alarm is evaluated at all.

A constraint is a window on a clock on the wall of its zone: it opens a minute before each moment of its cron line and
closes when its duration has passed on that clock. Where clocks are put forward, a line that names hours finds what was
skipped at the end of the gap, and any other leaves it out; where they are put back, both passes are alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from alarmd.complaints import complaint, in_words, invalid
from alarmd.errors import InvalidInput
from alarmd.evaluators.families.rule_body import Whole
from alarmd.evaluators.schedules.cron import CronLine
from alarmd.store.columns import is_storable

#: More than anybody writes; bounds what a look costs.
_MOST_CONSTRAINTS = 100
#: A hundred years: what is added to a moment has to stay in the calendar.
_LONGEST_S = 100 * 365 * 86400
#: So long before a moment of the line the window is open already: Aodh compares to the minute.
_LEAD = timedelta(seconds=60)
#: The least that moments differ by: windows are open up to their end and including it.
_TICK = timedelta(microseconds=1)
#: The longest that nobody looks. No zone changes its clocks twice in that time.
_LONGEST_LOOK = timedelta(days=1)

_FIELD = "time_constraints"


def _readable(line: str) -> str:
    _line_of(line)
    return line


def _known(zone: str) -> str:
    try:
        _zone_of(zone)
    except InvalidInput as error:
        raise in_words(error.message) from error
    return zone


class _ConstraintBody(BaseModel):
    """A time constraint on the wire, its keys in Aodh's order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(max_length=255)
    description: str | None = None
    start: Annotated[str, AfterValidator(_readable)]
    duration: Whole = Field(ge=0, le=_LONGEST_S)
    timezone: Annotated[str, BeforeValidator(lambda value: "" if value is None else value), AfterValidator(_known)] = ""


def normalise_constraints(constraints: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """Return time constraints complete and in wire form, every default filled in.

    Raises `InvalidInput` in Aodh's words.
    """
    if len(constraints) > _MOST_CONSTRAINTS:
        raise invalid(_FIELD, f"{len(constraints)} of them", f"Value should have at most {_MOST_CONSTRAINTS} items")
    if not is_storable(constraints):
        raise invalid(_FIELD, list(constraints), "Value should be text without NUL and without half surrogate pairs.")
    normalised = tuple(_normalised(constraint) for constraint in constraints)
    if len({constraint["name"] for constraint in normalised}) < len(normalised):
        raise InvalidInput("Time constraint names must be unique for a given alarm.", field=_FIELD)
    return normalised


def _normalised(constraint: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        body = _ConstraintBody.model_validate(constraint)
    except ValidationError as error:
        raise complaint(error, argument=f"data.{_FIELD}") from error
    derived = f"Time constraint at {body.start} lasting for {body.duration} seconds"
    return body.model_dump() | {"description": body.description or derived}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """One time constraint."""

    line: CronLine
    length: timedelta
    zone: tzinfo

    def is_open(self, at: datetime) -> bool:
        wall = _wall(at, self.zone)
        end = self._latest_end(wall)
        return end is not None and wall <= end

    def next_look(self, at: datetime) -> datetime:
        wall = _wall(at, self.zone)
        end = self._latest_end(wall)
        if end is not None and wall <= end:
            wait = end + _TICK - wall
        else:
            opening = self.line.first(wall + _LEAD)
            wait = _LONGEST_LOOK if opening is None else opening - _LEAD + _TICK - wall
        look = at + min(wait, _LONGEST_LOOK)
        # A clock that is put forward or back on the way shows another time than expected: look when that happens.
        return _change_of_clocks(at, look, self.zone) or look

    def _latest_end(self, wall: datetime) -> datetime | None:
        """Return when the last window that has opened closes, None before the first."""
        point = self.line.before(wall + _LEAD)
        while point is not None and (gap := _gap_around(point, self.zone)):
            if self.line.names_hours:
                point = gap[1]
                break
            point = self.line.before(gap[0])
        return None if point is None else point + self.length


@dataclass(frozen=True, slots=True)
class Schedule:
    """When an alarm is evaluated: while any of its windows is open; always if it has none.

    Equal schedules open and close together, whatever their constraints are called.
    """

    _windows: tuple[_Window, ...]

    @classmethod
    def of(cls, constraints: Sequence[Mapping[str, Any]]) -> "Schedule":
        """Compile normalised time constraints. Raises `InvalidInput` for what this machine cannot read."""
        return cls(tuple(_window_of(constraint) for constraint in constraints))

    def is_open(self, at: datetime) -> bool:
        """Whether the alarm is evaluated at a moment."""
        return not self._windows or any(window.is_open(at) for window in self._windows)

    def next_look(self, at: datetime) -> datetime:
        """Return a moment after this one before which `is_open` does not change; a day ahead at most."""
        return min((window.next_look(at) for window in self._windows), default=at + _LONGEST_LOOK)


def _window_of(constraint: Mapping[str, Any]) -> _Window:
    try:
        length = timedelta(seconds=constraint["duration"])
        return _Window(line=_line_of(constraint["start"]), length=length, zone=_zone_of(constraint["timezone"]))
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        # Not what alarmd itself has written.
        raise InvalidInput(
            f"A time constraint has no start, duration and timezone that can be read: {error!r}"
        ) from error


@lru_cache(maxsize=1024)  # alarms of one kind share their lines
def _line_of(text: str) -> CronLine:
    return CronLine.of(text)


def _zone_of(name: str) -> tzinfo:
    if not name:
        return UTC
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError) as error:  # unknown, not a name, a folder of zones
        raise InvalidInput(f"Timezone {name} is not valid", field=_FIELD) from error


def _wall(at: datetime, zone: tzinfo) -> datetime:
    """Return what a clock on the wall shows: naive, and the same in both passes of an hour that comes twice."""
    return at.astimezone(zone).replace(tzinfo=None, fold=0)


def _gap_around(wall: datetime, zone: tzinfo) -> tuple[datetime, datetime] | None:
    """Return the first moment that clocks on the wall skip and the first that they show again, if this is skipped."""
    if zone is UTC:
        return None
    later, earlier = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if _wall(later, zone) == wall:
        return None
    change = _change_of_clocks(earlier, later, zone)
    if change is None:
        return None
    return _wall(change - _TICK, zone) + _TICK, _wall(change, zone)


def _change_of_clocks(after: datetime, until: datetime, zone: tzinfo) -> datetime | None:
    """Return when, to the second, a zone's offset changes between two moments of one day, if it does."""
    offset = after.astimezone(zone).utcoffset()
    if until.astimezone(zone).utcoffset() == offset:
        return None
    low, high = int(after.timestamp()), int(until.timestamp()) + 1
    while high - low > 1:
        middle = (low + high) // 2
        same = datetime.fromtimestamp(middle, UTC).astimezone(zone).utcoffset() == offset
        low, high = (middle, high) if same else (low, middle)
    return datetime.fromtimestamp(high, UTC)
