# SPDX-License-Identifier: Apache-2.0
"""Deliveries: how many webhooks a notifier gets out in a second, and what one hanging receiver costs the others.

A real daemon that only notifies drains a full outbox. Then alarms flip at a steady pace, first with all receivers well
and then with one of ten that takes connections and never answers. A daemon, a database and receivers are made anew for
each pace, so that nothing of one is left for the next.
"""

import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
import psutil
import requests
from numpy.typing import NDArray

from alarmd.clock import Clock
from alarmd.cluster.doorbell import Bell
from alarmd.cluster.local_doorbell import LocalDoorbell
from alarmd.model.alarm import AlarmId
from alarmd.model.notification import Notification, event_id_of
from alarmd.store import schema
from alarmd.store.database import Database
from benchmarks.daemon import events, started
from benchmarks.flow import PROJECTS, Flipping, Flow
from benchmarks.postgres import postgres
from benchmarks.process import Program
from benchmarks.reaction import DatabaseName
from benchmarks.report import Bar, Report, Value, tell
from benchmarks.sink import Sink, sink

_RECEIVERS = 10
#: Which of them hangs.
_HANGING = 0
#: How soon after the beginning of a flow it counts how many arrive, and whether the outbox grows.
_SETTLED_S = 2.0
#: How soon a hanging receiver's circuit cannot be open yet: its threads still wait for their first answer.
_UNKNOWN_S = 3.0
#: Notifications that the first connections are made for, and how long the flow that does the same; they do not count.
_WARM_UP, _WARM_UP_S = 500, 2.0
_PATIENCE_S = 120.0
_LOOK_S = 0.05
_FLOOR_S, _THREADS = 2.0, 32


def deliver(
    *,
    notifications: int,
    rate: float,
    calm_rate: float,
    trials: int,
    duration_s: float,
    database: DatabaseName,
    clock: Clock,
) -> Report:
    """Measure deliveries: of so many that wait, and then at two paces for so long each, the calm one several times."""
    values: dict[str, Value] = {"database": database, "notifications": notifications, "receivers": _RECEIVERS}
    with _bench(database, clock) as bench:
        bench.drain(_WARM_UP)
        tell(f"delivering {notifications:,} notifications")
        per_s = bench.drain(notifications)
        floor_per_s = _floor_per_s(bench.receivers, clock)
        values |= {"per_s": per_s, "floor_per_s": floor_per_s, "ratio": per_s / floor_per_s}
    values |= _paced(database, rate, duration_s, clock)
    calm = [_paced(database, calm_rate, duration_s, clock) for _ in range(trials)]
    values |= {"trials": trials} | {f"calm_{key}": _middle(one[key] for one in calm) for key in calm[0]}
    values |= {f"calm_{key}": sum(int(one[key] or 0) for one in calm) for key in ("lost", "doubled")}
    bars = (
        Bar(key="per_s", at_least=1_000.0),
        # As many as are made, and no more of them wait in the end than at the beginning: both within one in a hundred.
        Bar(key="steady_per_s", at_least=0.99 * rate),
        Bar(key="depth_slope_per_s", at_most=0.01 * rate),
        *(Bar(key=f"{prefix}{key}", at_most=0.0) for key in ("lost", "doubled") for prefix in ("", "calm_")),
        *(Bar(key=f"calm_{key}", at_most=0.2) for key in ("p99_change", "first_p99_change")),
    )
    return Report(name="deliver", values=values, bars=bars)


def _paced(database: DatabaseName, rate: float, duration_s: float, clock: Clock) -> dict[str, Value]:
    with _bench(database, clock) as bench:
        return bench.steady(rate, duration_s)


@contextmanager
def _bench(database: DatabaseName, clock: Clock) -> Iterator["_Bench"]:
    """Start a notifier with an empty database, and receivers."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="alarmd-bench-")))
        directory.chmod(0o755)  # PostgreSQL's user has to reach its own directory in it
        url = f"sqlite:///{directory}/alarmd.db"
        if database == "postgresql":
            url = stack.enter_context(postgres(directory / "pg", clock=clock))
        schema.upgrade(url)
        store = Database.connect(url)
        stack.callback(store.close)
        bell = LocalDoorbell(directory / "state" / "bells")
        stack.callback(bell.close)
        tell(f"starting a notifier with {database}")
        # The receivers are on this machine, and no API is that would listen there.
        settings = {"STORE__URL": url, "NOTIFIER__ALLOW_NETWORKS": "127.0.0.0/8"}
        daemon = stack.enter_context(
            started(directory, listen="127.0.0.1:0", settings=settings, clock=clock, roles="notifier")
        )
        daemon.wait_until(lambda: bool(events(daemon.output, "worker_ready")), what="the notifier's start")
        # They are the first to go: a notifier that ends waits for those that are hanging.
        receivers = stack.enter_context(sink(_RECEIVERS))
        yield _Bench(daemon=daemon, store=store, bell=bell, receivers=receivers, clock=clock)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bench:
    """A notifier, and what it works on."""

    daemon: Program
    store: Database
    bell: LocalDoorbell
    receivers: Sink
    clock: Clock

    def drain(self, notifications: int) -> float:
        """Have so many delivered that are all there at once; return how many were in a second."""
        self.receivers.arrivals()
        with self.store.write() as unit:
            unit.outbox.add([self._notification(next(_NUMBERS)) for _ in range(notifications)])
        self.bell.ring(Bell.OUTBOX)
        deadline_s = self.clock.monotonic_s() + _PATIENCE_S
        while self.receivers.count() < notifications:
            if self.clock.monotonic_s() > deadline_s:
                raise click.ClickException(f"{self.receivers.count():,} of {notifications:,} have been delivered")
            time.sleep(_LOOK_S)
        arrivals = self.receivers.arrivals()
        # The first of them opens the clock: what lies before is the bell, which is measured elsewhere.
        return (len(arrivals) - 1) / (arrivals[-1].at_s - arrivals[0].at_s)

    def steady(self, rate: float, duration_s: float) -> dict[str, Value]:
        """Have alarms flip at a rate, with all receivers well and with one that hangs, for so long each."""
        flipping = Flipping(self.store, self.bell, self.receivers, rate=rate, clock=self.clock)
        warm_up = flipping.flow(min(_WARM_UP_S, duration_s))
        if warm_up.lost():
            words = self.daemon.output.read_text(errors="replace")[-2_000:]
            raise click.ClickException(f"{warm_up.lost():,} of {len(warm_up.made):,} never came. It said:\n{words}")
        tell(f"delivering {rate:g} a second for {duration_s:g} s")
        spent_s = self._cpu_s()
        well = flipping.flow(duration_s)
        spent_s = self._cpu_s() - spent_s
        tell("the same with a receiver that hangs")
        self.receivers.hang(_HANGING)
        hanging = flipping.flow(duration_s, but=_HANGING)
        # Of the same nine receivers.
        well_ms, hanging_ms = well.took_ms(but=_HANGING), hanging.took_ms(but=_HANGING)
        first_ms = hanging.took_ms(but=_HANGING, made_within_s=_UNKNOWN_S)
        settled_s = min(_SETTLED_S, duration_s / 2)
        return {
            "rate": rate,
            "made_per_s": well.made_per_s,
            "steady_per_s": well.received_per_s(after_s=settled_s),
            "depth_slope_per_s": well.depth_slope_per_s(after_s=settled_s),
            "depth_end": _depth_end(well),
            "cpu_ms": spent_s * 1000 / len(well.made),
            "lost": well.lost() + hanging.lost(but=_HANGING),
            "doubled": well.doubled() + hanging.doubled(),
            **_percentiles("", well_ms),
            **_percentiles("hanging_", hanging_ms),
            **_percentiles("first_", first_ms),
            "p99_change": _change(well_ms, hanging_ms),
            "first_p99_change": _change(well_ms, first_ms),
        }

    def _cpu_s(self) -> float:
        """Return the processor time of the notifier so far."""
        daemon = psutil.Process(self.daemon.pid)
        every = [one.cpu_times() for one in (daemon, *daemon.children(recursive=True))]
        return sum(float(one.user + one.system) for one in every)

    def _notification(self, number: int) -> Notification:
        now = self.clock.now()
        address = self.receivers.addresses[number % _RECEIVERS]
        alarm_id = AlarmId(f"alarm-{number}")
        return Notification(
            event_id=event_id_of(alarm_id, 1, 0),
            alarm_id=alarm_id,
            project_id=f"project-{number % PROJECTS}",
            sequence=1,
            target=f"http://{address}/hook?token={number}",
            body=_BODY | {"alarm_id": alarm_id},
            created_at=now,
            next_attempt_at=now,
        )


_NUMBERS = count()
_BODY: dict[str, Any] = {
    "alarm_name": "cpu high",
    "severity": "low",
    "previous": "ok",
    "current": "alarm",
    "reason": "Transition to alarm due to 1 samples outside threshold, most recent: 97.0",
    "reason_data": {"type": "threshold", "disposition": "outside", "count": 1, "most_recent": 97.0},
}


def _floor_per_s(receivers: Sink, clock: Clock) -> float:
    """Return how many webhooks `requests` alone posts in a second, as often side by side as a notifier does."""
    end_s = clock.monotonic_s() + _FLOOR_S

    def post(number: int) -> int:
        sent = 0
        with requests.Session() as session:
            session.trust_env = False
            url = f"http://{receivers.addresses[number % _RECEIVERS]}/hook"
            while clock.monotonic_s() < end_s:
                session.post(url, json=_BODY, timeout=10)
                sent += 1
        return sent

    with ThreadPoolExecutor(_THREADS) as pool:
        return sum(pool.map(post, range(_THREADS))) / _FLOOR_S


def _middle(values: Iterable[Value]) -> Value:
    """Return the median of what was measured; None when that was nothing."""
    measured = [value for value in values if isinstance(value, int | float)]
    return median(measured) if measured else None


def _depth_end(flow: Flow) -> int | None:
    return flow.depths[-1][1] if flow.depths else None


def _percentiles(prefix: str, took_ms: NDArray[np.float64]) -> dict[str, Value]:
    if not len(took_ms):
        return {f"{prefix}p50_ms": None, f"{prefix}p99_ms": None}
    p50_ms, p99_ms = (float(value) for value in np.percentile(took_ms, (50, 99)))
    return {f"{prefix}p50_ms": p50_ms, f"{prefix}p99_ms": p99_ms}


def _change(well_ms: NDArray[np.float64], hanging_ms: NDArray[np.float64]) -> float | None:
    """Return by which part the 99th percentile of the second is larger."""
    if not (len(well_ms) and len(hanging_ms)):
        return None
    return float(np.percentile(hanging_ms, 99) / np.percentile(well_ms, 99) - 1)
