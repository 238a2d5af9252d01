# SPDX-License-Identifier: Apache-2.0
"""The pace of a role: jobs that run each interval, and early when there is reason to.

APScheduler keeps the intervals. What it does not do stands here: a job may be woken by a bell without losing a ring,
may ask for its next turn itself, and goes on when somebody sets the machine's clock.
"""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED, EVENT_JOB_MAX_INSTANCES, JobEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.job import Job
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from alarmd.clock import Clock
from alarmd.cluster.doorbell import Listener
from alarmd.errors import AlarmdError
from alarmd.telemetry import JOB_FAILURES, JOB_OVERRUNS

logger = structlog.get_logger()

#: How much later than its interval a job may be before the clock is suspected to have been set back.
_PATIENCE_S = 1.0


class Pace:
    """One job and when it runs.

    It runs once at the start, then each interval, counted from its last turn. A ring of the listener brings the next
    turn forward to now; a ring during a turn brings one more right after it; rings closer together than the minimum
    gap share a turn. So do those that come while a job which `rests` does so: for as long as its turn took, so that
    rings without end take half of a processor and not all of it. Work that returns a number of seconds is run again
    after them, if that is sooner than the interval. Work that raises has its turn logged and counted, and the next one
    comes as usual. Never are two turns of one job under way together.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], float | None],
        *,
        interval_s: float,
        clock: Clock,
        jitter_s: float = 0.0,
        listener: Listener | None = None,
        minimum_gap_s: float = 0.02,
        rests: bool = False,
    ) -> None:
        self.name = name
        self._work = work
        self._interval_s = interval_s
        # More jitter than interval would let turns change places.
        self._jitter_s = min(jitter_s, interval_s / 2)
        self._clock = clock
        self._listener = listener
        self._minimum_gap_s = minimum_gap_s
        self._rests = rests
        self._trigger = _Interval(seconds=interval_s, jitter=self._jitter_s or None, timezone="UTC")
        self._job: Job | None = None
        self._started_s = clock.monotonic_s()
        self._took_s = 0.0
        # A turn may start before the scheduler has told of the end of the one before, hence a count.
        self._under_way = 0
        self._counting = threading.Lock()
        self._idle = threading.Event()
        self._idle.set()
        self._stopping = threading.Event()
        self._last_error = ""
        self._attendant = threading.Thread(target=self._attend, name=f"pace-{name}", daemon=True)

    def join(self, scheduler: BackgroundScheduler) -> None:
        """Put the job on a schedule that has not started yet, its first turn at once."""
        self._job = scheduler.add_job(
            self._turn,
            self._trigger,
            id=self.name,
            next_run_time=self._clock.now(),
            coalesce=True,
            max_instances=1,
            # A late turn is still wanted; the library would drop it after a second.
            misfire_grace_time=None,
        )

    def start(self) -> None:
        """Start to listen; the schedule runs already."""
        self._attendant.start()

    def stop(self) -> None:
        """Start no further turn. One under way goes on."""
        self._stopping.set()
        if self._listener is not None:
            self._listener.close()

    def wait(self, timeout_s: float) -> bool:
        """Return whether the turn under way, if any, has ended in time."""
        return self._idle.wait(timeout_s)

    def ended(self, event: JobEvent) -> None:
        """Take note of the end of a turn; called by the scheduler when it would accept another one."""
        with self._counting:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()
        error = getattr(event, "exception", None)
        if error is not None:
            self._complain(error)
            return
        if self._last_error:
            logger.info("job_recovered", job=self.name)
            self._last_error = ""
        due_s = event.retval
        if due_s is not None and due_s < self._interval_s:
            self._run_in(max(due_s, self._minimum_gap_s))

    def _turn(self) -> float | None:
        with self._counting:
            self._under_way += 1
            self._idle.clear()
        self._trigger.wanted = None
        if self._stopping.is_set():
            return None
        self._started_s = self._clock.monotonic_s()
        try:
            return self._work()
        finally:
            self._took_s = self._clock.monotonic_s() - self._started_s

    def _attend(self) -> None:
        """Bring turns forward for bells, and for turns that the schedule has lost."""
        while not self._stopping.is_set():
            if not (self._hear() or self._is_overdue()):
                continue
            # The scheduler refuses a turn while one is under way, and with it the ring. A turn that starts between
            # this line and the next comes after the ring, so nothing is lost.
            while not self._idle.wait(self._interval_s) and not self._stopping.is_set():
                pass
            gap_s = self._started_s + self._gap_s() - self._clock.monotonic_s()
            if gap_s > 0:
                self._stopping.wait(gap_s)
            self._run_in(0.0)

    def _gap_s(self) -> float:
        """Return how long after the start of the last turn a ring may bring the next one."""
        rest_s = min(2 * self._took_s, self._interval_s) if self._rests else 0.0
        return max(self._minimum_gap_s, rest_s)

    def _hear(self) -> bool:
        if self._listener is not None:
            return self._listener.wait(self._interval_s)
        self._stopping.wait(self._interval_s)
        return False

    def _is_overdue(self) -> bool:
        """Whether the schedule, which goes by the time of day, has stood still: somebody set the clock back."""
        silence_s = self._clock.monotonic_s() - self._started_s
        return self._idle.is_set() and silence_s > self._interval_s + self._jitter_s + _PATIENCE_S

    def _run_in(self, seconds: float) -> None:
        if self._stopping.is_set() or self._job is None:
            return
        wanted = self._clock.now() + timedelta(seconds=seconds)
        self._trigger.wanted = wanted
        try:
            self._job.modify(next_run_time=wanted)
        except JobLookupError:  # the schedule was stopped meanwhile
            self._stopping.set()

    def _complain(self, error: BaseException) -> None:
        JOB_FAILURES.labels(self.name).inc()
        text = f"{type(error).__name__}: {error}"
        if text == self._last_error:
            return  # said already; a job that fails each second must not fill the disk
        self._last_error = text
        if isinstance(error, AlarmdError):
            logger.warning("job_failed", job=self.name, error=text, **error.facts)
        else:
            logger.error("job_failed", job=self.name, error=text, exc_info=error)


class Schedule:
    """The jobs of one process, each with a thread of its own to run in."""

    def __init__(self, paces: Sequence[Pace]) -> None:
        self._paces = {pace.name: pace for pace in paces}
        self._scheduler = BackgroundScheduler(
            timezone="UTC", executors={"default": ThreadPoolExecutor(max_workers=len(paces))}
        )
        self._scheduler.add_listener(self._on_ended, EVENT_JOB_EXECUTED | EVENT_JOB_ERROR)
        self._scheduler.add_listener(self._on_overrun, EVENT_JOB_MAX_INSTANCES)

    def start(self) -> None:
        """Start every job."""
        for pace in self._paces.values():
            pace.join(self._scheduler)
        self._scheduler.start()
        for pace in self._paces.values():
            pace.start()

    def stop(self, *, clock: Clock, timeout_s: float) -> list[str]:
        """Start no further turn and wait for those under way; return the names of the jobs that did not end in time."""
        deadline_s = clock.monotonic_s() + timeout_s
        for pace in self._paces.values():
            pace.stop()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        return [pace.name for pace in self._paces.values() if not pace.wait(max(0.0, deadline_s - clock.monotonic_s()))]

    def _on_ended(self, event: JobEvent) -> None:
        self._paces[event.job_id].ended(event)

    def _on_overrun(self, event: JobEvent) -> None:
        JOB_OVERRUNS.labels(event.job_id).inc()


class _Interval(IntervalTrigger):  # type: ignore[misc]  # the library has no types
    """Turns at an interval, counted from the last turn but never from long ago.

    The library would list every turn that was missed: endlessly many after a clock that stood at 1970 was set right.
    It also works out the next turn after it has started this one, and would forget what a very quick one asked for.
    """

    #: A turn that is wanted sooner.
    wanted: datetime | None = None

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        if previous_fire_time is not None:
            previous_fire_time = max(previous_fire_time, now - self.interval)
        due: datetime = super().get_next_fire_time(previous_fire_time, now)
        wanted = self.wanted
        if wanted is None or wanted >= due:
            return due
        # Never now or earlier: the library asks on until it is told a time that has not come.
        return max(wanted, now + timedelta(milliseconds=1))
