# SPDX-License-Identifier: Apache-2.0
"""The reaction: from the answer to a pushed sample to the webhook that follows from it, through a real daemon.

Every alarm watches a series of its own. A round pushes one sample that flips one alarm, chosen at random, and waits
for the webhook; between rounds lies a random pause, so that rounds fall everywhere between two ticks.
"""

import random
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

import click
import numpy as np

from alarmd.clock import Clock
from alarmd.model.alarm import State
from benchmarks.daemon import Daemon, daemon
from benchmarks.loopback import Client, serving
from benchmarks.postgres import postgres
from benchmarks.receiver import Receiver
from benchmarks.registration import PERIOD_S, THRESHOLD, Registered, register
from benchmarks.report import Bar, Report, Value, tell

DatabaseName: TypeAlias = Literal["sqlite", "postgresql"]

#: Series get a sample at least this often, so that no alarm runs out of data; less than a period.
_RENEW_S = PERIOD_S / 3
_SAMPLES_A_PUSH = 10_000
#: A webhook that has not come by then is lost.
_PATIENCE_S = 10.0
_STORM_PATIENCE_S = 120.0
_LONGEST_PAUSE_S = 0.4
_FLOOR_ROUNDS = 100
_BARS = (Bar(key="p50_ms", at_most=150.0), Bar(key="p99_ms", at_most=500.0), Bar(key="lost", at_most=0.0))


def reaction(*, alarms: int, rounds: int, database: DatabaseName, clock: Clock) -> Report:
    """Measure the reaction with so many alarms in so many rounds."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="alarmd-bench-")))
        directory.chmod(0o755)  # PostgreSQL's user has to reach its own directory in it
        receiver = Receiver(clock)
        address = stack.enter_context(serving(receiver.take))
        url = stack.enter_context(postgres(directory / "pg", clock=clock)) if database == "postgresql" else None
        tell(f"starting alarmd with {database}")
        running = stack.enter_context(daemon(directory / "alarmd", store_url=url, clock=clock))

        started_s = clock.monotonic_s()
        registered = register(running.address, alarms, target=f"http://{address}/hook")
        create_s = clock.monotonic_s() - started_s
        client = stack.enter_context(Client(running.address))
        trial = _Trial(client=client, receiver=receiver, series=[_Series(alarm=one) for one in registered], clock=clock)
        storm_s = trial.settle()
        tell(f"measuring {rounds} rounds")
        laps = [trial.lap() for _ in range(rounds)]
        repeated = receiver.count - alarms - sum(lap.took_ms is not None for lap in laps)
        floor_ms = _floor_ms(address, receiver, clock)
        values = {
            "alarms": alarms,
            "rounds": rounds,
            "database": database,
            **_summary(laps, floor_ms=floor_ms),
            "repeated": repeated,
            "stored_p50_ms": _stored_p50_ms(laps, running),
            "created_per_s": alarms / create_s,
            "storm_s": storm_s,
        }
    return Report(name="reaction", values=values, bars=_BARS)


@dataclass(slots=True, kw_only=True)
class _Series:
    """What one alarm watches."""

    alarm: Registered
    outside: bool = False
    pushed: int = 0

    @property
    def state(self) -> State:
        """The state that the alarm is to be in."""
        return State.ALARM if self.outside else State.OK

    def next_sample(self) -> dict[str, Any]:
        """Return a sample that brings the mean of the period to the wanted side, whatever it holds already.

        Each value is twice as far from the threshold as the one before, so the last one outweighs all others.
        """
        distance = 2.0**self.pushed
        self.pushed += 1
        value = THRESHOLD + distance if self.outside else THRESHOLD - distance
        return {**self.alarm.sample, "value": value}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lap:
    """One round."""

    alarm_id: str
    state: State
    #: Time of day of the push, and of its 202, seconds since the epoch.
    pushed_at_s: float
    accepted_at_s: float
    #: None when the webhook did not come.
    took_ms: float | None


@dataclass(slots=True, kw_only=True)
class _Trial:
    """The alarms and what has been done with them."""

    client: Client
    receiver: Receiver
    series: list[_Series]
    clock: Clock
    _random: random.Random = field(default_factory=lambda: random.Random(1))
    _renewed_s: float = 0.0

    def settle(self) -> float:
        """Push a first sample for every alarm; return after how many seconds all of them have told that they are ok."""
        self._renew()
        started_s = self.clock.monotonic_s()
        if not self.receiver.wait_for(len(self.series), timeout_s=_STORM_PATIENCE_S):
            raise click.ClickException(
                f"{self.receiver.count:,} of {len(self.series):,} alarms have told their first state after "
                f"{_STORM_PATIENCE_S:g} s. Fewer --alarms may work; the daemon is too slow, or broken."
            )
        return self.clock.monotonic_s() - started_s

    def lap(self) -> _Lap:
        """Flip one alarm and wait for its webhook."""
        if self.clock.monotonic_s() - self._renewed_s > _RENEW_S:
            self._renew()
        time.sleep(self._random.uniform(0, _LONGEST_PAUSE_S))
        series = self._random.choice(self.series)
        series.outside = not series.outside
        alarm_id = series.alarm.alarm_id
        held = self.receiver.held(alarm_id)
        pushed_at_s = self.clock.time_s()
        self._push([series.next_sample()])
        accepted_s, accepted_at_s = self.clock.monotonic_s(), self.clock.time_s()
        arrival = self.receiver.wait(alarm_id, held, timeout_s=_PATIENCE_S)
        if arrival is not None and arrival.current != series.state:
            raise click.ClickException(f"an alarm that had to be {series.state} has told that it is {arrival.current}")
        took_ms = (arrival.at_s - accepted_s) * 1000 if arrival else None
        return _Lap(
            alarm_id=alarm_id,
            state=series.state,
            pushed_at_s=pushed_at_s,
            accepted_at_s=accepted_at_s,
            took_ms=took_ms,
        )

    def _renew(self) -> None:
        """Push a sample for every alarm that leaves it where it is."""
        for first in range(0, len(self.series), _SAMPLES_A_PUSH):
            self._push([series.next_sample() for series in self.series[first : first + _SAMPLES_A_PUSH]])
        self._renewed_s = self.clock.monotonic_s()

    def _push(self, samples: list[dict[str, Any]]) -> None:
        status, answer = self.client.post("/v3/samples", {"samples": samples})
        if status != 202:
            raise click.ClickException(f"samples were answered {status}: {answer.decode(errors='replace')[:500]}")


def _summary(laps: list[_Lap], *, floor_ms: float) -> dict[str, Value]:
    took_ms = [lap.took_ms for lap in laps if lap.took_ms is not None]
    lost = len(laps) - len(took_ms)
    if not took_ms:
        return {"p50_ms": None, "p99_ms": None, "max_ms": None, "lost": lost, "floor_ms": floor_ms, "ratio": None}
    p50_ms, p99_ms = (float(value) for value in np.percentile(took_ms, (50, 99)))
    return {
        "p50_ms": p50_ms,
        "p99_ms": p99_ms,
        "max_ms": max(took_ms),
        "lost": lost,
        "floor_ms": floor_ms,
        "ratio": p50_ms / floor_ms,
    }


def _floor_ms(address: str, receiver: Receiver, clock: Clock) -> float:
    """Return how long a webhook takes that is posted straight to the receiver, in ms."""
    took_ms = []
    with Client(address) as client:
        for number in range(_FLOOR_ROUNDS):
            started_s = clock.monotonic_s()
            client.post("/hook", {"alarm_id": "floor", "current": str(State.OK)})
            arrival = receiver.wait("floor", number, timeout_s=_PATIENCE_S)
            if arrival is not None:
                took_ms.append((arrival.at_s - started_s) * 1000)
    return float(np.median(took_ms))


def _stored_p50_ms(laps: list[_Lap], running: Daemon) -> float | None:
    """Return when the transitions were stored, counted from the 202, in ms: the part before the notifier's."""
    stored_at_s: dict[tuple[str, str], list[float]] = {}
    for event in running.events("alarm_transitioned"):
        at_s = datetime.fromisoformat(event["timestamp"]).timestamp()
        stored_at_s.setdefault((event["alarm_id"], event["current"]), []).append(at_s)
    took_ms = []
    for lap in laps:
        # A busy machine may store the transition before its 202 has been read.
        after = [at_s for at_s in stored_at_s.get((lap.alarm_id, lap.state), ()) if at_s >= lap.pushed_at_s]
        if after:
            took_ms.append(max(after[0] - lap.accepted_at_s, 0.0) * 1000)
    return float(np.median(took_ms)) if took_ms else None
