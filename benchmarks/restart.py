# SPDX-License-Identifier: Apache-2.0
"""The cold start: how long a real daemon with a full log and many stored alarms takes until it is of use again.

The alarms are stored as a daemon left them, so none of them is to change but one: when that change is stored, the log
has been replayed, all alarms are compiled and the first tick is over.
"""

import tempfile
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from alarmd.cache.log import LogLimits
from alarmd.cache.sqlite_log import SqliteLog, SqliteLogOptions
from alarmd.clock import Clock
from alarmd.model.alarm import State
from alarmd.store import schema
from alarmd.store.database import Database
from benchmarks.daemon import events, started
from benchmarks.definitions import alarm_id, definition
from benchmarks.full_log import MEAN, WATCHED, Estate, LogFiller
from benchmarks.loopback import Client
from benchmarks.process import Program, free_port
from benchmarks.report import Bar, Report, Value, tell

_AT_ONCE = 5_000
#: Alarms look at the last minute; the newest samples are a few seconds old when the daemon starts.
_PERIOD_S = 60
#: A value that no mean of a minute reaches, and one that every mean exceeds.
_NEVER, _ALWAYS = 2 * MEAN, MEAN / 2
#: The start is given up after that, and looked at this often.
_PATIENCE_S, _LOOK_S = 900.0, 0.02
#: More than any log here holds: the daemon must not trim what it is to read.
_MAX_BYTES = 1 << 40
_MIB = 2**20
_BARS = (Bar(key="ready_s", at_most=10.0),)
#: The bars are for so many alarms at most; what more of them take is told without.
_BAR_ALARMS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """How far a start had come when, in seconds after its beginning."""

    ready_s: float
    #: Processor time of all processes until then.
    cpu_s: float
    verdict_s: float
    #: What all processes hold then, in bytes, what they share counted once.
    held: int


def restart(*, estate: Estate, length_s: float, alarms: int, clock: Clock) -> Report:
    """Measure the start with the log that an estate fills in so long, and with so many alarms."""
    with tempfile.TemporaryDirectory(prefix="alarmd-bench-") as name:
        directory = Path(name)
        file, url = directory / "state" / "samples.db", f"sqlite:///{directory}/alarmd.db"
        tell(f"filling a log with {length_s:g} s of {estate.machines:,} machines in {estate.projects:,} projects")
        limits = LogLimits(retention_s=2 * length_s, max_bytes=_MAX_BYTES)
        with closing(SqliteLog(file, limits=limits, options=SqliteLogOptions())) as log:
            filler = LogFiller(log, estate, since_s=clock.time_s() - length_s, clock=clock)
            filler.catch_up()
            tell(f"storing {alarms:,} alarms")
            _store(url, estate, alarms, clock)
            filler.catch_up()
            entries = log.stats().entries
        floor_s = _read_s(file, clock)
        tell("starting alarmd")
        start = _start(directory, url, clock)
        values: dict[str, Value] = {
            "machines": estate.machines,
            "metrics": estate.metrics,
            "projects": estate.projects,
            "samples": filler.samples,
            "entries": entries,
            "log_mib": file.stat().st_size / _MIB,
            "alarms": alarms,
            "ready_s": start.ready_s,
            "ready_cpu_s": start.cpu_s,
            "first_verdict_s": start.verdict_s,
            "floor_s": floor_s,
            "floor_ratio": start.ready_s / floor_s,
            "held_mib": start.held / _MIB,
        }
    return Report(name="restart", values=values, bars=_BARS if alarms <= _BAR_ALARMS else ())


def _start(directory: Path, url: str, clock: Clock) -> _Start:
    address = f"127.0.0.1:{free_port()}"
    began_s, began = clock.monotonic_s(), clock.now()
    with started(
        directory,
        listen=address,
        settings={"STORE__URL": url, "LOG__MAX_BYTES": str(_MAX_BYTES), "LOG__RETENTION_S": "86400"},
        clock=clock,
    ) as program:
        program.wait_until(lambda: _is_ready(address), what="readiness", timeout_s=_PATIENCE_S, every_s=_LOOK_S)
        ready_s, cpu_s = clock.monotonic_s() - began_s, sum(map(_cpu_s, _family(program)))
        program.wait_until(
            lambda: bool(_verdicts(program.output)), what="a verdict", timeout_s=_PATIENCE_S, every_s=_LOOK_S
        )
        verdict = datetime.fromisoformat(_verdicts(program.output)[0]["timestamp"])
        held = sum(one.memory_full_info().pss for one in _family(program))
        return _Start(ready_s=ready_s, cpu_s=cpu_s, verdict_s=(verdict - began).total_seconds(), held=held)


def _family(program: Program) -> list[psutil.Process]:
    daemon = psutil.Process(program.pid)
    return [daemon, *daemon.children(recursive=True)]


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _is_ready(address: str) -> bool:
    try:
        with Client(address) as client:
            return client.get("/readyz")[0] == 200
    except OSError:  # nobody listens yet
        return False


def _verdicts(output: Path) -> list[dict[str, Any]]:
    return [one for one in events(output, "alarm_transitioned") if one["alarm_id"] == alarm_id(0)]


def _store(url: str, estate: Estate, alarms: int, clock: Clock) -> None:
    """Put alarms into the database that are ok and stay so, but for the first."""
    schema.upgrade(url)
    at = clock.now()
    with closing(Database.connect(url)) as database:
        for start in range(0, alarms, _AT_ONCE):
            part = [
                definition(
                    number,
                    project_id=estate.resource(number % estate.machines).project_id,
                    at=at,
                    rule=_rule(estate, number),
                    state=State.OK,
                )
                for number in range(start, min(start + _AT_ONCE, alarms))
            ]
            with database.write() as unit:
                unit.alarms.add_all(part)


def _rule(estate: Estate, number: int) -> dict[str, Any]:
    return {
        "meter_name": WATCHED,
        "query": [
            {"field": "resource_id", "op": "eq", "value": estate.resource(number % estate.machines).id},
        ],
        "statistic": "avg",
        "period": _PERIOD_S,
        "evaluation_periods": 1,
        "comparison_operator": "gt",
        "threshold": _NEVER if number else _ALWAYS,
        "exclude_outliers": False,
    }


def _read_s(file: Path, clock: Clock) -> float:
    """Return how long it takes to read a file once, in s."""
    started_s = clock.monotonic_s()
    with file.open("rb", buffering=0) as opened:
        while opened.read(_MIB):
            pass
    return clock.monotonic_s() - started_s
