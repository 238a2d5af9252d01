# SPDX-License-Identifier: Apache-2.0
# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: embedsignature=True
"""The walk: from the newest sample of each ring back to the end of the periods that are read. Compiled.

Whatever is summed is summed from the newest sample to the oldest, beginning with 0.0, so that what a series comes to
is the same to the last bit whoever is read beside it.
"""

from libc.math cimport INFINITY, NAN
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, malloc

cdef extern from *:
    void __builtin_prefetch(const void* address, int is_written, int locality) noexcept nogil

cdef enum:
    #: Of how many members ahead the processor is told where they will be written.
    _AHEAD = 8
    #: As `Differences` has them, in the order of their names in `_MODES`.
    _OF_SAMPLES = 0
    _OF_CHANGES = 1
    _OF_COUNTERS = 2

_MODES = {"NONE": _OF_SAMPLES, "PLAIN": _OF_CHANGES, "RESET_SAFE": _OF_COUNTERS}

#: Ages are cut here, behind all periods that there can be.
cdef int64_t _OLDEST_MS = 2**31 - 1

ctypedef fused high_t:
    uint8_t
    uint16_t


cdef struct Ring:
    #: Where its steps begin in the columns, and how far apart they are.
    Py_ssize_t base
    Py_ssize_t stride
    Py_ssize_t capacity
    #: The step behind its newest sample, and how many it holds.
    Py_ssize_t head
    Py_ssize_t held
    #: The time of the newest sample as the columns have it.
    uint32_t newest
    uint32_t mask


cdef struct Reach:
    #: How long before the end of the periods the newest sample lies.
    int64_t lag
    #: Samples whose age is less than this do not count.
    int64_t since
    #: The first age that lies behind all periods.
    int64_t limit


cdef class _Bank:
    """The columns of a bank, held only for as long as a call takes."""

    cdef const uint16_t[::1] low
    cdef const uint8_t[::1] narrow
    cdef const uint16_t[::1] wide
    cdef const double[::1] values
    cdef const int32_t[::1] head
    cdef const int32_t[::1] count
    cdef Py_ssize_t capacity
    cdef Py_ssize_t lanes
    cdef uint32_t mask
    cdef bint is_wide

    def __init__(self, lanes):
        self.low, self.values, self.head, self.count = lanes.low, lanes.values, lanes.head, lanes.count
        self.capacity, self.lanes, self.mask = lanes.capacity, lanes.abreast, lanes.mask
        self.is_wide = lanes.high.dtype.itemsize == 2
        if self.is_wide:
            self.wide = lanes.high
        else:
            self.narrow = lanes.high

    cdef Ring ring(self, int32_t row, int64_t newest_ms) noexcept nogil:
        cdef Ring ring
        cdef Py_ssize_t lane
        ring.stride, ring.capacity, ring.mask = self.lanes, self.capacity, self.mask
        ring.newest = <uint32_t>newest_ms & self.mask
        ring.base = ring.head = ring.held = 0
        # A series that has gone has no row.
        if 0 <= row < self.head.shape[0]:
            lane = row % self.lanes
            ring.base = (row - lane) * self.capacity + lane
            ring.head, ring.held = self.head[row], self.count[row]
        return ring

    cdef Py_ssize_t read(self, Ring ring, Reach reach, double* values, int32_t* ages) noexcept nogil:
        """Read samples into `values` and `ages`, the newest first; return how many there are."""
        if ring.held == 0 or reach.lag >= reach.limit:
            return 0
        if self.is_wide:
            return _read(&self.wide[0], &self.low[0], &self.values[0], ring, reach, values, ages)
        return _read(&self.narrow[0], &self.low[0], &self.values[0], ring, reach, values, ages)


cdef Py_ssize_t _read(
    const high_t* high, const uint16_t* low, const double* column, Ring ring, Reach reach, double* values, int32_t* ages
) noexcept nogil:
    cdef Py_ssize_t step = ring.head, left = ring.held, found = 0, at
    cdef uint32_t stamp
    cdef int64_t age
    while left:
        left -= 1
        step = (ring.capacity if step == 0 else step) - 1
        at = ring.base + step * ring.stride
        stamp = (<uint32_t>high[at] << 16) | low[at]
        age = reach.lag + ((ring.newest - stamp) & ring.mask)
        if age >= reach.limit:
            break
        if age >= reach.since:
            values[found] = column[at]
            ages[found] = <int32_t>age
            found += 1
    # So the span of the oldest is 0.
    ages[found] = ages[found - 1] if found else 0
    return found


cdef Py_ssize_t _difference(double* values, Py_ssize_t held, bint is_counter) noexcept nogil:
    """Turn samples into what changes to each from the one before; return how many there are of these."""
    cdef Py_ssize_t step
    cdef double change
    for step in range(held - 1):
        change = values[step] - values[step + 1]
        # A counter that has fallen has started anew at zero.
        values[step] = values[step] if is_counter and change < 0 else change
    return held - 1 if held else 0


cdef class _Subjects:
    """Which series are read and how, held only for as long as a call takes."""

    cdef const int32_t[::1] rows
    cdef const int64_t[::1] newest_ms
    cdef const int64_t[::1] end_ms
    cdef const uint8_t[::1] is_delta
    cdef const uint8_t[::1] is_counter
    cdef bint is_now_known
    cdef int64_t now_ms
    cdef int mode
    cdef bint needs_span
    cdef int64_t limit

    def __init__(self, rows, newest_ms, subjects, extent):
        self.rows, self.newest_ms, self.end_ms = rows, newest_ms, subjects.end_ms
        self.mode, self.needs_span = _MODES[extent.differences.name], extent.needs_span
        if self.mode == _OF_COUNTERS:
            self.is_delta, self.is_counter = subjects.is_delta.view("u1"), subjects.is_counter.view("u1")
        self.is_now_known = subjects.now_ms is not None
        self.now_ms = subjects.now_ms or 0
        self.limit = min(extent.length_ms * extent.periods, _OLDEST_MS)

    cdef Reach reach(self, Py_ssize_t member) noexcept nogil:
        cdef Reach reach
        reach.lag = self.end_ms[member] - self.newest_ms[member]
        reach.limit = self.limit
        reach.since = self.end_ms[member] - self.now_ms if self.is_now_known else reach.lag
        return reach

    cdef Py_ssize_t turn(self, Py_ssize_t member, double* values, Py_ssize_t held) noexcept nogil:
        """Turn samples into what is read of them; return how many there are of these."""
        if self.mode == _OF_SAMPLES:
            return held
        if self.mode == _OF_CHANGES:
            return _difference(values, held, False)
        if self.is_delta[member]:
            # Deltas are differences already, but the span of the oldest is not known.
            return held - 1 if held and self.needs_span else held
        return _difference(values, held, self.is_counter[member])


cdef inline double _squares(const double* values, Py_ssize_t start, Py_ssize_t end, double sum) noexcept nogil:
    cdef double total = 0.0, mean = sum / (end - start if end > start else 1), apart
    cdef Py_ssize_t step
    for step in range(start, end):
        apart = values[step] - mean
        total += apart * apart
    return total


cdef double _least(const double* values, Py_ssize_t start, Py_ssize_t end) noexcept nogil:
    """Return what is least of values; NaN when one of them is."""
    cdef double least = INFINITY
    cdef Py_ssize_t step
    for step in range(start, end):
        if values[step] != values[step]:
            return values[step]
        least = min(least, values[step])
    return least


cdef double _greatest(const double* values, Py_ssize_t start, Py_ssize_t end) noexcept nogil:
    """Return what is greatest of values; NaN when one of them is."""
    cdef double greatest = -INFINITY
    cdef Py_ssize_t step
    for step in range(start, end):
        if values[step] != values[step]:
            return values[step]
        greatest = max(greatest, values[step])
    return greatest


cdef inline double _span(const int32_t* ages, Py_ssize_t start, Py_ssize_t end) noexcept nogil:
    cdef double total = 0.0
    cdef Py_ssize_t step
    for step in range(start, end):
        total += (ages[step + 1] - ages[step]) / 1000.0
    return total


cdef class _Table:
    """Where quantities go; held only for as long as a call takes."""

    #: By quantity, period and member.
    cdef double[:, :, :] cells
    #: Where each quantity is in the table, -1 for those that are not wanted.
    cdef Py_ssize_t count, sum, min, max, first, last, first_age, last_age, squares, span
    cdef bint has_ends
    cdef Py_ssize_t row_size
    cdef int64_t length_ms
    cdef Py_ssize_t periods

    def __init__(self, extent, names, cells):
        place = {quantity.name: number for number, quantity in enumerate(names)}
        self.count, self.sum, self.min, self.max = (place.get(name, -1) for name in ("COUNT", "SUM", "MIN", "MAX"))
        self.first, self.last = place.get("FIRST", -1), place.get("LAST", -1)
        self.first_age, self.last_age = place.get("FIRST_AGE", -1), place.get("LAST_AGE", -1)
        self.squares, self.span = place.get("SQUARES", -1), place.get("SPAN", -1)
        self.has_ends = bool({"FIRST", "LAST", "FIRST_AGE", "LAST_AGE", "SPAN"} & place.keys())
        self.length_ms, self.periods = extent.length_ms, extent.periods
        self.cells = cells
        # What is known of a member lies together, or else what is known of all members.
        self.row_size = cells.shape[0] * cells.shape[1] * 8 if cells.strides[1] == 8 else 0

    cdef inline void foresee(self, Py_ssize_t member) noexcept nogil:
        """Let the processor fetch what will be written."""
        cdef Py_ssize_t at
        cdef char* row = <char*>&self.cells[0, 0, member]
        for at in range(0, self.row_size, 64):
            __builtin_prefetch(row + at, 1, 3)

    cdef void fill(self, Py_ssize_t member, const double* values, const int32_t* ages, Py_ssize_t held) noexcept nogil:
        """Sort what a member has into periods by age, and reduce each."""
        cdef Py_ssize_t period, start, end = 0
        cdef int64_t before = 0
        cdef double total, least, greatest, value
        for period in range(self.periods):
            start = end
            before += self.length_ms
            total, least, greatest = 0.0, INFINITY, -INFINITY
            # All three in one go: it is not the arithmetic that takes the time, but finding out where a period ends.
            while end < held and ages[end] < before:
                value = values[end]
                total += value
                least = value if value < least else least
                greatest = value if value > greatest else greatest
                end += 1
            self.cells[self.count, period, member] = end - start
            if self.sum >= 0:
                self.cells[self.sum, period, member] = total
            # A total is no number where a value is none; then what is least and greatest is none either.
            if self.min >= 0:
                self.cells[self.min, period, member] = least if total == total else _least(values, start, end)
            if self.max >= 0:
                self.cells[self.max, period, member] = greatest if total == total else _greatest(values, start, end)
            if self.squares >= 0:
                self.cells[self.squares, period, member] = _squares(values, start, end, total)
            if self.has_ends:
                self._fill_ends(period, member, values, ages, start, end)

    cdef void _fill_ends(
        self, Py_ssize_t period, Py_ssize_t member, const double* values, const int32_t* ages,
        Py_ssize_t start, Py_ssize_t end
    ) noexcept nogil:
        cdef bint is_empty = start == end
        if self.span >= 0:
            self.cells[self.span, period, member] = _span(ages, start, end)
        if self.first >= 0:
            self.cells[self.first, period, member] = NAN if is_empty else values[end - 1]
        if self.last >= 0:
            self.cells[self.last, period, member] = NAN if is_empty else values[start]
        if self.first_age >= 0:
            self.cells[self.first_age, period, member] = NAN if is_empty else ages[end - 1]
        if self.last_age >= 0:
            self.cells[self.last_age, period, member] = NAN if is_empty else ages[start]


cdef class _Scratch:
    """Room for what one ring holds, and one more."""

    cdef double* values
    cdef int32_t* ages

    def __cinit__(self, Py_ssize_t capacity):
        self.values = <double*>malloc((capacity + 1) * sizeof(double))
        self.ages = <int32_t*>malloc((capacity + 1) * sizeof(int32_t))
        if self.values == NULL or self.ages == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.values)
        free(self.ages)


def reduce(lanes, rows, newest_ms, subjects, extent, const Py_ssize_t[::1] members, names, cells):
    """Compute quantities of some members, which all lie in one bank, best in the order of memory.

    Rows and the times of the newest samples are those of all subjects, and so are the cells: by quantity, in the order
    of their names, period and member. Of a member without samples in a period the sums are 0, the least is infinity,
    the greatest is minus infinity, and what else there is of samples is NaN.
    """
    cdef _Bank bank = _Bank(lanes)
    cdef _Subjects of = _Subjects(rows, newest_ms, subjects, extent)
    cdef _Table into = _Table(extent, names, cells)
    cdef _Scratch scratch = _Scratch(bank.capacity)
    cdef Py_ssize_t number, member, held
    with nogil:
        for number in range(members.shape[0]):
            if number + _AHEAD < members.shape[0]:
                into.foresee(members[number + _AHEAD])
            member = members[number]
            held = bank.read(
                bank.ring(of.rows[member], of.newest_ms[member]), of.reach(member), scratch.values, scratch.ages
            )
            held = of.turn(member, scratch.values, held)
            into.fill(member, scratch.values, scratch.ages, held)


def collect(
    lanes, rows, newest_ms, subjects, extent, const Py_ssize_t[::1] members, const Py_ssize_t[::1] starts,
    double[::1] samples
):
    """Copy the samples, or differences, of some members, newest first, to where they begin; one more start ends it."""
    cdef _Bank bank = _Bank(lanes)
    cdef _Subjects of = _Subjects(rows, newest_ms, subjects, extent)
    cdef _Scratch scratch = _Scratch(bank.capacity)
    cdef Py_ssize_t number, member, held, step
    with nogil:
        for number in range(members.shape[0]):
            member = members[number]
            held = bank.read(
                bank.ring(of.rows[member], of.newest_ms[member]), of.reach(member), scratch.values, scratch.ages
            )
            held = of.turn(member, scratch.values, held)
            for step in range(min(held, starts[number + 1] - starts[number])):
                samples[starts[number] + step] = scratch.values[step]
