# SPDX-License-Identifier: Apache-2.0
"""§1.4, §1.5 and §6: filters, pages and orders of alarms and of their history."""

from typing import Final

from tests.openstack.differential.bodies import alarm
from tests.openstack.differential.request import ANN, BOB, ROOT, Cases, Step, create, delete, get, post, put

#: Four alarms of one project and one of another, told apart by everything that can be filtered and sorted by.
FLEET: Final = (
    create(alarm(name="d", severity="critical", enabled=False, state="ok", description="x")),
    create(alarm("prometheus", name="b", severity="low", state="alarm", repeat_actions=True), keep="b"),
    create(alarm(name="c", severity="moderate", state="ok"), keep="c"),
    create(alarm("composite", name="a", severity="low", enabled=False), keep="d"),
    create(alarm(name="of another"), BOB, keep="e"),
)


def _listed(arguments: str, who: dict[str, str] = ANN) -> tuple[Step, ...]:
    return (*FLEET, get(f"/v2/alarms?{arguments}", who))


_FILTERS: Final = {
    "name": "q.field=name&q.op=eq&q.value=b",
    "name, nothing found": "q.field=name&q.op=eq&q.value=nothing",
    "name that is a number": "q.field=name&q.op=eq&q.value=1",
    "name that is None": "q.field=name&q.op=eq&q.value=None",
    "name as a number by type": "q.field=name&q.op=eq&q.value=1&q.type=string",
    "type": "q.field=type&q.op=eq&q.value=prometheus",
    "state": "q.field=state&q.op=eq&q.value=ok",
    "severity": "q.field=severity&q.op=eq&q.value=low",
    "unknown severity": "q.field=severity&q.op=eq&q.value=bogus",
    "user": "q.field=user_id&q.op=eq&q.value=$ann",
    "project": "q.field=project_id&q.op=eq&q.value=$p1",
    "another project": "q.field=project_id&q.op=eq&q.value=$p2",
    "another user": "q.field=user_id&q.op=eq&q.value=$bob",
    "enabled True": "q.field=enabled&q.op=eq&q.value=True",
    "enabled False": "q.field=enabled&q.op=eq&q.value=False",
    "enabled true": "q.field=enabled&q.op=eq&q.value=true",
    "enabled false": "q.field=enabled&q.op=eq&q.value=false",
    "enabled true by type": "q.field=enabled&q.op=eq&q.value=true&q.type=boolean",
    "enabled false by type": "q.field=enabled&q.op=eq&q.value=false&q.type=boolean",
    "enabled maybe by type": "q.field=enabled&q.op=eq&q.value=maybe&q.type=boolean",
    "enabled maybe": "q.field=enabled&q.op=eq&q.value=maybe",
    "repeat_actions": "q.field=repeat_actions&q.op=eq&q.value=True",
    "timestamp by type": "q.field=timestamp&q.op=eq&q.value=2020-01-01T00:00:00&q.type=datetime",
    "timestamp without a type": "q.field=timestamp&q.op=eq&q.value=2020-01-01T00:00:00",
    "timestamp in words": "q.field=timestamp&q.op=eq&q.value=yesterday&q.type=datetime",
    "no op": "q.field=name&q.value=b",
    "empty op": "q.field=name&q.op=&q.value=b",
    "empty type": "q.field=name&q.op=eq&q.value=b&q.type=",
    **{f"op {op}": f"q.field=name&q.op={op}&q.value=b" for op in ("ne", "lt", "le", "gt", "ge", "bogus", "in")},
    "unknown type": "q.field=name&q.op=eq&q.value=b&q.type=text",
    "type that does not fit": "q.field=name&q.op=eq&q.value=b&q.type=integer",
    "float type": "q.field=name&q.op=eq&q.value=b&q.type=float",
    "no value": "q.field=name&q.op=eq",
    "empty value": "q.field=name&q.op=eq&q.value=",
    "no field": "q.op=eq&q.value=b",
    "unknown field": "q.field=bogus&q.op=eq&q.value=b",
    "alarm_id is no field": "q.field=alarm_id&q.op=eq&q.value=b",
    "description is no field": "q.field=description&q.op=eq&q.value=x",
    "two conditions": "q.field=severity&q.op=eq&q.value=low&q.field=enabled&q.op=eq&q.value=True",
    "two conditions of one field": "q.field=name&q.op=eq&q.value=a&q.field=name&q.op=eq&q.value=b",
    "q=x": "q=x",
    "q.foo": "q.foo=x",
    "all_projects false": "q.field=all_projects&q.op=eq&q.value=false",
    "all_projects true": "q.field=all_projects&q.op=eq&q.value=true",
    "all_projects maybe": "q.field=all_projects&q.op=eq&q.value=maybe",
    "a percent sign": "q.field=name&q.op=eq&q.value=%25",
    "a quote": "q.field=name&q.op=eq&q.value=%27",
}

_PAGES: Final = {
    "limit 2": "sort=name&limit=2",
    "limit 0": "sort=name&limit=0",
    "limit -1": "limit=-1",
    "limit x": "limit=x",
    "limit 1.5": "limit=1.5",
    "limit empty": "sort=name&limit=",
    "marker": "sort=name&marker=$b",
    "marker and limit": "sort=name&marker=$b&limit=1",
    "marker, descending": "sort=name:desc&marker=$b",
    "marker, default order": "marker=$c",
    "unknown marker": "sort=name&marker=deadbeef",
    "empty marker": "sort=name&marker=",
    "marker of another project": "sort=name&marker=$e",
    "sort name": "sort=name",
    "sort name:asc": "sort=name%3Aasc",
    "sort name:desc": "sort=name:desc",
    "sort name:bogus": "sort=name:bogus",
    "sort name:": "sort=name:",
    "sort bogus": "sort=bogus",
    "sort empty": "sort=",
    "sort by two": "sort=state&sort=name:desc",
    "sort severity": "sort=severity&sort=name",
    "sort severity:desc": "sort=severity:desc&sort=name",
    "sort enabled": "sort=enabled&sort=name",
    "sort type": "sort=type&sort=name",
    "sort user": "sort=user_id&sort=name",
    "sort project": "sort=project_id&sort=name",
    "sort repeat_actions": "sort=repeat_actions&sort=name",
    "sort timestamp": "sort=timestamp",
    "sort state_timestamp": "sort=state_timestamp:desc",
    "sort description": "sort=description",
    "default order": "",
}

#: An alarm with a history of five records.
_STORY: Final = (
    create(alarm(severity="low")),
    put("/v2/alarms/$a/state", "ok"),
    put("/v2/alarms/$a", alarm(severity="critical", state="ok")),
    put("/v2/alarms/$a/state", "alarm"),
    put("/v2/alarms/$a", alarm(severity="critical", state="alarm", enabled=False)),
    get("/v2/alarms/$a/history", keep={"newest": "0.event_id", "third": "2.event_id", "oldest": "4.event_id"}),
)

_HISTORY: Final = {
    "all of it": "",
    "limit": "limit=2",
    "limit 0": "limit=0",
    "limit -1": "limit=-1",
    "marker": "marker=$third",
    "marker and limit": "marker=$third&limit=1",
    "last marker": "marker=$oldest",
    "unknown marker": "marker=deadbeef",
    "ascending": "sort=timestamp:asc",
    "ascending after a marker": "sort=timestamp:asc&marker=$third",
    "sort type": "sort=type&sort=timestamp",
    "sort bogus": "sort=bogus",
    "sort severity": "sort=severity&sort=timestamp",
    "sort detail": "sort=detail",
    "sort bad direction": "sort=timestamp:up",
    "type": "q.field=type&q.op=eq&q.value=rule change",
    "type, state transition": "q.field=type&q.op=eq&q.value=state%20transition",
    "type, unknown": "q.field=type&q.op=eq&q.value=bogus",
    "severity": "q.field=severity&q.op=eq&q.value=critical",
    "user": "q.field=user&q.op=eq&q.value=$ann",
    "user_id": "q.field=user_id&q.op=eq&q.value=$ann",
    "project": "q.field=project&q.op=eq&q.value=$p1",
    "project_id": "q.field=project_id&q.op=eq&q.value=$p1",
    "another project": "q.field=project_id&q.op=eq&q.value=$p2",
    "timestamp gt, long ago": "q.field=timestamp&q.op=gt&q.value=2020-01-01T00:00:00",
    "timestamp ge, long ago": "q.field=timestamp&q.op=ge&q.value=2020-01-01T00:00:00",
    "timestamp lt, long ago": "q.field=timestamp&q.op=lt&q.value=2020-01-01T00:00:00",
    "timestamp le, long ago": "q.field=timestamp&q.op=le&q.value=2020-01-01T00:00:00",
    "timestamp eq": "q.field=timestamp&q.op=eq&q.value=2020-01-01T00:00:00",
    "timestamp in words": "q.field=timestamp&q.op=gt&q.value=yesterday",
    "timestamp between": (
        "q.field=timestamp&q.op=gt&q.value=2020-01-01T00:00:00&q.field=timestamp&q.op=lt&q.value=2020-02-01T00:00:00"
    ),
    "search_offset alone": "q.field=search_offset&q.op=eq&q.value=1",
    "search_offset": ("q.field=timestamp&q.op=gt&q.value=2020-01-01T00:00:00&q.field=search_offset&q.op=eq&q.value=1"),
    "alarm_id": "q.field=alarm_id&q.op=eq&q.value=$a",
    "unknown field": "q.field=bogus&q.op=eq&q.value=x",
    "op ne": "q.field=type&q.op=ne&q.value=creation",
    "metadata": "q.field=metadata.x&q.op=eq&q.value=x",
    "no value": "q.field=type&q.op=eq",
}

CASES: Final[Cases] = {
    "an empty list": (get("/v2/alarms?sort=name%3Aasc"),),
    **{f"list by {name}": _listed(arguments) for name, arguments in _FILTERS.items()},
    **{f"page: {name}": _listed(arguments) for name, arguments in _PAGES.items()},
    "list by an administrator": (*FLEET, get("/v2/alarms?sort=name", ROOT)),
    "list of another project by an administrator": (
        *FLEET,
        get("/v2/alarms?sort=name&q.field=project_id&q.op=eq&q.value=$p1", ROOT),
    ),
    "list of all projects by an administrator": (
        *FLEET,
        get(
            "/v2/alarms?sort=name&q.field=all_projects&q.op=eq&q.value=true&q.field=user_id&q.op=eq&q.value=$bob", ROOT
        ),
    ),
    "list of all projects, in other words": (
        *FLEET,
        get("/v2/alarms?q.field=all_projects&q.op=eq&q.value=yes&q.field=user_id&q.value=$bob", ROOT),
        get("/v2/alarms?q.field=all_projects&q.op=eq&q.value=1&q.field=user_id&q.op=eq&q.value=$bob", ROOT),
        get("/v2/alarms?q.field=all_projects&q.op=eq&q.value=no&q.field=user_id&q.op=eq&q.value=$bob", ROOT),
    ),
    **{
        f"history: {name}": (*_STORY, get(f"/v2/alarms/$a/history?{arguments}")) for name, arguments in _HISTORY.items()
    },
    "history after the alarm's end": (
        create(alarm()),
        delete("/v2/alarms/$a"),
        get("/v2/alarms/$a/history"),
        post("/v2/query/alarms/history", {"filter": '{"=": {"alarm_id": "$a"}}'}),
    ),
    "history of an administrator's doing": (
        create(alarm()),
        put("/v2/alarms/$a", alarm(severity="critical"), ROOT),
        put("/v2/alarms/$a/state", "ok", ROOT),
        get("/v2/alarms/$a/history"),
    ),
    "history of what was created for another": (
        create(alarm(project_id="$p1", user_id="$ann"), ROOT),
        put("/v2/alarms/$a", alarm(severity="critical")),
        get("/v2/alarms/$a/history"),
        get("/v2/alarms/$a/history", ROOT),
    ),
    "history of a list and a rule": (
        create(alarm(alarm_actions=["http://receiver.example/a"])),
        put("/v2/alarms/$a", alarm(alarm_actions=["http://receiver.example/b"])),
        put("/v2/alarms/$a", alarm(rule={"event_type": "x"})),
        get("/v2/alarms/$a/history"),
    ),
    "history of one attribute is a text to the letter": (
        create(alarm()),
        put("/v2/alarms/$a", alarm(severity="moderate")),
        get("/v2/alarms/$a/history"),
    ),
}
