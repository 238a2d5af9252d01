# SPDX-License-Identifier: Apache-2.0
"""What the campaign itself did, written down as it was done: the samples that it pushed, the faults that it made."""

import json
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A sample that alarmd has said to have accepted."""

    resource_id: str
    #: Of the sample itself, since the Unix epoch.
    timestamp_s: float
    value: float
    #: When it was accepted, on the monotonic clock.
    accepted_s: float


class SampleLog:
    """Every accepted sample, by its resource, in the order of acceptance. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._lock = Lock()
        self._samples: defaultdict[str, list[Sample]] = defaultdict(list)

    def note(self, samples: Sequence[Sample]) -> None:
        """Write samples down."""
        with self._lock:
            for sample in samples:
                self._file.write(f"{json.dumps(asdict(sample))}\n")
                self._samples[sample.resource_id].append(sample)

    def of(self, resource_id: str) -> list[Sample]:
        """Return the samples of a resource, in the order of their own times."""
        with self._lock:
            return sorted(self._samples[resource_id], key=lambda sample: sample.timestamp_s)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One injection."""

    what: str
    #: On the monotonic clock; the same for what takes no time, such as a kill.
    start_s: float
    end_s: float
    #: Whether only receivers were in trouble: alarmd, and what it stands on, were well.
    is_outside: bool = False


class FaultLog:
    """Every injection, in the order of their ends. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._lock = Lock()
        self._faults: list[Fault] = []
        #: Those under way, as if they had ended at once.
        self._open: dict[int, Fault] = {}

    @property
    def faults(self) -> list[Fault]:
        """Those so far; one under way ends now."""
        now_s = time.monotonic()
        with self._lock:
            going_on = [replace(fault, end_s=now_s) for fault in self._open.values()]
            return [*self._faults, *going_on]

    def note(self, what: str) -> None:
        """Write down one that took no time."""
        now_s = time.monotonic()
        self._add(Fault(what=what, start_s=now_s, end_s=now_s))

    @contextmanager
    def during(self, what: str, *, is_outside: bool = False) -> Iterator[None]:
        """Write down one that lasts as long as the block."""
        start_s = time.monotonic()
        fault = Fault(what=what, start_s=start_s, end_s=start_s, is_outside=is_outside)
        with self._lock:
            key = max(self._open, default=0) + 1
            self._open[key] = fault
        try:
            yield
        finally:
            with self._lock:
                del self._open[key]
            self._add(replace(fault, end_s=time.monotonic()))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _add(self, fault: Fault) -> None:
        with self._lock:
            self._file.write(f"{json.dumps(asdict(fault))}\n")
            self._file.flush()
            self._faults.append(fault)
