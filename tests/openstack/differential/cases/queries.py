# SPDX-License-Identifier: Apache-2.0
"""§1.6 and §1.7: the complex query over alarms and history, and quotas."""

import json
from typing import Any, Final

from tests.openstack.differential.bodies import BY_RESOURCES, alarm
from tests.openstack.differential.cases.lists import FLEET
from tests.openstack.differential.request import ANN, BOB, EVE, ROOT, Cases, Step, create, delete, get, post, put

#: Nobody else's alarms, whoever asks.
_OURS: Final = {"=": {"project_id": "$p1"}}

_BY_NAME: Final = json.dumps([{"name": "asc"}])


def _asked(expression: Any, who: dict[str, str] = ANN, *, orderby: str = _BY_NAME, **more: Any) -> Step:
    return post("/v2/query/alarms", {"filter": json.dumps(expression), "orderby": orderby, **more}, who)


_LEAF: Final = {"=": {"severity": "low"}}

_EXPRESSIONS: Final[dict[str, Any]] = {
    "=": {"=": {"name": "b"}},
    "= nothing": {"=": {"name": "nothing"}},
    "!=": {"!=": {"name": "b"}},
    "<": {"<": {"name": "b"}},
    ">": {">": {"name": "b"}},
    "<=": {"<=": {"name": "b"}},
    ">=": {">=": {"name": "b"}},
    "=<": {"=<": {"name": "b"}},
    "=>": {"=>": {"name": "b"}},
    "=~": {"=~": {"name": "^[ab]$"}},
    "=~ nothing": {"=~": {"name": "^z"}},
    "=~ inside": {"=~": {"description": "alarm rule"}},
    "in": {"in": {"name": ["a", "b", "z"]}},
    "in, empty": {"in": {"name": []}},
    "in, a text": {"in": {"name": "a"}},
    "in, null inside": {"in": {"name": [None]}},
    "in, a boolean inside": {"in": {"enabled": [True]}},
    "in, an object inside": {"in": {"name": [{}]}},
    "in, repeated": {"in": {"name": ["a", "a"]}},
    "and": {"and": [_LEAF, {"=": {"enabled": True}}]},
    "and of three": {"and": [_LEAF, {"=": {"enabled": True}}, {"=": {"name": "b"}}]},
    "and of one": {"and": [_LEAF]},
    "and of none": {"and": []},
    "and of no list": {"and": _LEAF},
    "or": {"or": [{"=": {"name": "a"}}, {"=": {"name": "b"}}]},
    "or of one": {"or": [_LEAF]},
    "not": {"not": _LEAF},
    "not, twice": {"not": {"not": _LEAF}},
    "not of a list": {"not": [_LEAF]},
    "nested": {"or": [{"and": [_LEAF, {"not": {"=": {"name": "a"}}}]}, {"in": {"name": ["d"]}}]},
    "AND in capitals": {"AND": [_LEAF, {"=": {"enabled": True}}]},
    "Not in capitals": {"NOT": _LEAF},
    "IN in capitals": {"IN": {"name": ["a"]}},
    "==": {"==": {"name": "b"}},
    "eq": {"eq": {"name": "b"}},
    "like": {"like": {"name": "b"}},
    "ne": {"ne": {"name": "b"}},
    "two keys": {"=": {"name": "b"}, "!=": {"name": "c"}},
    "two fields": {"=": {"name": "b", "severity": "low"}},
    "no field": {"=": {}},
    "unknown field": {"=": {"bogus": "x"}},
    "null": {"=": {"name": None}},
    "a list": {"=": {"name": ["b"]}},
    "an object": {"=": {"name": {}}},
    "a number for a name": {"=": {"name": 1}},
    "enabled true": {"=": {"enabled": True}},
    "enabled false": {"=": {"enabled": False}},
    "enabled by a text": {"=": {"enabled": "true"}},
    "enabled by a number": {"=": {"enabled": 1}},
    "repeat_actions": {"=": {"repeat_actions": True}},
    "type": {"=": {"type": "prometheus"}},
    "state": {"=": {"state": "ok"}},
    "state not": {"!=": {"state": "ok"}},
    "description": {"=": {"description": "x"}},
    "state_reason": {"=": {"state_reason": "Not evaluated yet"}},
    "alarm_id": {"=": {"alarm_id": "$b"}},
    "user_id": {"=": {"user_id": "$ann"}},
    "user": {"=": {"user": "$ann"}},
    "project_id": {"=": {"project_id": "$p1"}},
    "project": {"=": {"project": "$p1"}},
    "another project": {"=": {"project_id": "$p2"}},
    "another project by its alias": {"=": {"project": "$p2"}},
    "own project, in": {"in": {"project_id": ["$p1"]}},
    "own project, !=": {"!=": {"project_id": "$p1"}},
    "another project, !=": {"!=": {"project_id": "$p2"}},
    "another project, inside or": {"or": [_LEAF, {"=": {"project_id": "$p2"}}]},
    "another project, inside not": {"not": {"=": {"project_id": "$p2"}}},
    "timestamp": {">": {"timestamp": "2020-01-01T00:00:00"}},
    "timestamp with a zone": {">": {"timestamp": "2020-01-01T00:00:00+02:00"}},
    "timestamp as a day": {">": {"timestamp": "2020-01-01"}},
    "timestamp, long ago": {"<": {"timestamp": "2020-01-01T00:00:00"}},
    "timestamp in words": {">": {"timestamp": "yesterday"}},
    "timestamp as a number": {">": {"timestamp": 5}},
    "state_timestamp": {">": {"state_timestamp": "2020-01-01T00:00:00"}},
    "state_timestamp in words": {">": {"state_timestamp": "yesterday"}},
    "evaluate_timestamp": {">": {"evaluate_timestamp": "2020-01-01T00:00:00"}},
    "severity": _LEAF,
    "severity, <": {"<": {"severity": "moderate"}},
    "rule": {"=~": {"rule": "compute"}},
    "time_constraints": {"=": {"time_constraints": "[]"}},
    "alarm_actions": {"=": {"alarm_actions": "[]"}},
    "an empty object": {},
    "a bare list": [_LEAF],
    "a bare text": "x",
    "a bare number": 7,
}

_BODIES: Final[dict[str, Any]] = {
    "nothing asked": {},
    "an unknown key": {"filter": json.dumps(_LEAF), "bogus": 1},
    "a filter that is an object": {"filter": _LEAF},
    "a filter that is null": {"filter": None},
    "a filter that is empty": {"filter": ""},
    "a filter that is no json": {"filter": "{"},
    "an order that is an object": {"orderby": [{"name": "asc"}]},
    "an order that is null": {"orderby": None},
    "an order that is no json": {"orderby": "name"},
    "order by name": {"orderby": '[{"name": "asc"}]'},
    "order by name, down": {"orderby": '[{"name": "DESC"}]'},
    "order by two": {"orderby": '[{"state": "ASC"}, {"name": "desc"}]'},
    "order by severity": {"orderby": '[{"severity": "asc"}, {"name": "asc"}]'},
    "order by nothing known": {"orderby": '[{"bogus": "asc"}]'},
    "order in no direction": {"orderby": '[{"name": "up"}]'},
    "order that is no list": {"orderby": '{"name": "asc"}'},
    "order with two keys": {"orderby": '[{"name": "asc", "state": "asc"}]'},
    "order by an alias": {"orderby": '[{"user": "asc"}, {"name": "asc"}]'},
    "limit 2": {"orderby": _BY_NAME, "limit": 2},
    "limit as a text": {"orderby": _BY_NAME, "limit": "2"},
    "limit 0": {"limit": 0},
    "limit -1": {"limit": -1},
    "limit in words": {"limit": "x"},
    "limit null": {"orderby": _BY_NAME, "limit": None},
    "limit as a fraction": {"orderby": _BY_NAME, "limit": 1.5},
}

_STORY: Final = (
    create(alarm()),
    put("/v2/alarms/$a/state", "ok"),
    put("/v2/alarms/$a", alarm(severity="critical", state="ok")),
)

_OF_HISTORY: Final[dict[str, Any]] = {
    "alarm_id": {"=": {"alarm_id": "$a"}},
    "type": {"=": {"type": "creation"}},
    "type, in": {"in": {"type": ["rule change", "creation"]}},
    "and": {"and": [{"=": {"alarm_id": "$a"}}, {"!=": {"type": "creation"}}]},
    "severity": {"=": {"severity": "critical"}},
    "user": {"=": {"user": "$ann"}},
    "project_id": {"=": {"project_id": "$p1"}},
    "on_behalf_of": {"=": {"on_behalf_of": "$p1"}},
    "another on_behalf_of": {"=": {"on_behalf_of": "$p2"}},
    "another project_id": {"=": {"project_id": "$p2"}},
    "timestamp": {">": {"timestamp": "2020-01-01T00:00:00"}},
    "timestamp in words": {">": {"timestamp": "yesterday"}},
    "detail": {"=~": {"detail": "critical"}},
    "unknown field": {"=": {"name": "x"}},
    "state_timestamp is no field": {">": {"state_timestamp": "2020-01-01T00:00:00"}},
}

_QUOTA_BODIES: Final[dict[str, Any]] = {
    "plain": {"project_id": "$p1", "quotas": [{"resource": "alarms", "limit": 30}]},
    "nothing": {"project_id": "$p1", "quotas": []},
    "missing": {"project_id": "$p1"},
    "no project": {"quotas": [{"resource": "alarms", "limit": 30}]},
    "null project": {"project_id": None, "quotas": []},
    "unlimited": {"project_id": "$p1", "quotas": [{"resource": "alarms", "limit": -1}]},
    "none at all": {"project_id": "$p1", "quotas": [{"resource": "alarms", "limit": 0}]},
    "below unlimited": {"project_id": "$p1", "quotas": [{"resource": "alarms", "limit": -2}]},
    "a limit as text": {"project_id": "$p1", "quotas": [{"resource": "alarms", "limit": "5"}]},
    "a limit in words": {"project_id": "$p1", "quotas": [{"resource": "alarms", "limit": "x"}]},
    "a null limit": {"project_id": "$p1", "quotas": [{"resource": "alarms", "limit": None}]},
    "no limit": {"project_id": "$p1", "quotas": [{"resource": "alarms"}]},
    "no resource": {"project_id": "$p1", "quotas": [{"limit": 5}]},
    "an unknown resource": {"project_id": "$p1", "quotas": [{"resource": "servers", "limit": 5}]},
    "an unknown key": {"project_id": "$p1", "quotas": [], "colour": "red"},
    "twice": {
        "project_id": "$p1",
        "quotas": [{"resource": "alarms", "limit": 5}, {"resource": "alarms", "limit": 6}],
    },
}


def _quota(limit: int) -> Step:
    return post("/v2/quotas", {"project_id": "$p1", "quotas": [{"resource": "alarms", "limit": limit}]}, ROOT)


_QUOTAS: Final[Cases] = {
    **{
        f"quota set: {name}": (post("/v2/quotas", body, ROOT), get("/v2/quotas"))
        for name, body in _QUOTA_BODIES.items()
    },
    "quota of the own project": (get("/v2/quotas"),),
    "quota of the own project by name": (get("/v2/quotas?project_id=$p1"),),
    "quota of another project": (get("/v2/quotas?project_id=$p2"),),
    "quota of another project by an administrator": (_quota(7), get("/v2/quotas?project_id=$p1", ROOT)),
    "quota set by a member": (
        post("/v2/quotas", {"project_id": "$p1", "quotas": [{"resource": "alarms", "limit": 9}]}),
        delete("/v2/quotas/$p1"),
    ),
    "quota set twice": (_quota(7), _quota(8), get("/v2/quotas")),
    "quota deleted": (_quota(7), delete("/v2/quotas/$p1", ROOT), get("/v2/quotas"), delete("/v2/quotas/$p1", ROOT)),
    "quota deleted that never was": (delete("/v2/quotas/$p1", ROOT),),
    "quota of two holds": (
        _quota(2),
        create(alarm()),
        create(alarm(), keep="b"),
        create(alarm(), keep="c"),
        get("/v2/alarms?sort=timestamp"),
    ),
    "quota of nothing": (_quota(0), create(alarm())),
    "quota frees what is deleted": (_quota(1), create(alarm()), delete("/v2/alarms/$a"), create(alarm(), keep="b")),
    "quota does not hinder a change": (_quota(1), create(alarm()), put("/v2/alarms/$a", alarm(severity="critical"))),
    "quota of no bound": (_quota(-1), create(alarm())),
    "quota that was only looked at": (get("/v2/quotas"), create(alarm())),
    "quota of a project and its colleagues": (
        _quota(1),
        create(alarm()),
        create(alarm(), {**EVE, "X-Roles": "member,reader"}, keep="b"),
    ),
    "quota, an administrator for the project": (
        _quota(1),
        create(alarm()),
        create(alarm(project_id="$p1", user_id="$ann"), ROOT, keep="b"),
    ),
}

CASES: Final[Cases] = {
    **{f"query {name}": (*FLEET, _asked(expression)) for name, expression in _EXPRESSIONS.items()},
    **{f"query body: {name}": (*FLEET, post("/v2/query/alarms", body)) for name, body in _BODIES.items()},
    "query body: empty": (post("/v2/query/alarms", None, raw=""),),
    "query body: a list": (post("/v2/query/alarms", []),),
    "query body: null": (post("/v2/query/alarms", None),),
    "query by name, as aodhclient asks": (
        *FLEET,
        post("/v2/query/alarms", {"filter": json.dumps({"=": {"name": "b"}})}),
        post("/v2/query/alarms", {"filter": json.dumps({"=": {"name": "of another"}})}),
    ),
    "query by an administrator": (*FLEET, _asked({"or": [_OURS, {"=": {"project_id": "$p2"}}]}, ROOT)),
    "query by a neighbour": (*FLEET, _asked({"=": {"severity": "low"}}, BOB)),
    "query shows the wrapped query": (
        create(alarm(BY_RESOURCES)),
        _asked({"=": {"type": BY_RESOURCES}}),
    ),
    **{
        f"history query {name}": (*_STORY, post("/v2/query/alarms/history", {"filter": json.dumps(expression)}))
        for name, expression in _OF_HISTORY.items()
    },
    "history query body: nothing asked": (*_STORY, post("/v2/query/alarms/history", {})),
    "history query body: order and limit": (
        *_STORY,
        post("/v2/query/alarms/history", {"orderby": '[{"timestamp": "asc"}]', "limit": 2}),
    ),
    "history query body: order by an unknown": (
        *_STORY,
        post("/v2/query/alarms/history", {"orderby": '[{"name": "asc"}]'}),
    ),
    "history query body: empty": (post("/v2/query/alarms/history", None, raw=""),),
    "history query by a neighbour": (*_STORY, post("/v2/query/alarms/history", {}, BOB)),
    "history query by an administrator": (
        *_STORY,
        post("/v2/query/alarms/history", {"filter": json.dumps({"=": {"alarm_id": "$a"}})}, ROOT),
    ),
    **_QUOTAS,
}
