# SPDX-License-Identifier: Apache-2.0
"""§2: the attributes of an alarm, what each takes and becomes, PUT, and the state."""

from typing import Any, Final

from tests.openstack.differential.bodies import GNOCCHI, RULES, alarm, without
from tests.openstack.differential.request import ANN, MAY, ROOT, Cases, Step, create, get, post, put

ACTIONS: Final = ("alarm_actions", "ok_actions", "insufficient_data_actions")

#: A signed URL: its signature covers every letter.
SIGNED: Final = (
    "http://heat.example:8000/v1/signal/arn%3Aopenstack%3Aheat%3A%3Ap%3Astacks/s/i/resources/up"
    "?SignatureMethod=HmacSHA256&SignatureVersion=2&AWSAccessKeyId=k&Signature=pPG%2F%2BZ%3D"
)

#: Values for an attribute, and the words that name them in a case.
_VALUES: Final[dict[str, tuple[Any, ...]]] = {
    "name": ("", None, "é ☃ name", "x" * 300, 7, ["x"]),
    "description": ("", None, "said", 7),
    "enabled": (True, False, None, "false", "TRUE", "0", 1, 0, "maybe", [], 2),
    "repeat_actions": (True, False, None, "false", "yes", "maybe"),
    "severity": ("low", "moderate", "critical", "CRITICAL", None, "bogus", 1),
    "state": ("ok", "alarm", "insufficient data", "OK", None, "bogus", ""),
    "type": ("bogus", None, "", "EVENT", 1),
    "time_constraints": (None, [], {}, "x"),
    "alarm_id": (None, "mine", 7),
    "timestamp": (None, "2020-01-01T00:00:00", "yesterday"),
    "state_timestamp": (None, "2020-01-01T00:00:00", "yesterday"),
    "state_reason": (None, "because"),
    "evaluate_timestamp": (None, "2020-01-01T00:00:00", "yesterday"),
    "unknown_key": ("x", None),
    "project_id": ("$p1", "$p2", None, ""),
    "user_id": ("$ann", "$bob", None, ""),
}

_ATTRIBUTES: Final[Cases] = {
    f"{key} as {value!r:.20}": (create(alarm() | {key: value}),) for key, values in _VALUES.items() for value in values
}

_ACTION_LISTS: Final[dict[str, Any]] = {
    "null": None,
    "a text": "http://receiver.example/",
    "an object": {},
    "a number inside": [1],
    "null inside": [None],
    "one": ["http://receiver.example/a"],
    "two, in order": ["http://receiver.example/b", "http://receiver.example/a"],
    "the same twice": ["http://receiver.example/a", "http://receiver.example/a"],
    "a signed URL": [SIGNED],
    "an unknown scheme": ["gopher://receiver.example/"],
    "no scheme": ["receiver.example"],
    "an empty text": [""],
    "not to be parsed": ["http://[receiver.example/"],
    "capitals in the scheme": ["HTTP://receiver.example/a"],
    "capitals in the host": ["http://Receiver.Example/A"],
    "a fragment": ["http://receiver.example/a#b"],
    "a port": ["https://receiver.example:8443/a"],
    "log": ["log://"],
    "test": ["test://"],
    "zaqar": ["zaqar://?topic=t&subscriber=http%3A%2F%2Fx%2F&ttl=60"],
    "trust with an id": ["trust+http://id@receiver.example/"],
    "trust": ["trust+http://receiver.example/"],
    "trust to a queue": ["trust+zaqar://?queue_name=q"],
    "trust to heat": ["trust+heat://"],
    "log with a path": ["log://somewhere/else"],
    "no host": ["http:///path"],
    "a blank inside": ["http://receiver.example/a b"],
    "a letter beyond ascii": ["http://receiver.example/ä"],
    "a user": ["http://user:password@receiver.example/"],
    "loopback": ["http://127.0.0.1:8000/"],
    "metadata service": ["http://169.254.169.254/"],
}

_ACTIONS: Final[Cases] = {
    f"{key}: {name}": (create(alarm() | {key: value}),)
    for key in ACTIONS
    for name, value in _ACTION_LISTS.items()
    if key == "alarm_actions" or name in {"null", "a text", "one", "the same twice", "an unknown scheme", "log"}
}

_HOURLY: Final = {"name": "c", "start": "0 * * * *", "duration": 60}

_CONSTRAINTS: Final[dict[str, list[Any]]] = {
    "plain": [_HOURLY],
    "whole": [_HOURLY | {"description": "d", "timezone": "Europe/Berlin"}],
    "nulls as Heat sends them": [_HOURLY | {"description": None, "timezone": None}],
    "empty description": [_HOURLY | {"description": ""}],
    "empty zone": [_HOURLY | {"timezone": ""}],
    "a zone that is none": [_HOURLY | {"timezone": "Mars/Olympus"}],
    "duration as a text": [_HOURLY | {"duration": "60"}],
    "duration as a fraction": [_HOURLY | {"duration": 60.7}],
    "duration of nothing": [_HOURLY | {"duration": 0}],
    "duration below nothing": [_HOURLY | {"duration": -1}],
    "duration null": [_HOURLY | {"duration": None}],
    "duration as words": [_HOURLY | {"duration": "an hour"}],
    "without a name": [without(_HOURLY, "name")],
    "without a start": [without(_HOURLY, "start")],
    "without a duration": [without(_HOURLY, "duration")],
    "null name": [_HOURLY | {"name": None}],
    "null start": [_HOURLY | {"start": None}],
    "an unknown key": [_HOURLY | {"colour": "red"}],
    "the same name twice": [_HOURLY, _HOURLY],
    "two": [_HOURLY, _HOURLY | {"name": "d"}],
    "cron of four fields": [_HOURLY | {"start": "0 * * *"}],
    "cron of six fields": [_HOURLY | {"start": "0 * * * * 30"}],
    "cron of seven fields": [_HOURLY | {"start": "0 * * * * 30 2030"}],
    "cron of eight fields": [_HOURLY | {"start": "0 * * * * 30 2030 1"}],
    "cron by name": [_HOURLY | {"start": "@hourly"}],
    "cron by an unknown name": [_HOURLY | {"start": "@sometimes"}],
    "cron with names of days": [_HOURLY | {"start": "0 8 * * mon-fri"}],
    "cron out of range": [_HOURLY | {"start": "61 * * * *"}],
    "cron in words": [_HOURLY | {"start": "every hour"}],
    "cron empty": [_HOURLY | {"start": ""}],
    "cron steps": [_HOURLY | {"start": "*/5 0-6,12 * * *"}],
    "cron of the last day": [_HOURLY | {"start": "0 0 L * *"}],
    "not objects": ["x"],
    "null inside": [None],
}

_TIME: Final[Cases] = {
    f"time constraint: {name}": (create(alarm(time_constraints=value)),) for name, value in _CONSTRAINTS.items()
}


def _echo(name: str = "a_doc") -> Any:
    return lambda kept: kept[name]


def _echo_with(**changes: Any) -> Any:
    return lambda kept: {**kept["a_doc"], **changes}


_WHOLE: Final = alarm(
    description="said",
    enabled=False,
    repeat_actions=True,
    severity="critical",
    state="ok",
    alarm_actions=[SIGNED],
    ok_actions=["http://receiver.example/ok"],
    time_constraints=[_HOURLY | {"description": "d", "timezone": "Europe/Berlin"}],
)

_PUT: Final[Cases] = {
    "put replaces everything": (create(_WHOLE), put("/v2/alarms/$a", alarm()), get("/v2/alarms/$a")),
    "put without a name": (create(alarm()), put("/v2/alarms/$a", without(alarm(), "name"))),
    "put without a type": (create(alarm()), put("/v2/alarms/$a", without(alarm(), "type"))),
    "put without a rule": (create(alarm()), put("/v2/alarms/$a", without(alarm(), "event_rule"))),
    "put with nothing": (create(alarm()), put("/v2/alarms/$a", {})),
    "put with an unknown key": (create(alarm()), put("/v2/alarms/$a", alarm(colour="red"))),
    "put an echo": (create(_WHOLE), put("/v2/alarms/$a", _echo()), get("/v2/alarms/$a/history")),
    "put an echo with enabled": (
        create(_WHOLE),
        put("/v2/alarms/$a", _echo_with(enabled=True)),
        get("/v2/alarms/$a/history"),
    ),
    "put an echo with severity": (
        create(alarm()),
        put("/v2/alarms/$a", _echo_with(severity="critical")),
        get("/v2/alarms/$a/history"),
    ),
    "put an echo with another state": (
        create(alarm()),
        put("/v2/alarms/$a", _echo_with(state="alarm")),
        get("/v2/alarms/$a"),
        get("/v2/alarms/$a/history"),
    ),
    "put with a null id, as aodhclient may": (create(alarm()), put("/v2/alarms/$a", _echo_with(alarm_id=None))),
    "put with another id": (create(alarm()), put("/v2/alarms/$a", _echo_with(alarm_id="other")), get("/v2/alarms/$a")),
    "put with another owner by a member": (
        create(alarm()),
        put("/v2/alarms/$a", _echo_with(project_id="elsewhere", user_id="somebody")),
    ),
    "put with another owner by an administrator": (
        create(alarm()),
        put("/v2/alarms/$a", _echo_with(project_id="$p2", user_id="$bob"), ROOT),
        get("/v2/alarms/$a"),
        get("/v2/alarms/$a/history", ROOT),
    ),
    "put without an owner by an administrator": (create(alarm()), put("/v2/alarms/$a", alarm(severity="low"), ROOT)),
    "put of another type": (
        create(alarm()),
        put("/v2/alarms/$a", alarm("prometheus")),
        get("/v2/alarms/$a"),
        get("/v2/alarms/$a/history"),
    ),
    "put of another type with the old rule": (
        create(alarm()),
        put("/v2/alarms/$a", alarm("prometheus", event_rule=RULES["event"])),
    ),
    "put of another type with a null rule": (
        create(alarm()),
        put("/v2/alarms/$a", alarm("prometheus", event_rule=None)),
    ),
    "put of each attribute is one entry": (
        create(alarm()),
        put("/v2/alarms/$a", _WHOLE | {"state": "insufficient data"}),
        get("/v2/alarms/$a/history"),
    ),
    "put of a changed rule": (
        create(alarm("prometheus")),
        put("/v2/alarms/$a", alarm("prometheus", rule={"query": "down", "threshold": 2})),
        get("/v2/alarms/$a/history"),
    ),
}

_STATE: Final[Cases] = {
    **{
        f"state set to {value!r:.20}": (
            create(alarm(state="ok")),
            put("/v2/alarms/$a/state", value),
            get("/v2/alarms/$a"),
            get("/v2/alarms/$a/history"),
        )
        for value in ("ok", "alarm", "insufficient data", "bogus", "", None, 1, {"state": "ok"}, ["ok"])
    },
    "state set by an argument": (
        create(alarm()),
        Step(method="PUT", path="/v2/alarms/$a/state?state=ok"),
        get("/v2/alarms/$a/state"),
    ),
    "state set without a body": (
        create(alarm()),
        put("/v2/alarms/$a/state", None, raw=""),
        Step(method="PUT", path="/v2/alarms/$a/state"),
    ),
    "state set without quotes": (create(alarm()), put("/v2/alarms/$a/state", None, raw="ok")),
    "state in the order of changes": (
        create(alarm()),
        put("/v2/alarms/$a/state", "alarm"),
        put("/v2/alarms/$a/state", "ok"),
        put("/v2/alarms/$a", alarm(state="alarm")),
        get("/v2/alarms/$a/history"),
        get("/v2/alarms/$a"),
    ),
}

CASES: Final[Cases] = {
    "the smallest alarm": (create(alarm()), get("/v2/alarms/$a")),
    "an alarm with everything": (create(_WHOLE), get("/v2/alarms/$a"), get("/v2/alarms/$a/history")),
    "without a name": (create(without(alarm(), "name")),),
    "without a type": (create(without(alarm(), "type")),),
    "without a rule": (create(without(alarm(), "event_rule")),),
    "without anything": (create({}),),
    "two rules": (create(alarm(prometheus_rule=RULES["prometheus"])),),
    "a second rule that is null": (create(alarm(prometheus_rule=None)),),
    "a second rule that is empty": (create(alarm(prometheus_rule={})),),
    "another type's rule only": (create({"name": "x", "type": "event", "prometheus_rule": RULES["prometheus"]}),),
    "the own rule is null": (create({"name": "x", "type": "event", "event_rule": None}),),
    "the own rule is empty": (create({"name": "x", "type": "event", "event_rule": {}}),),
    "the own rule is a list": (create({"name": "x", "type": "event", "event_rule": []}),),
    "the own rule is a text": (create({"name": "x", "type": "event", "event_rule": "x"}),),
    "names need not be unique": (create(alarm()), create(alarm(), keep="b"), get("/v2/alarms?sort=timestamp")),
    "a project of another, by a member": (create(alarm(project_id="$p2")),),
    "a user of another, by a member": (create(alarm(user_id="$bob")),),
    "a project and user of another, by an administrator": (
        create(alarm(project_id="$p1", user_id="$ann"), ROOT),
        get("/v2/alarms/$a", ANN),
        get("/v2/alarms/$a/history", ROOT),
        get("/v2/alarms/$a/history", ANN),
    ),
    "no project, by an administrator": (create(alarm(project_id="", user_id=None), ROOT), get("/v2/alarms/$a", ROOT)),
    "log and test, by an administrator": (
        create(alarm(ok_actions=["test://", "log://"]), ROOT),
        get("/v2/alarms/$a", ROOT),
    ),
    "the default description of each type": tuple(
        create(alarm(kind), keep=f"a{number}") for number, kind in enumerate(RULES) if kind not in GNOCCHI[2:]
    ),
    "a list shows a colleague's alarms": (
        create(alarm()),
        create(alarm(), MAY, keep="b"),
        get("/v2/alarms?sort=timestamp"),
    ),
    "a post with an argument for the body": (post("/v2/alarms?name=x", alarm()),),
    **_ATTRIBUTES,
    **_ACTIONS,
    **_TIME,
    **_PUT,
    **_STATE,
}
