# SPDX-License-Identifier: Apache-2.0
"""What alarmd is kept busy with while its processes die: machines whose load rises and falls, and alarms on them."""

import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition, Event, Thread
from typing import Any

import requests

from tests.faults.journal import Journal
from tests.support.daemon import DEADLINE_S, Daemon, wait_until

MACHINES = tuple(f"vm-{number}" for number in range(7))
#: Everybody watches this one, so that what one change of it causes takes a while and is often cut in two.
CROWDED = MACHINES[-1]
CROWD = 60
HOST = "this-host"

#: How often each machine's load is pushed, and how likely it then changes if everybody knows of the last change.
PUSH_S, FLIP_CHANCE = 0.2, 0.3
LOW, HIGH = 10.0, 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """An alarm, and whose load it watches."""

    alarm_id: str
    name: str
    resource_id: str

    def paths(self, state: str) -> tuple[str, str]:
        """Return where a new state is told, in the order of the actions."""
        return f"/{self.name}/{state}", f"/{self.name}/both"


def watch_everything(alarmd: Daemon, url: str) -> list[Watch]:
    """Create alarms on every machine that fire as soon as it is busy, and some on the host that never fire."""
    watches = []
    for machine in MACHINES:
        for periods in (1, 2):
            rule = _rule("cpu_util", machine, threshold=50.0, evaluation_periods=periods)
            watches.append(_create(alarmd, url, f"{machine}-{periods}", machine, rule))
    for number in range(CROWD):
        rule = _rule("cpu_util", CROWDED, threshold=50.0 + number / 10)
        watches.append(_create(alarmd, url, f"crowd-{number}", CROWDED, rule))
    for meter, period, periods in (
        ("cpu_util", 1, 1),
        ("cpu_util", 1, 3),
        ("cpu_util", 2, 1),
        ("cpu_util", 2, 2),
        ("memory.util", 1, 1),
    ):
        rule = _rule(meter, HOST, threshold=1000.0, period=period, evaluation_periods=periods)
        watches.append(_create(alarmd, url, f"host-{meter}-{period}-{periods}", HOST, rule))
    return watches


def _rule(meter: str, resource_id: str, **values: float) -> dict[str, Any]:
    only = [{"field": "resource_id", "op": "eq", "value": resource_id}]
    shared = {"statistic": "avg", "comparison_operator": "gt", "period": 1}
    return {"meter_name": meter, "query": only, **shared, **values}


def _create(alarmd: Daemon, url: str, name: str, resource_id: str, rule: dict[str, Any]) -> Watch:
    body = {
        "name": name,
        "type": "threshold",
        "threshold_rule": rule,
        "alarm_actions": [f"{url}/{name}/alarm", f"{url}/{name}/both"],
        "ok_actions": [f"{url}/{name}/ok", f"{url}/{name}/both"],
        "insufficient_data_actions": [f"{url}/{name}/blind"],
    }
    alarm_id = alarmd.request("POST", "/v2/alarms", body)["alarm_id"]
    return Watch(alarm_id=alarm_id, name=name, resource_id=resource_id)


@dataclass(slots=True)
class _Machine:
    #: The states that alarms on it have to go through.
    states: list[str] = field(default_factory=lambda: ["ok"])
    #: When the sample that caused each of them was accepted, on the monotonic clock.
    accepted_s: list[float] = field(default_factory=list)


class Load:
    """Pushes every machine's load; it changes only when the webhooks of its last change have come.

    So it is known exactly which transitions there must be.
    """

    def __init__(self, alarmd: Daemon, watches: list[Watch], journal: Journal, *, seed: int) -> None:
        self._url = f"{alarmd.url}/v3/samples"
        self._watches = watches
        self._journal = journal
        self._random = random.Random(seed)
        self._machines = {name: _Machine() for name in MACHINES}
        #: How many pushes have begun, and how many loads have changed.
        self._pushes = self._flips = 0
        self._changed = Condition()
        self._flipping = Event()
        self._end = Event()
        self._thread = Thread(target=self._run, name="load", daemon=True)
        #: Pushes that were sent again since nobody had said that they were accepted.
        self.repeated_pushes = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Push for as long as the context lasts; at first every machine is idle and stays so."""
        self._thread.start()
        try:
            yield
        finally:
            self._end.set()
            self._thread.join(DEADLINE_S)

    def start_flipping(self) -> None:
        """Let the load rise and fall from now on."""
        self._flipping.set()

    def stop_flipping(self) -> None:
        """Leave the load as it is; it is pushed on."""
        self._flipping.clear()

    def await_push(self, *, timeout_s: float) -> None:
        """Return as soon as one more push begins, or after the timeout."""
        with self._changed:
            count = self._pushes
            self._changed.wait_for(lambda: self._pushes > count, timeout_s)

    def await_flip(self, *, timeout_s: float) -> None:
        """Return as soon as one more change of a load was accepted, or after the timeout."""
        with self._changed:
            count = self._flips
            self._changed.wait_for(lambda: self._flips > count, timeout_s)

    def states(self, watch: Watch) -> list[str]:
        """Return the states that an alarm has to have gone through, in their order."""
        machine = self._machines.get(watch.resource_id)
        return list(machine.states) if machine else ["ok"]

    def reactions_s(self, watch: Watch) -> list[float]:
        """Return how long each change took from the accepted sample to the first webhook, in seconds."""
        arrivals: dict[str, float] = {}
        for entry in self._journal.entries:
            if entry.path == f"/{watch.name}/both":
                arrivals.setdefault(entry.webhook_id, entry.at_s)
        accepted = self._machines[watch.resource_id].accepted_s
        return [at_s - since_s for at_s, since_s in zip(arrivals.values(), accepted, strict=True)][1:]

    def missing(self, watch: Watch) -> list[str]:
        """Return the paths at which webhooks of an alarm are still to come."""
        owed = Counter(path for state in self.states(watch) for path in watch.paths(state))
        return [path for path, count in owed.items() if self._journal.count(path) < count]

    def await_told(self) -> None:
        """Wait until every alarm has told all that it has to tell."""
        try:
            wait_until(lambda: not any(map(self.missing, self._watches)), deadline_s=2 * DEADLINE_S)
        except AssertionError as error:
            missing = [path for watch in self._watches for path in self.missing(watch)]
            raise AssertionError(f"no webhook came to {', '.join(missing)} in {2 * DEADLINE_S:g} s") from error

    def _run(self) -> None:
        while not self._end.wait(PUSH_S):
            flipping = [name for name in MACHINES if self._flips_now(name)]
            for name in flipping:
                # Before the push: one that nobody confirmed may have been accepted all the same.
                states = self._machines[name].states
                states.append("alarm" if states[-1] == "ok" else "ok")
            self._push()
            now_s = time.monotonic()
            for machine in self._machines.values():
                if len(machine.accepted_s) < len(machine.states):
                    machine.accepted_s.append(now_s)
            if flipping:
                self._tell(flips=len(flipping))

    def _flips_now(self, machine: str) -> bool:
        if not self._flipping.is_set() or self._random.random() > FLIP_CHANCE:
            return False
        return not any(self.missing(watch) for watch in self._watches if watch.resource_id == machine)

    def _push(self) -> None:
        """Push the load of every machine, again and again with the same moment, until it is accepted."""
        now_s = round(time.time(), 3)
        samples = [
            {
                "metric": "cpu_util",
                "resource_id": name,
                "value": HIGH if machine.states[-1] == "alarm" else LOW,
                "timestamp": now_s,
            }
            for name, machine in self._machines.items()
        ]
        self._tell(pushes=1)
        deadline_s = time.monotonic() + DEADLINE_S
        while not self._end.is_set():
            try:
                response = requests.post(self._url, json={"samples": samples}, timeout=5)
            except requests.RequestException:
                response = None
            if response is not None and response.status_code == 202:
                assert response.json() == {"accepted": len(samples), "rejected": []}
                return
            assert time.monotonic() < deadline_s, response and response.text
            self.repeated_pushes += 1
            self._end.wait(0.02)

    def _tell(self, *, pushes: int = 0, flips: int = 0) -> None:
        with self._changed:
            self._pushes += pushes
            self._flips += flips
            self._changed.notify_all()
