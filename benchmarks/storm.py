# SPDX-License-Identifier: Apache-2.0
"""The storm: one push flips every alarm, and all that follows from it goes through a real daemon at once.

Told is when everything was committed and when everything was received, counted from the answer to the push, and what
the API's other callers felt meanwhile.
"""

import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click
import numpy as np
import requests
from sqlalchemy import select

from alarmd.clock import Clock
from alarmd.model.alarm import State
from alarmd.store.database import Database
from alarmd.store.tables import alarms as stored_alarms
from benchmarks.daemon import daemon
from benchmarks.loopback import Client
from benchmarks.postgres import postgres
from benchmarks.reaction import DatabaseName
from benchmarks.registration import THRESHOLD, Registered, register
from benchmarks.report import Bar, Report, Value, tell
from benchmarks.sink import Arrival, Sink, sink

_BARS = (
    Bar(key="committed_s", at_most=1.0),
    Bar(key="received_s", at_most=8.0),
    Bar(key="api_p99_ms", at_most=200.0),
    Bar(key="lost", at_most=0.0),
)
_SAMPLES_A_PUSH = 10_000
_PATIENCE_S = 120.0
_LOOK_S = 0.02
#: What the other callers ask for, and how often.
_ASKED, _ASK_EVERY_S = ("/v2/alarms?limit=100", "/v2/alarms/{alarm_id}"), 0.05
_THREADS = 16
_CALM_S = 2.0


def storm(*, alarms: int, database: DatabaseName, clock: Clock) -> Report:
    """Measure the storm of so many alarms."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="alarmd-bench-")))
        directory.chmod(0o755)  # PostgreSQL's user has to reach its own directory in it
        receiver = stack.enter_context(sink())
        url = stack.enter_context(postgres(directory / "pg", clock=clock)) if database == "postgresql" else None
        tell(f"starting alarmd with {database}")
        running = stack.enter_context(daemon(directory / "alarmd", store_url=url, clock=clock))
        registered = register(running.address, alarms, target=f"http://{receiver.addresses[0]}/hook")
        store = Database.connect(url or f"sqlite:///{directory}/alarmd/state/alarmd.db")
        stack.callback(store.close)
        trial = _Trial(stack.enter_context(Client(running.address)), receiver, store, registered, clock)
        tell("settling")
        trial.push(THRESHOLD - 1)
        trial.wait_for_all()
        time.sleep(_CALM_S)
        tell(f"flipping {alarms:,} alarms")
        with _asking(running.address, registered[0].alarm_id, clock) as asked_ms:
            values = trial.storm()
        floor = {"insert_floor_s": _insert_floor_s(directory, alarms, clock)}
        floor["post_floor_s"] = alarms / _posts_per_s(receiver.addresses[0], clock)
    p50_ms, p99_ms = (float(value) for value in np.percentile(asked_ms, (50, 99)))
    values |= {"api_requests": len(asked_ms), "api_p50_ms": p50_ms, "api_p99_ms": p99_ms, "api_max_ms": max(asked_ms)}
    values |= floor | {
        "committed_ratio": float(values["committed_s"] or 0) / floor["insert_floor_s"],
        "received_ratio": float(values["received_s"] or 0) / floor["post_floor_s"],
    }
    return Report(name="storm", values={"alarms": alarms, "database": database, **values}, bars=_BARS)


class _Trial:
    """The daemon, its alarms and their receiver."""

    def __init__(
        self, client: Client, receiver: Sink, store: Database, registered: list[Registered], clock: Clock
    ) -> None:
        self._client = client
        self._receiver = receiver
        self._store = store
        self._registered = registered
        self._clock = clock

    def push(self, value: float) -> None:
        """Push a sample for every alarm: one push, and so one tick, while they fit in one."""
        for first in range(0, len(self._registered), _SAMPLES_A_PUSH):
            part = self._registered[first : first + _SAMPLES_A_PUSH]
            samples = [{**one.sample, "value": value} for one in part]
            status, answer = self._client.post("/v3/samples", {"samples": samples})
            if status != 202:
                raise click.ClickException(f"samples were answered {status}: {answer.decode(errors='replace')[:500]}")

    def wait_for_all(self) -> list[Arrival]:
        """Return the webhooks once there is one from each alarm, and forget them."""
        deadline_s = self._clock.monotonic_s() + _PATIENCE_S
        while self._receiver.count() < len(self._registered):
            if self._clock.monotonic_s() > deadline_s:
                count = self._receiver.count()
                raise click.ClickException(f"{count:,} of {len(self._registered):,} alarms have told their state")
            time.sleep(_LOOK_S)
        return self._receiver.arrivals()

    def storm(self) -> dict[str, Value]:
        """Flip all alarms and return how long that took."""
        self.push(THRESHOLD + 1_000)
        pushed_s = self._clock.monotonic_s()
        committed_s = self._first_seen_s()
        arrivals = self.wait_for_all()
        received_s = arrivals[-1].at_s
        time.sleep(_CALM_S)
        arrivals += self._receiver.arrivals()
        distinct = len({one.event_id for one in arrivals})
        return {
            "committed_s": committed_s - pushed_s,
            "received_s": received_s - pushed_s,
            "received_per_s": len(self._registered) / (received_s - committed_s),
            "lost": len(self._registered) - distinct,
            "repeated": len(arrivals) - distinct,
        }

    def _first_seen_s(self) -> float:
        """Return when anybody can see that an alarm has flipped: all of the storm is one transaction.

        One value of one row is looked at: to count what waits would take a third of the database's time.
        """
        columns = stored_alarms.c
        watched = select(columns.state).where(columns.alarm_id == self._registered[0].alarm_id)
        deadline_s = self._clock.monotonic_s() + _PATIENCE_S
        while self._clock.monotonic_s() < deadline_s:
            with self._store.read() as unit:
                if unit.connection.execute(watched).scalar() == State.ALARM:
                    return self._clock.monotonic_s()
            time.sleep(_LOOK_S / 2)
        raise click.ClickException("no alarm has changed its state")


@contextmanager
def _asking(address: str, alarm_id: str, clock: Clock) -> Iterator[list[float]]:
    """Ask the API time and again for as long as the context lasts; give how long the answers took, in ms."""
    over = threading.Event()
    took_ms: list[float] = []

    def ask(path: str) -> None:
        with Client(address) as client:
            while not over.wait(_ASK_EVERY_S):
                started_s = clock.monotonic_s()
                client.get(path)
                took_ms.append((clock.monotonic_s() - started_s) * 1000)

    threads = [threading.Thread(target=ask, args=(path.format(alarm_id=alarm_id),)) for path in _ASKED]
    for thread in threads:
        thread.start()
    try:
        yield took_ms
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _insert_floor_s(directory: Path, alarms: int, clock: Clock) -> float:
    """Return how long SQLite takes for the bare rows of a storm: one of each kind an alarm, in one commit."""
    connection = sqlite3.connect(directory / "floor.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    for table in ("alarms", "alarm_history", "outbox"):
        connection.execute(f"CREATE TABLE {table} (key TEXT PRIMARY KEY, body TEXT)")
    rows: list[tuple[Any, ...]] = [(f"{number:036}", "x" * 500) for number in range(alarms)]
    started_s = clock.monotonic_s()
    connection.execute("BEGIN IMMEDIATE")
    for table in ("alarms", "alarm_history", "outbox"):
        connection.executemany(f"INSERT INTO {table} VALUES (?, ?)", rows)  # noqa: S608  # names from above
    connection.execute("COMMIT")
    took_s = clock.monotonic_s() - started_s
    connection.close()
    return took_s


def _posts_per_s(address: str, clock: Clock) -> float:
    """Return how many webhooks `requests` alone posts in a second, as often side by side as a notifier does."""
    end_s = clock.monotonic_s() + _CALM_S

    def post(_: int) -> int:
        sent = 0
        with requests.Session() as session:
            session.trust_env = False
            while clock.monotonic_s() < end_s:
                session.post(f"http://{address}/hook", json={"current": "alarm", "reason": "x" * 300}, timeout=10)
                sent += 1
        return sent

    with ThreadPoolExecutor(_THREADS) as pool:
        return sum(pool.map(post, range(_THREADS))) / _CALM_S
