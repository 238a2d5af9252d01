# SPDX-License-Identifier: Apache-2.0
"""Kills one process after the other, at moments that hurt."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from threading import Event

import psutil

from tests.faults.journal import Journal
from tests.faults.load import Load
from tests.faults.records import FaultLog
from tests.support.daemon import Daemon, wait_until

ROLES = ("api", "poller", "evaluator", "notifier")
#: For how long the others must have lived. When many die younger, the parent suspects a crash loop and pauses.
_GROWN_S = 2.5
#: How long to wait at most for the event that a kill is to follow.
_PATIENCE_S = 3.0


class Moment(StrEnum):
    """When a process is killed."""

    #: Whatever goes on.
    ANY = "any"
    #: A request with samples is under way.
    PUSH = "push"
    #: Samples were taken: they are read and judged now.
    JUDGEMENT = "judgement"
    #: A load has changed, and soon the alarms on it will.
    CHANGE = "change"
    #: A receiver holds a webhook that it has not answered.
    DELIVERY = "delivery"
    #: The process has just taken the place of one that was killed.
    BIRTH = "birth"


class Killer:
    """Draws victims and moments from a seed, and keeps a list of its deeds."""

    def __init__(self, alarmd: Daemon, load: Load, journal: Journal, faults: FaultLog, *, seed: int) -> None:
        self._alarmd = alarmd
        self._load = load
        self._journal = journal
        self._faults = faults
        self._random = random.Random(seed)
        self._pause = Event()
        #: When a process of the role was last killed.
        self._killed_s = dict.fromkeys(ROLES, time.monotonic())
        #: Process ids with their times of birth: in a long campaign the kernel gives ids again.
        self._victims: set[tuple[int, float]] = set()
        self.kills: Counter[str] = Counter()

    def run(self, *, each: int, newborn: int, tell: Callable[[str], None]) -> None:
        """Kill every role so many times, and some successors while they start.

        Returns with the last one dead and the rest alive or coming back.
        """
        victims = list(ROLES) * each
        self._random.shuffle(victims)
        succeeded = set(self._random.sample(range(len(victims)), newborn))
        moments = [moment for moment in Moment if moment is not Moment.BIRTH]
        for number, role in enumerate(victims):
            wait_until(lambda role=role: self._grown(role), what=f"a {role} that can be killed")  # type: ignore[misc]
            self._kill(role, self._random.choice(moments))
            if number in succeeded:
                self._kill(role, Moment.BIRTH)
            if number % 50 == 49:
                tell(f"{self.count} kills, {self._load.flips} changes of load")

    @property
    def count(self) -> int:
        """How many processes were killed."""
        return self.kills.total()

    def await_successors(self) -> None:
        """Wait until every role has a process again."""
        for role in ROLES:
            self._await_living(role)

    def restarts(self) -> Counter[str]:
        """Return how many restarts of each role alarmd has counted."""
        counted: Counter[str] = Counter()
        for role in ROLES:
            series = f'alarmd_worker_restarts_total{{process="supervisor",role="{role}"}} '
            for line in self._alarmd.metrics.splitlines():
                if line.startswith(series):
                    counted[role] = int(float(line.removeprefix(series)))
        return counted

    def _kill(self, role: str, moment: Moment) -> None:
        # Looked up before, since that takes longer than some moments last.
        pid = self._await_living(role)
        victim = pid, psutil.Process(pid).create_time()
        self._await(moment)
        os.kill(pid, signal.SIGKILL)
        self._faults.note(f"kill {role} {pid} at {moment}")
        self._killed_s[role] = time.monotonic()
        self._victims.add(victim)
        self.kills[role] += 1

    def _await(self, moment: Moment) -> None:
        match moment:
            case Moment.ANY:
                delay_s = 1.0
            case Moment.PUSH:
                self._load.await_push(timeout_s=_PATIENCE_S)
                delay_s = 0.008
            case Moment.JUDGEMENT:
                self._load.await_push(timeout_s=_PATIENCE_S)
                delay_s = 0.06
            case Moment.CHANGE:
                self._load.await_flip(timeout_s=_PATIENCE_S)
                # An average over a second crosses the threshold after half of it.
                delay_s = 0.8
            case Moment.DELIVERY:
                self._journal.await_next(timeout_s=_PATIENCE_S)
                delay_s = 0.05
            case Moment.BIRTH:
                delay_s = 0.5
        self._pause.wait(self._random.uniform(0.0, delay_s))

    def _living(self, role: str) -> list[int]:
        """Return the processes of a role without those that are dead and not yet buried."""
        return [pid for pid in self._alarmd.children(role) if not self._is_dead(pid)]

    def _is_dead(self, pid: int) -> bool:
        try:
            return (pid, psutil.Process(pid).create_time()) in self._victims
        except psutil.NoSuchProcess:
            return True

    def _await_living(self, role: str) -> int:
        return wait_until(lambda: self._living(role), what=f"a new {role}")[0]

    def _grown(self, role: str) -> bool:
        return time.monotonic() - self._killed_s[role] > _GROWN_S and bool(self._living(role))
