# SPDX-License-Identifier: Apache-2.0
"""What operators see of the daemon: its log and its metrics, all defined here.

**Several processes, one ``/metrics``.** Each process counts in its own memory and writes a snapshot of its numbers to
``<state_dir>/metrics/<process>.prom`` each second (`Exposition.publish`); whoever answers ``/metrics`` puts its own
live numbers and the others' snapshots together and labels every series with its process (`Exposition.render`).
Compared with prometheus_client's memory-mapped files this needs no environment variable before the first import, keeps
the meaning of gauges, and leaves nothing behind: a process that comes back overwrites the snapshot of the one that
died, and its counters start again from zero, which Prometheus' `rate` knows how to read.

Metrics may be used without any set-up; then they are simply counted and shown to nobody.
"""

import logging
import sys
from collections.abc import Iterable, MutableMapping
from contextlib import suppress
from enum import StrEnum
from math import isnan
from pathlib import Path
from typing import Any, TextIO, cast

import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has not annotated it

#: What a working process counts.
REGISTRY = CollectorRegistry()
#: What only the supervising process counts; kept apart because its children are copies of it.
SUPERVISOR_REGISTRY = CollectorRegistry()

ProcessCollector(registry=REGISTRY)

_QUICK_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SLOW_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


def _gauge(name: str, documentation: str) -> Gauge:
    """Return a gauge that is shown by those processes only that have set it."""
    gauge = Gauge(name, documentation, registry=REGISTRY)
    gauge.set(float("nan"))
    return gauge


# --- pollers -----------------------------------------------------------------------------------------------------
POLL_SECONDS = Histogram(
    "alarmd_poll_seconds", "How long a source took to answer one poll.", ["source"], buckets=_QUICK_S, registry=REGISTRY
)
POLLS = Counter(
    "alarmd_polls_total", "Polls by source and outcome (ok, partial, failed).", ["source", "outcome"], registry=REGISTRY
)

# --- cache -------------------------------------------------------------------------------------------------------
SAMPLES_APPENDED = Counter("alarmd_samples_appended_total", "Samples put into the sample log.", registry=REGISTRY)
SAMPLES_REJECTED = Counter(
    "alarmd_samples_rejected_total", "Samples that were not accepted, by reason.", ["reason"], registry=REGISTRY
)
SAMPLES_LATE = Counter(
    "alarmd_samples_late_total", "Samples that arrived beyond the lateness budget of the window.", registry=REGISTRY
)
ENTRIES_UNREADABLE = Counter(
    "alarmd_log_entries_unreadable_total", "Entries of the sample log that could not be decoded.", registry=REGISTRY
)
LOG_BYTES = _gauge("alarmd_log_bytes", "Size of the payloads in the sample log.")
LOG_ENTRIES = _gauge("alarmd_log_entries", "Batches in the sample log.")
LOG_TRIMMED = Counter(
    "alarmd_log_trimmed_total", "Entries dropped from the sample log by its limits.", registry=REGISTRY
)

# --- evaluators --------------------------------------------------------------------------------------------------
SERIES = _gauge("alarmd_series", "Series in the window of this evaluator.")
ALARMS = _gauge("alarmd_alarms", "Alarms this evaluator watches.")
TICK_SECONDS = Histogram(
    "alarmd_tick_seconds", "How long one evaluation of all alarms took.", buckets=_QUICK_S, registry=REGISTRY
)
TICKS = Counter(
    "alarmd_ticks_total", "Evaluations of all alarms, by outcome (ok, failed).", ["outcome"], registry=REGISTRY
)
QUESTIONS = Counter(
    "alarmd_questions_total",
    "Questions asked of other people's servers, by what came back (answered, refused, failed).",
    ["server", "outcome"],
    registry=REGISTRY,
)
QUESTIONS_WAITING = Gauge(
    "alarmd_questions_waiting",
    "Questions that are due and have no answer yet, those under way among them.",
    ["server"],
    registry=REGISTRY,
)
TRANSITIONS = Counter(
    "alarmd_transitions_total", "Changes of state that were committed, by the new state.", ["state"], registry=REGISTRY
)
SCALE_INS_WAITING = _gauge("alarmd_scale_ins_waiting", "Alarms that want to scale in and wait for fresh evidence.")
SCALE_INS_WITHHELD = Counter(
    "alarmd_scale_ins_withheld_total",
    "How often an alarm that wanted to scale in began to wait for fresh evidence.",
    registry=REGISTRY,
)
BREAKER_OPEN = _gauge("alarmd_breaker_open", "Whether this evaluator has scale-in held back everywhere.")
BREAKER_OPENED = Counter(
    "alarmd_breaker_opened_total",
    "How often this evaluator had scale-in held back, by why.",
    ["cause"],
    registry=REGISTRY,
)
HELD_ACTIONS = Counter(
    "alarmd_held_actions_total",
    "Scale-in actions that were held back and let go, by what became of them (sent, superseded, expired).",
    ["outcome"],
    registry=REGISTRY,
)
EVENTS = Counter(
    "alarmd_events_total",
    "Events that were pushed, by what became of them (matched, unmatched, rejected).",
    ["outcome"],
    registry=REGISTRY,
)

# --- notifiers ---------------------------------------------------------------------------------------------------
OUTBOX_DEPTH = _gauge("alarmd_outbox_depth", "Notifications that wait for delivery.")
OUTBOX_HELD = _gauge("alarmd_outbox_held", "Notifications that the breaker holds back.")
CIRCUITS_OPEN = Gauge(
    "alarmd_circuits_open",
    "Circuits that are open: of whole receivers, or of what a project has for one (receiver, project).",
    ["kind"],
    registry=REGISTRY,
)
CIRCUIT_CHANGES = Counter(
    "alarmd_circuit_changes_total", "How often circuits opened and closed.", ["change"], registry=REGISTRY
)
OUTBOX_OLDEST_SECONDS = _gauge(
    "alarmd_outbox_oldest_seconds", "How long the notification that has waited longest for delivery has waited."
)
NOTIFICATIONS = Counter(
    "alarmd_notifications_total",
    "What became of notifications, and why: of each try (delivered, postponed, buried), or without one (superseded, "
    "expired, silenced, dropped, and buried because the target is disabled or the alarm no longer wants it).",
    ["outcome", "reason"],
    registry=REGISTRY,
)
DELIVERY_SECONDS = Histogram(
    "alarmd_delivery_seconds", "How long one try at a delivery took.", buckets=_SLOW_S, registry=REGISTRY
)
DELIVERY_LAG_SECONDS = Histogram(
    "alarmd_delivery_lag_seconds",
    "From the change of state to the receiver's answer, for notifications that were delivered.",
    buckets=_SLOW_S,
    registry=REGISTRY,
)
SAMPLE_TO_NOTIFY_SECONDS = Histogram(
    "alarmd_sample_to_notify_seconds",
    "From when the newest sample behind a notification was taken to the receiver's answer.",
    buckets=_SLOW_S,
    registry=REGISTRY,
)

# --- api ---------------------------------------------------------------------------------------------------------
HTTP_REQUESTS = Counter(
    "alarmd_http_requests_total", "Requests answered by the API.", ["method", "route", "status"], registry=REGISTRY
)
HTTP_SECONDS = Histogram(
    "alarmd_http_request_seconds", "How long the API took to answer.", ["route"], buckets=_QUICK_S, registry=REGISTRY
)

# --- workers -----------------------------------------------------------------------------------------------------
JOB_OVERRUNS = Counter(
    "alarmd_job_overruns_total",
    "Turns of a job that were skipped since the last one still ran.",
    ["job"],
    registry=REGISTRY,
)
JOB_FAILURES = Counter(
    "alarmd_job_failures_total",
    "Turns of a job that ended in an error; the next came as usual.",
    ["job"],
    registry=REGISTRY,
)
WORKER_RESTARTS = Counter(
    "alarmd_worker_restarts_total",
    "Processes that died and were started again.",
    ["role"],
    registry=SUPERVISOR_REGISTRY,
)


class Exposition:
    """The metrics of all processes that share one directory.

    A process is known by its name, e.g. ``evaluator[0]``; its successor has the same.
    """

    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(
        self, directory: Path | None = None, *, process: str = "", registry: CollectorRegistry = REGISTRY
    ) -> None:
        self._directory = directory
        self._process = process
        self._registry = registry

    def publish(self) -> None:
        """Write this process's numbers to where the others find them. Raises `OSError`."""
        if self._directory is None:
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._directory / f"{self._process}.prom"
        fresh = path.with_suffix(".new")
        fresh.write_bytes(generate_latest(self._registry))
        # Readers see the old snapshot or the new one, never half of it.
        fresh.replace(path)

    def render(self) -> bytes:
        """Return the numbers of every process in Prometheus' text format, each series labelled with its process."""
        families: dict[str, Family] = {}
        _merge(families, generate_latest(self._registry).decode(), process=self._process)
        for path in sorted(self._directory.glob("*.prom")) if self._directory else ():
            if path.stem == self._process:
                continue
            try:
                text = path.read_text(encoding="utf-8")
            except FileNotFoundError:  # an operator tidied up between the listing and now
                continue
            _merge(families, text, process=path.stem)
        merged = CollectorRegistry()
        merged.register(_Collected(families.values()))
        return generate_latest(merged)

    def ages_s(self, *, now_s: float) -> dict[str, float]:
        """Return how long ago each process, by its name, wrote its snapshot."""
        ages = {}
        for path in self._directory.glob("*.prom") if self._directory else ():
            try:
                ages[path.stem] = max(0.0, now_s - path.stat().st_mtime)
            except FileNotFoundError:
                continue
        return ages

    def withdraw(self) -> None:
        """Remove the snapshot of this process, which has ended for good. Raises `OSError`."""
        if self._directory is not None:
            (self._directory / f"{self._process}.prom").unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove every snapshot, those of an earlier life of the daemon. Raises `OSError`."""
        for path in (*self._directory.glob("*.prom"), *self._directory.glob("*.new")) if self._directory else ():
            path.unlink(missing_ok=True)


class _Collected(Collector):
    """Families that have been collected already."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        return self._families


def _merge(families: dict[str, Family], text: str, *, process: str) -> None:
    """Add the series of one process, labelled, to the families they belong to."""
    for family in text_string_to_metric_families(text):
        merged = families.setdefault(family.name, Family(family.name, family.documentation, family.type))
        for sample in family.samples:
            labels = {**sample.labels, "process": process} if process else sample.labels
            if not isnan(sample.value):
                merged.add_sample(sample.name, labels, sample.value)


class LogFormat(StrEnum):
    """How log lines look."""

    #: One JSON object a line.
    JSON = "json"
    #: For people at a terminal.
    CONSOLE = "console"


class LogLevel(StrEnum):
    """From which severity on events are written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


#: Tracebacks as fields; without local variables, which may hold secrets.
_TRACEBACKS = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))

#: Libraries that tell too much at INFO, and from which severity on they are heard.
_QUIETED = {
    "apscheduler": logging.CRITICAL,
    "cotyledon": logging.WARNING,
    "alembic": logging.WARNING,
    "urllib3": logging.WARNING,
    # Below these they repeat what Keystone was asked and what it said, trusts and tokens among it.
    "keystoneauth": logging.WARNING,
    "keystoneclient": logging.WARNING,
    "keystonemiddleware": logging.ERROR,
}


#: What `name_process` has set.
_process_fields: dict[str, str] = {}


def name_process(name: str) -> None:
    """Have every line of this process's log name it; called after the fork."""
    _process_fields["process"] = name


def _add_process(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event.update(_process_fields)
    return event


class _Forgiving:
    """A stream that is never in the way: what cannot be written (a full disk, a pipe nobody reads) is lost.

    Whoever logs is in the middle of something else, which must not fail for that.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            return self._stream.write(text)
        return 0

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


def configure_logging(*, level: LogLevel, log_format: LogFormat, stream: TextIO | None = None) -> None:
    """Send the events of alarmd and the messages of its libraries to one stream (default: standard error)."""
    number = getattr(logging, level.upper())
    output = stream or sys.stderr
    forgiving = _Forgiving(output)
    shared: list[Any] = [
        _add_process,
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: list[Any] = (
        [_TRACEBACKS, structlog.processors.JSONRenderer(default=str)]
        if log_format is LogFormat.JSON
        else [structlog.dev.ConsoleRenderer(colors=output.isatty(), exception_formatter=structlog.dev.plain_traceback)]
    )
    structlog.configure(
        processors=[*shared, *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", forgiving)),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(forgiving)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    for name, floor in _QUIETED.items():
        logging.getLogger(name).setLevel(max(floor, number))
