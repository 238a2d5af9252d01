# SPDX-License-Identifier: Apache-2.0
# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Pooling: what members come to together, unit by unit. Compiled.

Members are taken in the order that their unit has them in, so that what a unit comes to is the same to the last bit
wherever the samples lie.
"""

from libc.math cimport INFINITY, NAN, ceil, floor, sqrt
from libc.stdlib cimport free, malloc, qsort

#: After so many rounds without an end, a percentile is looked for by sorting: unusual values must not take for ever.
cdef enum:
    _ROUNDS = 64


cdef class _Places:
    """Where quantities are in a table, -1 for those that are not there."""

    cdef Py_ssize_t count, sum, min, max, first, last, first_age, last_age, squares, span

    def __init__(self, names):
        place = {quantity.name: number for number, quantity in enumerate(names)}
        self.count, self.sum, self.min, self.max = (place.get(name, -1) for name in ("COUNT", "SUM", "MIN", "MAX"))
        self.first, self.last = place.get("FIRST", -1), place.get("LAST", -1)
        self.first_age, self.last_age = place.get("FIRST_AGE", -1), place.get("LAST_AGE", -1)
        self.squares, self.span = place.get("SQUARES", -1), place.get("SPAN", -1)


def pool(const double[:, :, :] cells, names, const Py_ssize_t[::1] starts, double[:, :, ::1] into):
    """Compute what the samples of all members of a unit come to together, (Q, P, U) from (Q, P, M).

    Unit u has the members `starts[u]:starts[u + 1]`. The squares need the sum, and the first and the last their ages.
    """
    cdef _Places at = _Places(names)
    cdef Py_ssize_t units = starts.shape[0], members = cells.shape[2], unit, period, start, end
    with nogil:
        for unit in range(units):
            start, end = starts[unit], starts[unit + 1] if unit + 1 < units else members
            for period in range(cells.shape[1]):
                _pool_sums(cells, at, period, start, end, into, unit)
                if at.squares >= 0:
                    _pool_squares(cells, at, period, start, end, into, unit)
                if at.first_age >= 0:
                    _pool_ends(cells, at.first, at.first_age, False, period, start, end, into, unit)
                if at.last_age >= 0:
                    _pool_ends(cells, at.last, at.last_age, True, period, start, end, into, unit)


cdef void _pool_sums(
    const double[:, :, :] cells, _Places at, Py_ssize_t period, Py_ssize_t start, Py_ssize_t end,
    double[:, :, ::1] into, Py_ssize_t unit
) noexcept nogil:
    cdef double count = 0.0, total = 0.0, span = 0.0, least = INFINITY, greatest = -INFINITY, value
    cdef Py_ssize_t member
    for member in range(start, end):
        count += cells[at.count, period, member]
        if at.sum >= 0:
            total += cells[at.sum, period, member]
        if at.span >= 0:
            span += cells[at.span, period, member]
        # What is no number stays.
        if at.min >= 0:
            value = cells[at.min, period, member]
            least = least if least <= value or least != least else value
        if at.max >= 0:
            value = cells[at.max, period, member]
            greatest = greatest if greatest >= value or greatest != greatest else value
    into[at.count, period, unit] = count
    if at.sum >= 0:
        into[at.sum, period, unit] = total
    if at.span >= 0:
        into[at.span, period, unit] = span
    if at.min >= 0:
        into[at.min, period, unit] = least
    if at.max >= 0:
        into[at.max, period, unit] = greatest


cdef void _pool_squares(
    const double[:, :, :] cells, _Places at, Py_ssize_t period, Py_ssize_t start, Py_ssize_t end,
    double[:, :, ::1] into, Py_ssize_t unit
) noexcept nogil:
    """Add what members' values lie from their own mean to what those means lie from that of all."""
    cdef double mean = into[at.sum, period, unit] / max(into[at.count, period, unit], 1.0)
    cdef double total = 0.0, count, apart
    cdef Py_ssize_t member
    for member in range(start, end):
        count = cells[at.count, period, member]
        apart = cells[at.sum, period, member] / max(count, 1.0) - mean
        total += cells[at.squares, period, member] + count * (apart * apart)
    into[at.squares, period, unit] = total


cdef void _pool_ends(
    const double[:, :, :] cells, Py_ssize_t value_at, Py_ssize_t age_at, bint is_last, Py_ssize_t period,
    Py_ssize_t start, Py_ssize_t end, double[:, :, ::1] into, Py_ssize_t unit
) noexcept nogil:
    """Find the newest or the oldest sample of all members."""
    cdef double wanted = NAN, best = -INFINITY, age, value
    cdef Py_ssize_t member
    for member in range(start, end):
        age = cells[age_at, period, member]
        value = cells[value_at, period, member] if value_at >= 0 else 0.0
        _prefer(age, value, is_last, &wanted, &best)
    into[age_at, period, unit] = wanted
    if value_at >= 0:
        into[value_at, period, unit] = best


cdef inline void _prefer(double age, double value, bint is_last, double* wanted, double* best) noexcept nogil:
    """Take a value for the newest or oldest, or not; of several of one age the greatest is."""
    if age != age:
        return
    if wanted[0] != wanted[0] or (age < wanted[0] if is_last else age > wanted[0]):
        wanted[0], best[0] = age, value
    elif age == wanted[0] and (value > best[0] or value != value):
        best[0] = value


cdef struct Formula:
    #: Of which quantity a value is made, by which it is divided (-1: none), and what is taken from that before.
    Py_ssize_t of, by
    double less
    bint is_root
    #: Where it is told whether there is any.
    Py_ssize_t count


cdef Formula _formula(names, formula):
    """Return where the parts of a formula are; without one, the only quantity is the value."""
    cdef Formula result
    if formula is None:
        result.of, result.by, result.less, result.is_root, result.count = 0, -1, 0.0, False, -1
        return result
    place = {quantity.name: number for number, quantity in enumerate(names)}
    result.of, result.count = place[formula.of.name], place["COUNT"]
    result.by = -1 if formula.by is None else place[formula.by.name]
    result.less, result.is_root = formula.less, formula.is_root
    return result


cdef inline double _value(
    const double[:, :, :] cells, Formula formula, Py_ssize_t period, Py_ssize_t member
) noexcept nogil:
    cdef double value = cells[formula.of, period, member]
    if formula.count >= 0 and not cells[formula.count, period, member] > formula.less:
        return NAN
    if formula.by >= 0:
        value = value / (cells[formula.by, period, member] - formula.less)
    return sqrt(value) if formula.is_root else value


cdef class _Values:
    """Room for the values of one unit's members."""

    cdef double* values

    def __cinit__(self, Py_ssize_t members):
        self.values = <double*>malloc((members + 1) * sizeof(double))
        if self.values == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.values)


def across(
    const double[:, :, :] cells, names, formula, const double[:, :] ages, const Py_ssize_t[::1] starts,
    const Py_ssize_t[::1] units, wanted, double[:, :, ::1] into
):
    """Compute quantities of the members' values, one a member and period, (wanted, periods, units) from (Q, P, M).

    Without a formula the values are the only quantity. Members without a value do not count. Ages are those of the
    members' newest samples, shape (P, M), and looked at for the first and the last only.
    """
    cdef _Places at = _Places(wanted)
    cdef Formula how = _formula(names, formula)
    cdef Py_ssize_t members = cells.shape[2], number, unit, period, start, end
    with nogil:
        for number in range(units.shape[0]):
            unit = units[number]
            start, end = starts[unit], starts[unit + 1] if unit + 1 < starts.shape[0] else members
            for period in range(into.shape[1]):
                _across_sums(cells, how, at, period, start, end, into, number)
                if at.first >= 0:
                    _across_ends(cells, how, ages, at.first, False, period, start, end, into, number)
                if at.last >= 0:
                    _across_ends(cells, how, ages, at.last, True, period, start, end, into, number)


cdef void _across_sums(
    const double[:, :, :] cells, Formula how, _Places at, Py_ssize_t period, Py_ssize_t start, Py_ssize_t end,
    double[:, :, ::1] into, Py_ssize_t number
) noexcept nogil:
    cdef double count = 0.0, total = 0.0, least = INFINITY, greatest = -INFINITY, squares = 0.0, value, mean
    cdef Py_ssize_t member
    for member in range(start, end):
        value = _value(cells, how, period, member)
        if value == value:
            count += 1.0
            total += value
            least = value if value < least else least
            greatest = value if value > greatest else greatest
    into[at.count, period, number] = count
    if at.sum >= 0:
        into[at.sum, period, number] = total
    if at.min >= 0:
        into[at.min, period, number] = least
    if at.max >= 0:
        into[at.max, period, number] = greatest
    if at.squares >= 0:
        mean = total / max(count, 1.0)
        for member in range(start, end):
            value = _value(cells, how, period, member)
            if value == value:
                squares += (value - mean) * (value - mean)
        into[at.squares, period, number] = squares


cdef void _across_ends(
    const double[:, :, :] cells, Formula how, const double[:, :] ages, Py_ssize_t at, bint is_last, Py_ssize_t period,
    Py_ssize_t start, Py_ssize_t end, double[:, :, ::1] into, Py_ssize_t number
) noexcept nogil:
    cdef double wanted = NAN, best = -INFINITY, value
    cdef Py_ssize_t member
    for member in range(start, end):
        value = _value(cells, how, period, member)
        if value == value:
            _prefer(ages[period, member], value, is_last, &wanted, &best)
    into[at, period, number] = best


def percentile(
    const double[:, :, :] cells, names, formula, const Py_ssize_t[::1] starts, const Py_ssize_t[::1] units,
    double percent, double[:, ::1] into
):
    """Compute a percentile of the members' values, (periods, units) from (Q, P, M); NaN where there are none."""
    cdef Formula how = _formula(names, formula)
    cdef Py_ssize_t members = cells.shape[2], number, unit, period, start, end, member, held
    cdef _Values scratch = _Values(members)
    cdef double value
    with nogil:
        for number in range(units.shape[0]):
            unit = units[number]
            start, end = starts[unit], starts[unit + 1] if unit + 1 < starts.shape[0] else members
            for period in range(into.shape[0]):
                held = 0
                for member in range(start, end):
                    value = _value(cells, how, period, member)
                    scratch.values[held] = value
                    held += value == value
                into[period, number] = _percentile(scratch.values, held, percent)


cdef double _percentile(double* values, Py_ssize_t held, double percent) noexcept nogil:
    """Return a percentile, interpolated linearly; the values are left in another order."""
    cdef double place, low, high
    cdef Py_ssize_t below, step
    if held == 0:
        return NAN
    place = (held - 1) * (percent / 100)
    below = <Py_ssize_t>floor(place)
    low = _select(values, held, below)
    if ceil(place) == below:
        return low
    high = INFINITY
    for step in range(below + 1, held):
        high = values[step] if values[step] < high else high
    return low + (high - low) * (place - below)


cdef double _select(double* values, Py_ssize_t held, Py_ssize_t wanted) noexcept nogil:
    """Return the value that would stand in a place if all were sorted; what stands behind it is no less."""
    cdef Py_ssize_t low = 0, high = held - 1, left, right, rounds = 0
    cdef double pivot, kept
    while low < high:
        rounds += 1
        if rounds > _ROUNDS:
            qsort(values, held, sizeof(double), _compare)
            break
        pivot, left, right = values[wanted], low, high
        while left <= right:
            while values[left] < pivot:
                left += 1
            while pivot < values[right]:
                right -= 1
            if left <= right:
                kept = values[left]
                values[left], values[right] = values[right], kept
                left += 1
                right -= 1
        if right < wanted:
            low = left
        if wanted < left:
            high = right
    return values[wanted]


cdef int _compare(const void* one, const void* other) noexcept nogil:
    cdef double difference_of = (<const double*>one)[0], and_of = (<const double*>other)[0]
    return (difference_of > and_of) - (difference_of < and_of)
