# SPDX-License-Identifier: Apache-2.0
"""Cron lines as Aodh writes them: five fields, then seconds, then years, or one of the ``@`` names.

Aodh's own library and the one used here part in their dialects (where seconds stand, ranges that run over the end, a
step in the days), so every field is written out in numbers before it is handed over. What the two would still take for
different things is refused.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cronsim import CronSim, CronSimError

_NAMED = {
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST_LINE = 255
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class _Field:
    """One column of a line and the numbers it may hold."""

    name: str
    low: int
    high: int
    names: Mapping[str, int] = field(default_factory=dict)
    #: The highest number that may be written, where that is another name of the lowest: Sunday is 0 and 7.
    alias: int = -1

    def numbers(self, term: str) -> Iterable[int]:
        """Return the numbers that ``*``, ``n``, ``a-b`` and any of these with ``/step`` stand for."""
        body, slash, step_text = term.partition("/")
        first, dash, last = body.partition("-")
        step = self._number(step_text, 1, 10_000) if slash else 1
        if body == "*":
            return range(self.low, self.high + 1, step)
        low = self._value(first)
        if low == self.alias:
            low = self.low
        if not dash:
            return range(low, self.high + 1, step) if slash else (low,)
        high = self._value(last)
        if low == high:
            raise ValueError(f"{term!r} in the {self.name}s: Aodh takes such a range for all there are; write {first}")
        if low < high:
            return [self.low if number == self.alias else number for number in range(low, high + 1, step)]
        if step != 1:
            raise ValueError(f"{term!r} in the {self.name}s: a range over the end cannot have a step; write a list")
        return (*range(low, self.high + 1), *range(self.low, high + 1))

    def _value(self, text: str) -> int:
        value = self.names.get(text)
        return self._number(text, self.low, max(self.high, self.alias)) if value is None else value

    def _number(self, text: str, low: int, high: int) -> int:
        if not text.isdecimal() or len(text) > 5 or not low <= int(text) <= high:
            raise ValueError(f"{text!r} in the {self.name}s should be a number from {low} to {high}")
        return int(text)


_MINUTE, _HOUR, _SECONDS = _Field("minute", 0, 59), _Field("hour", 0, 23), _Field("second", 0, 59)
_DAY = _Field("day", 1, 31, {"l": 31})
_MONTH = _Field("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)})
_WEEKDAY = _Field("weekday", 0, 6, {name: number for number, name in enumerate(_WEEKDAYS)}, alias=7)
_YEAR = _Field("year", 1970, 2099)


@dataclass(frozen=True, slots=True, kw_only=True)
class CronLine:
    """The moments that a cron line names, on a clock on the wall: naive, in no zone."""

    #: As `cronsim` wants it, seconds first.
    _line: str
    #: None for every year.
    _years: frozenset[int] | None
    #: Whether the line names hours; one that does not is about every hour there is.
    names_hours: bool

    @classmethod
    def of(cls, text: str) -> "CronLine":
        """Read a line. Raises `ValueError` that says what is wrong with it."""
        lowered = text.strip().lower()
        parts = _NAMED.get(lowered, lowered).split()
        if not text.isascii() or len(text) > _LONGEST_LINE:
            raise ValueError(f"Value should be a cron line of at most {_LONGEST_LINE} plain letters")
        if not 5 <= len(parts) <= 7:
            raise ValueError(f"Value should have 5 to 7 fields or be one of: {', '.join(sorted(_NAMED))}")
        minutes, hours, days, months, weekdays = parts[:5]
        seconds, years = parts[5] if len(parts) > 5 else "0", parts[6] if len(parts) > 6 else "*"
        days_are_free, weekdays_are_free = _are_free(days, weekdays)
        fields = (
            _written(_SECONDS, seconds),
            _written(_MINUTE, minutes),
            _written(_HOUR, hours),
            "*" if days_are_free else _days(days),
            _written(_MONTH, months),
            "*" if weekdays_are_free else _weekdays(weekdays, days_are_free=days_are_free),
        )
        line = cls(
            _line=" ".join(fields),
            _years=None if _is_free(years) else frozenset(_numbers(_YEAR, years)),
            names_hours=fields[2] != "*",
        )
        if line.first(datetime(1970, 1, 1)) is None:  # noqa: DTZ001  # a clock on the wall has no zone
            raise ValueError("There is no such day: the line never matches")
        return line

    def before(self, moment: datetime) -> datetime | None:
        """Return the last moment of the line before this one, or None."""
        point = self._step(moment, back=True)
        while point is not None and self._years is not None and point.year not in self._years:
            year = max((year for year in self._years if year < point.year), default=None)
            point = None if year is None else self._step(point.replace(year + 1, 1, 1, 0, 0, 0), back=True)
        return point

    def first(self, moment: datetime) -> datetime | None:
        """Return the first moment of the line that is not before this one, or None."""
        whole = moment.replace(microsecond=0)
        point = self._step(whole if whole < moment else whole - _SECOND, back=False)
        while point is not None and self._years is not None and point.year not in self._years:
            year = min((year for year in self._years if year > point.year), default=None)
            point = None if year is None else self._step(point.replace(year, 1, 1, 0, 0, 0) - _SECOND, back=False)
        return point

    def _step(self, moment: datetime, *, back: bool) -> datetime | None:
        try:
            return next(CronSim(self._line, moment, reverse=back), None)
        except CronSimError:  # no month that counts has such a day
            return None


def _is_free(text: str) -> bool:
    """Whether a field is open to everything by its looks."""
    return "*" in text.split(",") or text == "?"


def _are_free(days: str, weekdays: str) -> tuple[bool, bool]:
    """Return whether days, and weekdays, are open to everything; where neither are, it is enough that one holds.

    A step is not open, so ``*/2`` is a side of its own. One that leaves out nothing (``*/1``, ``1-31``) is one only
    beside a field that has no star in it, which is how Aodh's library sees it.
    """
    return (
        _is_free(days) or ("*" in weekdays and _names_all(_DAY, days)),
        _is_free(weekdays) or ("*" in days and _names_all(_WEEKDAY, weekdays)),
    )


def _names_all(which: _Field, text: str) -> bool:
    """Whether a field names as many numbers as there are; the last day of the month counts as one of them."""
    terms = text.split(",")
    plain = [term for term in terms if which is not _DAY or term != "l"]
    if any("#" in term or (term.startswith("l") and term[1:].isdecimal()) for term in plain):
        return False
    numbers = _numbers(which, ",".join(plain)) if plain else []
    return len(numbers) + (len(plain) < len(terms)) == which.high - which.low + 1


def _numbers(which: _Field, text: str) -> list[int]:
    return sorted({number for term in text.split(",") for number in which.numbers(term)})


def _written(which: _Field, text: str) -> str:
    """Return a field in numbers, or ``*`` for all."""
    numbers = _numbers(which, text)
    return "*" if len(numbers) == which.high - which.low + 1 else ",".join(str(number) for number in numbers)


def _days(text: str) -> str:
    """Return the days of the month: numbers, and ``L`` for the last of each."""
    terms = text.split(",")
    plain = ",".join(term for term in terms if term != "l")
    numbers = [str(number) for number in _numbers(_DAY, plain)] if plain else []
    return ",".join([*numbers, "L"] if "l" in terms else numbers)


def _weekdays(text: str, *, days_are_free: bool) -> str:
    """Return the days of the week: numbers, or all of them ``n#k`` (the k-th) or ``lN`` (the last) of the month."""
    terms = text.split(",")
    special = [term for term in terms if "#" in term or (term.startswith("l") and term[1:].isdecimal())]
    if not special:
        return ",".join(str(number) for number in _numbers(_WEEKDAY, text))
    if len(special) < len(terms):
        raise ValueError("weekdays of the month (n#k, lN) cannot stand beside other weekdays")
    if not days_are_free:
        raise ValueError("weekdays of the month (n#k, lN) cannot stand beside days of the month")
    return ",".join(_weekday_of_month(term) for term in terms)


def _weekday_of_month(term: str) -> str:
    if term.startswith("l"):
        return f"{_one_weekday(term[1:])}L"
    day, _, which = term.partition("#")
    if which not in {"1", "2", "3", "4", "5"}:
        raise ValueError(f"{term!r} in the weekdays: a month has the 1st to the 5th of a weekday")
    return f"{_one_weekday(day)}#{which}"


def _one_weekday(text: str) -> int:
    numbers = list(_WEEKDAY.numbers(text))
    if len(numbers) != 1:
        raise ValueError(f"{text!r} should be one weekday")
    return numbers[0]
