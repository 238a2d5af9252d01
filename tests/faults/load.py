# SPDX-License-Identifier: Apache-2.0
"""What alarmd is kept busy with while things break: machines whose load rises and falls, pushed as samples."""

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Condition, Event, Lock, Thread

import requests

from tests.faults.journal import Journal
from tests.faults.records import Sample, SampleLog
from tests.faults.watches import ALARM, HIGH, LOW, OK, Watch
from tests.support.daemon import DEADLINE_S, Daemon

#: How often each machine's load is pushed, and how likely it then changes if it may.
PUSH_S, FLIP_CHANCE = 0.2, 0.3
#: A load that waits for nobody lasts so long at least.
LASTS_S = 2.5


class Load:
    """Pushes every machine's load.

    A patient one changes only when the webhooks of its last change have come, so that it is known exactly which
    transitions there must be. Any other goes on whatever happens, and so outruns whoever sleeps.
    """

    def __init__(
        self,
        alarmd: Daemon,
        machines: Sequence[str],
        *,
        samples: SampleLog,
        journals: list[Journal],
        seed: int,
        patient: bool = True,
        deadline_s: float = DEADLINE_S,
        projects: Mapping[str, str] | None = None,
    ) -> None:
        self._alarmd = alarmd
        self._samples = samples
        #: Where webhooks come in; more may be added.
        self.journals = journals
        self._random = random.Random(seed)
        self._patient = patient
        self._projects = projects or {}
        self._deadline_s = deadline_s
        self._states = dict.fromkeys(machines, OK)
        #: How many webhooks each path must have had before a patient one goes on, if its state has ever changed.
        self._owed: dict[str, int] = {}
        self._since_s = dict.fromkeys(machines, 0.0)
        self._silent: set[str] = set()
        #: How many pushes have begun, and how many loads have changed.
        self._pushes = self._flips = 0
        self._changed = Condition()
        self._flipping = Event()
        self._end = Event()
        self._thread = Thread(target=self._run, name="load", daemon=True)
        self._failure: BaseException | None = None
        self._pushing = Lock()
        #: Whose webhooks a patient one waits for.
        self.watches: list[Watch] = []
        #: Is added to the time of every sample, in seconds, since somebody has set a clock. The log tells true times.
        self.skew_s = 0.0
        #: Pushes that were sent again since nobody had said that they were accepted.
        self.repeated_pushes = 0

    @contextmanager
    def between_pushes(self) -> Iterator[None]:
        """Have no sample be on its way for as long as the block lasts: what it is stamped with is to be right."""
        with self._pushing:
            yield

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

    def calm(self) -> None:
        """Have the load of every machine be low from the next push on, and stay so."""
        self.stop_flipping()
        for machine in [name for name, state in self._states.items() if state == ALARM]:
            self.turn(machine)

    def silence(self, machines: Sequence[str] = ()) -> None:
        """Push nothing of these machines any more."""
        with self._changed:
            self._silent = set(machines)

    def turn(self, machine: str) -> None:
        """Have the load of a machine change with the next push."""
        with self._changed:
            self._states[machine] = _other(self._states[machine])
            for watch in self.watches:
                if watch.resource_id == machine:
                    for path in watch.paths(self._asked(watch)):
                        # Of the states before there may have come more than one: whoever was blind tells of it again.
                        self._owed[path] = max(self._count(path), self._owed_at(watch, path)) + 1

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

    @property
    def flips(self) -> int:
        """How many loads have changed."""
        return self._flips

    def is_told(self) -> bool:
        """Return whether a webhook has come for everything that a patient load has done."""
        if self._failure is not None:
            raise AssertionError(f"samples are not accepted: {self._failure}") from self._failure
        return not any(map(self._missing, self.watches))

    def _missing(self, watch: Watch) -> bool:
        paths = {path for state in (OK, ALARM) for path in watch.paths(state)}
        return any(self._count(path) < self._owed_at(watch, path) for path in paths)

    def _asked(self, watch: Watch) -> str:
        """Return the state that a load asks of an alarm now."""
        state = self._states[watch.resource_id]
        return state if watch.operator == "gt" else _other(state)

    def _owed_at(self, watch: Watch, path: str) -> int:
        """Return how many webhooks a path must have had by now; of the first state of all, one."""
        first = OK if watch.operator == "gt" else ALARM
        return self._owed.get(path, int(path in watch.paths(first)))

    def _count(self, path: str) -> int:
        return sum(each.count(path) for each in self.journals)

    def _run(self) -> None:
        try:
            while not self._end.wait(PUSH_S):
                flipping = [name for name in self._states if self._flips_now(name)]
                for name in flipping:
                    self.turn(name)
                    self._since_s[name] = time.monotonic()
                with self._pushing:
                    self._push()
                if flipping:
                    self._tell(flips=len(flipping))
        except BaseException as error:  # noqa: BLE001  # handed on to whoever waits
            self._failure = error

    def _flips_now(self, machine: str) -> bool:
        if not self._flipping.is_set() or machine in self._silent or self._random.random() > FLIP_CHANCE:
            return False
        if not self._patient:
            return time.monotonic() - self._since_s[machine] > LASTS_S
        return not any(self._missing(watch) for watch in self.watches if watch.resource_id == machine)

    def _push(self) -> None:
        """Push the load of every machine, again and again with the same moment, until it is accepted."""
        true_s, skew_s = round(time.time(), 3), self.skew_s
        with self._changed:
            values = {
                name: HIGH if state == ALARM else LOW
                for name, state in self._states.items()
                if name not in self._silent
            }
        self._tell(pushes=1)
        if not values:
            return
        samples = [
            {"metric": "cpu_util", "resource_id": name, "value": value, "timestamp": round(true_s + skew_s, 3)}
            | ({"project_id": self._projects[name]} if name in self._projects else {})
            for name, value in values.items()
        ]
        deadline_s = time.monotonic() + self._deadline_s
        while not self._end.is_set():
            try:
                response = requests.post(f"{self._alarmd.url}/v3/samples", json={"samples": samples}, timeout=5)
            except requests.RequestException:
                response = None
            if response is not None and response.status_code == 202:
                assert response.json() == {"accepted": len(samples), "rejected": []}, response.text
                self._note(values, true_s)
                return
            assert time.monotonic() < deadline_s, response and response.text
            self.repeated_pushes += 1
            self._end.wait(0.02)

    def _note(self, values: dict[str, float], timestamp_s: float) -> None:
        now_s = time.monotonic()
        self._samples.note(
            [
                Sample(resource_id=name, timestamp_s=timestamp_s, value=value, accepted_s=now_s)
                for name, value in values.items()
            ]
        )

    def _tell(self, *, pushes: int = 0, flips: int = 0) -> None:
        with self._changed:
            self._pushes += pushes
            self._flips += flips
            self._changed.notify_all()


def _other(state: str) -> str:
    return ALARM if state == OK else OK
