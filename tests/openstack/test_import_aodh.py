# SPDX-License-Identifier: Apache-2.0
"""`alarmd import aodh` from the Aodh as released: over its API and from its databases, once and again."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
import requests
from click.testing import CliRunner
from sqlalchemy import create_engine, text

from alarmd.cli.main import main
from tests.openstack.aodh_service import aodh_api
from tests.support.daemon import Daemon, daemon
from tests.support.servers import PostgresServer

ROOT: Final = {"X-User-Id": "root", "X-Project-Id": "ops", "X-Roles": "admin"}
ANN: Final = {"X-User-Id": "ann", "X-Project-Id": "web", "X-Roles": "member,reader"}

THRESHOLDS: Final = {"threshold": 80.0, "aggregation_method": "mean", "comparison_operator": "gt"}
QUERY: Final = {"=": {"server_group": "x"}}
RULES: Final[Mapping[str, Any]] = {
    "gnocchi_resources_threshold": {"metric": "cpu", "resource_id": "vm", "resource_type": "instance", **THRESHOLDS},
    "gnocchi_aggregation_by_metrics_threshold": {"metrics": ["a", "b"], "granularity": 300, **THRESHOLDS},
    "gnocchi_aggregation_by_resources_threshold": {
        "metric": "cpu",
        "resource_type": "instance",
        "query": json.dumps(QUERY),
        **THRESHOLDS,
    },
    "composite": {
        "or": [
            {
                "type": "gnocchi_resources_threshold",
                "metric": "m",
                "resource_id": "r",
                "resource_type": "i",
                **THRESHOLDS,
            },
            {"and": [{"type": "gnocchi_aggregation_by_metrics_threshold", "metrics": ["a"], **THRESHOLDS}]},
        ]
    },
    "event": {
        "event_type": "compute.*",
        "query": [{"field": "traits.instance_id", "op": "eq", "type": "string", "value": "vm"}],
    },
    "loadbalancer_member_health": {"pool_id": "pool", "stack_id": "stack", "autoscaling_group_id": "group"},
    "prometheus": {"query": 'up{job="web"}', "threshold": 1.0, "comparison_operator": "lt"},
}
WRAPPED: Final = "gnocchi_aggregation_by_resources_threshold"


class Server:
    """An Aodh or an alarmd, asked by somebody."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, method: str, path: str, body: Any = None, *, who: Mapping[str, str] = ROOT) -> Any:
        """Return the decoded answer; fails unless the status is a success."""
        answer = requests.request(method, f"{self.url}{path}", json=body, headers=dict(who), timeout=60)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def alarm(self, alarm_id: str) -> dict[str, Any]:
        """Return an alarm as an admin sees it, its query bare."""
        alarm: dict[str, Any] = self.ask("GET", f"/v2/alarms/{alarm_id}")
        if alarm["type"] == WRAPPED:
            query = json.loads(alarm[f"{WRAPPED}_rule"]["query"])
            while "and" in query:
                query = query["and"][1]
            alarm[f"{WRAPPED}_rule"]["query"] = query
        return alarm

    def history(self, alarm_id: str) -> list[dict[str, Any]]:
        """Return an alarm's history, oldest first, its details decoded and queries left out of them."""
        changes: list[dict[str, Any]] = self.ask("GET", f"/v2/alarms/{alarm_id}/history?sort=timestamp:asc")
        return [change | {"detail": json.loads(change["detail"])} for change in changes]

    def replace(self, alarm_id: str, *, who: Mapping[str, str] = ROOT, **changes: Any) -> None:
        """Change an alarm as clients do: by all of it."""
        self.ask("PUT", f"/v2/alarms/{alarm_id}", self.ask("GET", f"/v2/alarms/{alarm_id}", who=who) | changes, who=who)


class OldAodh(Server):
    """An Aodh at the end of its days: alarms of all types, with a past."""

    def __init__(self, url: str, database_url: str) -> None:
        super().__init__(url)
        self.database_url = database_url
        self.ids = [self.create(kind) for kind in RULES]
        #: What an administrator made for itself, which Aodh does not confine.
        self.admins = self.create(WRAPPED, who=ROOT)
        self.ids.append(self.admins)
        for number, alarm_id in enumerate(self.ids[:-1]):
            self.replace(alarm_id, who=ANN, severity="critical", name=f"alarm {number}")
            self.replace(alarm_id, who=ANN, enabled=bool(number % 2), repeat_actions=True)
            self.ask("PUT", f"/v2/alarms/{alarm_id}/state", ("ok", "alarm")[number % 2], who=ANN)
        self.ask("POST", "/v2/quotas", {"project_id": "web", "quotas": [{"resource": "alarms", "limit": 30}]})
        self.entrust(self.ids[0])

    def create(self, kind: str, *, who: Mapping[str, str] = ANN) -> str:
        """Create an alarm and return its id."""
        body = {
            "name": kind,
            "type": kind,
            f"{kind}_rule": RULES[kind],
            "alarm_actions": ["http://receiver/out?a=b%20c"],
            "time_constraints": [
                {"name": "morning", "start": "0 8 * * *", "duration": 3600, "timezone": "Europe/Rome"}
            ],
        }
        return str(self.ask("POST", "/v2/alarms", body, who=who)["alarm_id"])

    def entrust(self, alarm_id: str) -> None:
        """Give an alarm an action with a trust, as Aodh stores it when there is a Keystone."""
        engine = create_engine(self.database_url)
        with engine.begin() as connection:
            statement = text("UPDATE alarm SET ok_actions = :actions WHERE alarm_id = :alarm_id")
            actions = json.dumps(["trust+http://0123abc:delete@heat/signal"])
            connection.execute(statement, {"actions": actions, "alarm_id": alarm_id})
        engine.dispose()


@pytest.fixture(scope="module", params=["postgresql", "sqlite"])
def aodh(
    request: pytest.FixtureRequest, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OldAodh]:
    """An old Aodh on each of its databases."""
    home = tmp_path_factory.mktemp("old-aodh")
    with ExitStack() as stack:
        if request.param == "sqlite":
            database_url = f"sqlite:///{home / 'aodh.sqlite'}"
        else:
            database_url = stack.enter_context(postgres_server.database())
        url = stack.enter_context(aodh_api(home, database_url=database_url))
        yield OldAodh(url, database_url)


@contextmanager
def new_alarmd(folder: Path) -> Iterator[Daemon]:
    """Run an alarmd without alarms that evaluates nothing."""
    environ = {"ALARMD_API__AUTH": "trusted-headers"}
    with daemon(folder / "state", options=["--roles", "api"], environ=environ) as running:
        yield running


def bring(alarmd: Daemon, *arguments: str) -> dict[str, Any]:
    """Import into a running alarmd and return what was told."""
    options = ["--state-dir", str(alarmd.state_dir), "--format", "json"]
    result = CliRunner().invoke(main, ["import", "aodh", *arguments, *options])
    assert result.exit_code == 0, result.output
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def tally(**counts: int) -> dict[str, int]:
    """Return what is told of one kind of things."""
    return {"brought": 0, "changed": 0, "unchanged": 0, "kept": 0, "skipped": 0} | counts


def check_same(aodh: OldAodh, alarmd: Server) -> None:
    """Compare everything that clients see."""
    for alarm_id in aodh.ids:
        assert aodh.alarm(alarm_id) == alarmd.alarm(alarm_id)
        assert aodh.history(alarm_id) == alarmd.history(alarm_id)


def test_everything_comes_from_the_database_once(aodh: OldAodh, tmp_path: Path) -> None:
    """Alarms, history and quotas are what they were; a second import finds nothing to do; trusts are kept aside."""
    with new_alarmd(tmp_path) as running:
        alarmd = Server(running.url)
        dry = bring(running, "--from-db", aodh.database_url, "--dry-run")
        nothing = alarmd.ask("POST", "/v2/query/alarms", {})
        first = bring(running, "--from-db", aodh.database_url)
        second = bring(running, "--from-db", aodh.database_url)
        changes = sum(len(aodh.history(alarm_id)) for alarm_id in aodh.ids)

        assert [] == nothing
        assert tally(brought=len(aodh.ids)) == first["alarms"] == dry["alarms"]
        assert tally(brought=changes) == first["history"] == dry["history"]
        assert tally(brought=1) == first["quotas"] == dry["quotas"]
        assert (tally(unchanged=len(aodh.ids)), tally(unchanged=changes), tally(unchanged=1)) == (
            second["alarms"],
            second["history"],
            second["quotas"],
        )
        check_same(aodh, alarmd)
        assert ["trust+http://heat/signal"] == alarmd.alarm(aodh.ids[0])["ok_actions"]
        assert aodh.ask("GET", "/v2/quotas?project_id=web") == alarmd.ask("GET", "/v2/quotas?project_id=web")
    stored = create_engine(f"sqlite:///{running.state_dir / 'alarmd.db'}")
    with stored.connect() as connection:
        rows = connection.execute(text("SELECT alarm_id, trust_id, confined FROM alarms")).all()
    stored.dispose()
    assert {aodh.ids[0]: "0123abc"} == {row.alarm_id: row.trust_id for row in rows if row.trust_id}
    assert {aodh.admins} == {row.alarm_id for row in rows if not row.confined}


def test_later_changes_come_over_and_ours_stay(aodh: OldAodh, tmp_path: Path) -> None:
    """What changes there is brought, what changed here is left alone, until the Aodh's word is wanted."""
    theirs, ours, both = aodh.ids[1:4]
    with new_alarmd(tmp_path) as running:
        alarmd = Server(running.url)
        bring(running, "--from-db", aodh.database_url)
        alarmd.replace(ours, name="ours")
        alarmd.replace(both, name="ours")
        aodh.replace(theirs, who=ANN, name=f"theirs {uuid4()}")
        aodh.replace(both, who=ANN, name=f"theirs {uuid4()}")
        new = aodh.create("event")
        aodh.ids.append(new)
        later = bring(running, "--from-db", aodh.database_url)

        assert tally(brought=1, changed=1, kept=1, unchanged=len(aodh.ids) - 3) == later["alarms"]
        assert tally(brought=3, unchanged=later["history"]["unchanged"]) == later["history"]
        assert aodh.alarm(theirs) == alarmd.alarm(theirs)
        assert ("ours", "ours") == (alarmd.alarm(ours)["name"], alarmd.alarm(both)["name"])
        assert [both] == [remark["subject"] for remark in later["remarks"] if remark["kind"] == "kept"]

        bring(running, "--from-db", aodh.database_url, "--overwrite")

        assert [aodh.alarm(alarm_id) for alarm_id in aodh.ids] == [alarmd.alarm(alarm_id) for alarm_id in aodh.ids]


def test_the_same_comes_over_the_api(aodh: OldAodh, tmp_path: Path) -> None:
    """To an administrator everything, trusts too; to a member its own project's."""
    with new_alarmd(tmp_path) as running:
        alarmd = Server(running.url)
        members = bring(
            running, "--from-url", aodh.url, "--project", "web", "--user", "ann", "--roles", "member,reader"
        )
        first = bring(running, "--from-url", aodh.url)
        second = bring(running, "--from-url", aodh.url)
        from_database = bring(running, "--from-db", aodh.database_url)

        assert (tally(brought=len(aodh.ids) - 1), tally(brought=1, unchanged=len(aodh.ids) - 1)) == (
            members["alarms"],
            first["alarms"],
        )
        assert tally(unchanged=len(aodh.ids)) == second["alarms"] == from_database["alarms"]
        assert tally() == first["quotas"]
        check_same(aodh, alarmd)


# On SQLite an Aodh that was asked a complex query writes no more, so what asks one stands last, and this elsewhere.
@pytest.mark.parametrize("aodh", ["postgresql"], indirect=True)
def test_quotas_come_over_the_api_when_they_are_asked_for(aodh: OldAodh, tmp_path: Path) -> None:
    """Asking has Aodh store -1 for projects that have none, which would refuse their next alarm; none is left so."""
    with new_alarmd(tmp_path) as running:
        told = bring(running, "--from-url", aodh.url, "--quotas")
        engine = create_engine(aodh.database_url)
        with engine.connect() as connection:
            stored = connection.execute(text('SELECT project_id, "limit" FROM quota')).all()
        engine.dispose()

        assert tally(brought=1) == told["quotas"]
        assert [("web", 30)] == [tuple(row) for row in stored]
