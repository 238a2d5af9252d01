# SPDX-License-Identifier: Apache-2.0
"""The API: what a real daemon with many alarms in its store answers in a second, and how fast it finds one of them.

The load comes from the same machine. Beside each figure stands the same against `/healthz`, which asks nothing of
anybody, so the ratio tells what alarmd itself adds to its web server.
"""

import json
import random
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, TypeAlias

from alarmd.clock import Clock
from alarmd.model.alarm import Alarm
from alarmd.store import schema
from alarmd.store.database import Database
from benchmarks.daemon import daemon
from benchmarks.definitions import alarm_id, definition
from benchmarks.postgres import postgres
from benchmarks.report import Bar, Report, Value, tell
from benchmarks.requests_load import Measured, measure, request

DatabaseName: TypeAlias = Literal["sqlite", "postgresql"]

_PROJECTS = 100
_AT_ONCE = 5_000
#: Connections that ask at the same time when it is about how much, and when it is about how fast.
_MANY, _FEW = 8, 2
_WARM_UP_S = 0.5
#: What each figure must reach: requests a second at least, or milliseconds at most.
_BARS = (
    Bar(key="create_per_s", at_least=500.0),
    Bar(key="get_per_s", at_least=1500.0),
    Bar(key="list_p99_ms", at_most=50.0),
    Bar(key="query_p99_ms", at_most=20.0),
)


def api(*, alarms: int, duration_s: float, database: DatabaseName, clock: Clock) -> Report:
    """Measure each kind of request for so long, with so many alarms stored."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="alarmd-bench-")))
        directory.chmod(0o755)  # PostgreSQL's user has to reach its own directory in it
        url = f"sqlite:///{directory}/alarmd.db"
        if database == "postgresql":
            url = stack.enter_context(postgres(directory / "pg", clock=clock))
        tell(f"storing {alarms:,} alarms in {database}")
        _store(url, alarms, clock)
        running = stack.enter_context(daemon(directory / "alarmd", store_url=url, clock=clock))

        def run(what: str, make: Callable[[int], bytes], *, connections: int, expected: int = 200) -> Measured:
            tell(f"measuring {what} over {connections} connections")
            for seconds in (_WARM_UP_S, duration_s):
                measured = measure(
                    running.address, make, expected=expected, connections=connections, duration_s=seconds, clock=clock
                )
            tell(f"  {measured.per_s:.0f} a second, p50 {measured.p50_ms:.2f} ms, p99 {measured.p99_ms:.2f} ms")
            return measured

        hello = {
            count: run("hello", lambda _: request("GET", "/healthz"), connections=count) for count in (_MANY, _FEW)
        }
        values: dict[str, Value] = {"alarms": alarms, "database": database, "hello_per_s": hello[_MANY].per_s}
        get = run("get", lambda number: _get(_scatter(number, alarms)), connections=_MANY)
        listing = run("list", lambda number: _list(_scatter(number, alarms), alarms), connections=_FEW)
        query = run("query", lambda number: _query(_scatter(number, alarms)), connections=_FEW)
        create = run("create", _create, connections=_MANY, expected=201)
        values |= {
            "create_per_s": create.per_s,
            "create_ratio": create.per_s / hello[_MANY].per_s,
            "get_per_s": get.per_s,
            "get_ratio": get.per_s / hello[_MANY].per_s,
            "hello_p99_ms": hello[_FEW].p99_ms,
        }
        for name, measured in (("list", listing), ("query", query)):
            values |= {
                f"{name}_p50_ms": measured.p50_ms,
                f"{name}_p99_ms": measured.p99_ms,
                f"{name}_ratio": measured.p50_ms / hello[_FEW].p50_ms,
            }
    return Report(name="api", values=values, bars=_BARS)


def _store(url: str, alarms: int, clock: Clock) -> None:
    """Put alarms into the database as the API would."""
    schema.upgrade(url)
    database = Database.connect(url)
    for start in range(0, alarms, _AT_ONCE):
        with database.write() as unit:
            unit.alarms.add_all([_alarm(number, clock) for number in range(start, min(start + _AT_ONCE, alarms))])
    database.close()


def _alarm(number: int, clock: Clock) -> Alarm:
    alarm = definition(
        number,
        project_id=f"project-{number % _PROJECTS}",
        at=clock.now() - timedelta(seconds=number / 1000),
        rule=_rule(number) | {"exclude_outliers": False},
    )
    return replace(alarm, alarm_actions=("http://127.0.0.1:9/out",), repeat_actions=True)


def _rule(number: int) -> dict[str, Any]:
    return {
        "meter_name": "cpu_util",
        "query": [{"field": "resource_id", "op": "eq", "value": f"vm-{number}"}],
        "statistic": "avg",
        "period": 300,
        "evaluation_periods": 1,
        "comparison_operator": "gt",
        "threshold": 80.0,
    }


def _scatter(number: int, alarms: int) -> int:
    """Return the alarm that a request is about: any of them, the same in every run."""
    return random.Random(number).randrange(alarms)


def _identity(number: int) -> list[tuple[str, str]]:
    return [("X-Project-Id", f"project-{number % _PROJECTS}"), ("X-User-Id", "engine"), ("X-Roles", "member,reader")]


def _get(number: int) -> bytes:
    return request("GET", f"/v2/alarms/{alarm_id(number)}", headers=_identity(number))


def _list(number: int, alarms: int) -> bytes:
    """Ask for a page of 100 of an administrator's list of all projects, anywhere in it."""
    marker = alarm_id(number % max(alarms - 100, 1))
    path = f"/v2/alarms?q.field=all_projects&q.value=true&limit=100&marker={marker}"
    return request("GET", path, headers=[("X-Roles", "admin"), ("X-Project-Id", "ops"), ("X-User-Id", "root")])


def _query(number: int) -> bytes:
    body = json.dumps({"filter": json.dumps({"=": {"name": f"alarm-{number}"}})}).encode()
    return request("POST", "/v2/query/alarms", headers=_identity(number), body=body)


def _create(number: int) -> bytes:
    alarm = {
        "name": f"new-{number}",
        "type": "threshold",
        "description": None,
        "enabled": True,
        "severity": "low",
        "repeat_actions": True,
        "alarm_actions": ["http://127.0.0.1:9/out"],
        "ok_actions": [],
        "insufficient_data_actions": [],
        "time_constraints": [],
        "threshold_rule": _rule(number),
    }
    return request("POST", "/v2/alarms", headers=_identity(number), body=json.dumps(alarm).encode())
