# SPDX-License-Identifier: Apache-2.0
"""The REST door, opened for a test over a real database and a real sample log (both SQLite)."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from alarmd import plugins
from alarmd.alarms import AlarmService, DeliveryService, Drafting, NoTrusts, QuotaService, ResultService, TrustKeeper
from alarmd.alarms.actions import ActionRules
from alarmd.alarms.quotas import QuotaDefaults
from alarmd.alarms.secrets import SecretService
from alarmd.alarms.silences import SilenceLimits, SilenceService
from alarmd.api.access import loopback, trusted_headers
from alarmd.api.app import create_app
from alarmd.api.context import Access, ApiContext, ApiLimits, Identify
from alarmd.api.tokens import Tokens
from alarmd.cache.log import LogLimits, LogPlugin, SampleLog
from alarmd.cache.window import WindowLimits
from alarmd.clock import Clock, ManualClock
from alarmd.cluster.doorbell import Bell, Doorbell, Listener
from alarmd.evaluators.answers.explaining import Explanations
from alarmd.evaluators.answers.previews import Previews
from alarmd.evaluators.answers.surroundings import Surroundings
from alarmd.evaluators.event_evaluation import EventEvaluation
from alarmd.evaluators.family import RuleFamily, RuleLimits
from alarmd.evaluators.plan import PlanOptions
from alarmd.evaluators.schedules.schedule import Schedule, normalise_constraints
from alarmd.policy import Policy, TablePolicy
from alarmd.store import schema
from alarmd.store.database import Database
from alarmd.store.gate import GateLimits

_IDENTIFY: dict[Access, Identify] = {Access.LOOPBACK: loopback, Access.TRUSTED_HEADERS: trusted_headers}

#: Headers of callers in trusted-headers mode, or of others than the administrator on loopback.
ADMIN = {"X-User-Id": "root", "X-Project-Id": "ops", "X-Roles": "admin"}
ANN = {"X-User-Id": "ann", "X-Project-Id": "p1", "X-Roles": "member,reader"}
BOB = {"X-User-Id": "bob", "X-Project-Id": "p2", "X-Roles": "member,reader"}
EVE = {"X-User-Id": "eve", "X-Project-Id": "p1", "X-Roles": "reader"}


class CountingDoorbell:
    """Counts rings; nobody listens."""

    def __init__(self) -> None:
        self.rung: list[Bell] = []

    def ring(self, bell: Bell) -> None:
        """Note the ring."""
        self.rung.append(bell)

    def listen(self, *bells: Bell) -> Listener:
        """Refuse: what is behind the door waits for nothing."""
        raise NotImplementedError(bells)

    def close(self) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """An open door and what lies behind it."""

    app: Flask
    context: ApiContext
    clock: ManualClock
    doorbell: CountingDoorbell
    log: SampleLog
    database: Database

    def send(self, method: str, path: str, data: Any = None, **options: Any) -> TestResponse:
        """Send a request; `data` becomes a JSON body."""
        if data is not None:
            options |= {"data": json.dumps(data), "content_type": "application/json"}
        return self.app.test_client().open(path, method=method, **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        """Send a GET."""
        return self.send("GET", path, **options)

    def post(self, path: str, data: Any = None, **options: Any) -> TestResponse:
        """Send a POST."""
        return self.send("POST", path, data, **options)

    def put(self, path: str, data: Any = None, **options: Any) -> TestResponse:
        """Send a PUT."""
        return self.send("PUT", path, data, **options)

    def delete(self, path: str, **options: Any) -> TestResponse:
        """Send a DELETE."""
        return self.send("DELETE", path, **options)

    def close(self) -> None:
        """Let go of files."""
        self.log.close()
        self.database.close()


@cache
def _empty_database() -> bytes:
    """Return a database file with the schema and nothing in it: copying it is quicker than making it for each test."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "alarmd.db"
        schema.upgrade(f"sqlite:///{path}")
        return path.read_bytes()


def new_database(folder: Path) -> Database:
    """Return the database `alarmd.db` of a directory, made empty when there is none."""
    path = folder / "alarmd.db"
    if not path.exists():
        path.write_bytes(_empty_database())
    return Database.connect(f"sqlite:///{path}")


def rule_families() -> dict[str, RuleFamily]:
    """Return every family of rules that is installed, with the default limits."""
    built: dict[str, RuleFamily] = {}
    for name in plugins.names("alarmd.evaluators"):
        built[name] = plugins.load("alarmd.evaluators", name)(RuleLimits(window_s=3600, lateness_s=10), built.get)
    return built


def alarm_service(
    *,
    database: Database,
    doorbell: Doorbell,
    clock: Clock,
    policy: Policy | None = None,
    quotas: QuotaService | None = None,
    trusts: TrustKeeper | None = None,
    check_target: Callable[[str, str], None] = lambda _url, _project_id: None,
    max_actions: int = 10,
) -> AlarmService:
    """Return what decides about alarms, with every family of rules and every scheme that is installed."""
    policy = policy or TablePolicy()
    actions = ActionRules(
        schemes=frozenset(plugins.names("alarmd.notifiers")),
        check_target=check_target,
        max_actions=max_actions,
        policy=policy,
    )
    return AlarmService(
        database=database,
        drafting=Drafting(
            rule_types=rule_families(), normalise_constraints=normalise_constraints, actions=actions, policy=policy
        ),
        quotas=quotas or QuotaService(database=database, policy=policy, defaults=QuotaDefaults()),
        trusts=trusts or NoTrusts(),
        policy=policy,
        doorbell=doorbell,
        clock=clock,
    )


def open_door(
    state_dir: Path,
    *,
    access: Access = Access.LOOPBACK,
    limits: ApiLimits | None = None,
    ready: Any = dict,
    count_results: bool = False,
    database_url: str | None = None,
    trusts: TrustKeeper | None = None,
    silence_limits: SilenceLimits | None = None,
    **others: Any,
) -> Door:
    """Return a door before the database `alarmd.db` and the log of a directory, or before another database."""
    path = state_dir / "alarmd.db"
    if database_url is None and not path.exists():
        path.write_bytes(_empty_database())
    database = Database.connect(database_url or f"sqlite:///{path}")
    clock, doorbell = ManualClock(), CountingDoorbell()
    plugin: LogPlugin = plugins.load("alarmd.logs", "sqlite")
    log = plugin.build(
        options=plugin.options(),
        state_dir=state_dir,
        limits=LogLimits(retention_s=7200, max_bytes=1 << 28),
        clock=clock,
    )
    policy = TablePolicy()
    quotas = QuotaService(database=database, policy=policy, defaults=QuotaDefaults())
    alarms = alarm_service(
        database=database, policy=policy, quotas=quotas, trusts=trusts, doorbell=doorbell, clock=clock
    )
    surroundings = Surroundings(
        database=database,
        log=log,
        retention_s=7200,
        families=rule_families(),
        window=WindowLimits(length_s=3600, lateness_s=10),
        plan=PlanOptions(lateness_s=10, repeat_interval_s=60),
        tick_s=1,
        timeout_s=20,
        clock=clock,
    )
    given: dict[str, Any] = {
        "alarms": alarms,
        "deliveries": DeliveryService(database=database, policy=policy, doorbell=doorbell, clock=clock),
        "secrets": SecretService(database=database, policy=policy, clock=clock),
        "quotas": quotas,
        "results": ResultService(database=database, policy=policy, is_enabled=count_results),
        "silences": SilenceService(
            database=database,
            policy=policy,
            normalise_constraints=normalise_constraints,
            read_hours=Schedule.of,
            limits=silence_limits or SilenceLimits(),
            clock=clock,
        ),
        "events": EventEvaluation(
            database=database, doorbell=doorbell, clock=clock, gate=GateLimits(read_hours=Schedule.of)
        ),
        "previews": Previews(surroundings),
        "explanations": Explanations(surroundings, servers={}),
        "policy": policy,
        "database": database,
        "log": log,
        "doorbell": doorbell,
        "clock": clock,
        "ready": ready,
        "metrics": lambda: b"alarmd_alarms 3\n",
        "rule_bodies": {name: family.body for name, family in rule_families().items()},
        "identify": Tokens(database=database, clock=clock) if access is Access.TOKENS else _IDENTIFY[access],
        "limits": limits or ApiLimits(),
    }
    context = ApiContext(**given | others)
    return Door(app=create_app(context), context=context, clock=clock, doorbell=doorbell, log=log, database=database)


def error_of(response: TestResponse) -> str:
    """Return the text of an error; fails unless the answer is an error object in Aodh's shape."""
    data = response.get_json()
    message = data["error_message"]
    assert set(message) == {"faultcode", "faultstring", "debuginfo"}, data
    assert message["faultcode"] == ("Server" if response.status_code >= 500 else "Client"), data
    assert message["debuginfo"] is None, data
    assert response.mimetype == "application/json", response.mimetype
    text: str = message["faultstring"]
    return text
