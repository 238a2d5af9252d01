# SPDX-License-Identifier: Apache-2.0
"""Silences over HTTP: begun, seen and ended by those who may, and in the way of what they are about."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from alarmd.alarms import SilenceLimits
from alarmd.store.tables import silences
from tests.support.rest import ADMIN, ANN, BOB, EVE, Door, error_of
from tests.unit.api.test_alarms import created

PATH = "/v3/silences"
HOUR: dict[str, Any] = {"labels": {"team": "web"}, "duration": 3600, "comment": "moving racks"}


def begun(door: Door, headers: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
    """Begin a silence and return it as answered."""
    response = door.post(PATH, HOUR | changes, headers=headers or ANN)
    assert response.status_code == 201, response.get_data(as_text=True)
    silence: dict[str, Any] = response.get_json()
    return silence


def comments(door: Door, arguments: str = "", headers: dict[str, str] | None = None) -> list[str]:
    response = door.get(f"{PATH}?{arguments}", headers=headers or ANN)
    assert response.status_code == 200, response.get_data(as_text=True)
    return [silence["comment"] for silence in response.get_json()["silences"]]


def an_event_alarm(door: Door, headers: dict[str, str] | None = None, **changes: Any) -> str:
    """Create an alarm that every event hits, again and again, and return its id."""
    body = {"name": "e", "type": "event", "event_rule": {}, "repeat_actions": True, "alarm_actions": ["http://h/x"]}
    response = door.post("/v2/alarms", body | changes, headers=headers or ANN)
    assert response.status_code == 201, response.get_data(as_text=True)
    alarm_id: str = response.get_json()["alarm_id"]
    return alarm_id


def hit(door: Door, alarm_id: str, *, project_id: str = "p1") -> tuple[str, str]:
    """Hit an alarm with an event; return what became of its newest notification, and why."""
    event = {"event_type": "x", "message_id": "m", "project_id": project_id}
    assert door.post("/v3/events", event, headers=ADMIN).status_code == 202
    newest = door.get(f"/v3/deliveries?alarm_id={alarm_id}&limit=1", headers=ADMIN).get_json()["deliveries"][0]
    return newest["state"], newest["last_error"]


def test_a_new_silence_is_answered_whole(door: Door) -> None:
    """It holds from now on, belongs to the caller's project, and says who made it; Location leads to it."""
    response = door.post(PATH, HOUR, headers=ANN)
    silence = response.get_json()

    assert 201 == response.status_code
    assert {
        "silence_id": silence["silence_id"],
        "project_id": "p1",
        "author": "ann",
        "comment": "moving racks",
        "alarm_id": None,
        "labels": {"team": "web"},
        "direction": None,
        "starts_at": "2026-01-01T00:00:00",
        "ends_at": "2026-01-01T01:00:00",
        "time_constraints": [],
        "created_at": "2026-01-01T00:00:00",
        "ended_by": None,
        "state": "in force",
        "warning": None,
    } == silence
    assert response.headers["Location"].endswith(f"{PATH}/{silence['silence_id']}")
    assert silence == door.get(f"{PATH}/{silence['silence_id']}", headers=EVE).get_json()
    assert [silence] == door.get(PATH, headers=EVE).get_json()["silences"]


def test_a_silence_passes_through_its_states(door: Door) -> None:
    """Scheduled, in force, resting between two turns, ended; those that are over are listed on request."""
    silence = begun(
        door,
        starts_at="2026-01-01T01:00:00",
        ends_at="2026-01-02T12:00:00Z",
        duration=None,
        time_constraints=[{"name": "n", "start": "0 22 * * *", "duration": 7200, "timezone": "UTC"}],
    )
    path = f"{PATH}/{silence['silence_id']}"
    states = [silence["state"]]
    for advance_s in (2 * 3600, 20.5 * 3600, 2 * 3600, 24 * 3600):
        door.clock.advance(advance_s)
        states.append(door.get(path, headers=ANN).get_json()["state"])

    assert ["scheduled", "resting", "in force", "resting", "ended"] == states
    assert [] == comments(door)
    assert ["moving racks"] == comments(door, "ended=true")


def test_a_silence_is_ended_now_and_stays_for_the_record(door: Door) -> None:
    """It says who ended it; ending it again changes nothing."""
    path = f"{PATH}/{begun(door)['silence_id']}"
    door.clock.advance(60)
    first = door.delete(path, headers=ANN | {"X-User-Id": "cid"})
    door.clock.advance(60)
    again = door.delete(path, headers=ANN)
    silence = door.get(path, headers=ANN).get_json()

    assert (204, 204) == (first.status_code, again.status_code)
    assert ("2026-01-01T00:01:00", "cid", "ended") == (silence["ends_at"], silence["ended_by"], silence["state"])


def test_a_silence_holds_a_webhook_back_and_its_end_lets_the_next_through(door: Door) -> None:
    """Of an event alarm as of any other; history and metrics tell of it."""
    alarm_id = an_event_alarm(door, labels={"team": "web"})
    other_id = an_event_alarm(door, name="other")
    before = hit(door, alarm_id)
    silence = begun(door)
    during, other = hit(door, alarm_id), hit(door, other_id)
    door.clock.advance(3600)
    after = hit(door, alarm_id)
    details = [
        json.loads(change["detail"])
        for change in door.get(f"/v2/alarms/{alarm_id}/history", headers=ANN).get_json()
        if change["type"] == "state transition"
    ]

    assert ("pending", "") == before
    assert ("silenced", f"silenced by {silence['silence_id']}: moving racks") == during
    assert ("pending", "") == other
    assert ("pending", "") == after
    # The other alarm's event hit this one as well.
    name = silence["silence_id"]
    assert [None, name, name, None] == [detail.get("silenced_by") for detail in details]


def test_a_silence_ends_early_for_the_next_webhook_too(door: Door) -> None:
    """What comes after the end is sent; what came before stays unsent."""
    alarm_id = an_event_alarm(door)
    path = f"{PATH}/{begun(door, alarm_id=alarm_id, labels=None)['silence_id']}"
    during = hit(door, alarm_id)[0]
    door.delete(path, headers=ANN)
    states = [hit(door, alarm_id)[0]]
    everything = door.get(f"/v3/deliveries?alarm_id={alarm_id}", headers=ANN).get_json()["deliveries"]

    assert ("silenced", ["pending"]) == (during, states)
    assert {"silenced", "pending"} == {one["state"] for one in everything}


def test_a_recurring_silence_follows_the_clocks_of_its_zone(door: Door) -> None:
    """Its windows are hours on the wall: the night of Berlin begins an hour earlier in UTC once clocks go forward."""
    alarm_id = an_event_alarm(door)
    # The clock stands at midnight, 1 January; 28 March 2026 is 86 days on. Clocks go forward in the night after it.
    door.clock.advance(86 * 86_400)
    begun(
        door,
        labels=None,
        alarm_id=alarm_id,
        duration=3 * 86_400,
        time_constraints=[{"name": "n", "start": "0 22 * * *", "duration": 8 * 3600, "timezone": "Europe/Berlin"}],
    )
    seen = {}
    for hours in (20.5, 0.75, 23.25, 0.75):  # 20:30 and 21:15 on the 28th, 20:30 and 21:15 on the 29th
        door.clock.advance(hours * 3600)
        seen[f"{door.clock.now():%d %H:%M}"] = hit(door, alarm_id)[0]

    assert {
        "28 20:30": "pending",
        "28 21:15": "silenced",
        "29 20:30": "silenced",
        "29 21:15": "silenced",
    } == seen


def test_silences_of_projects_are_their_own(door: Door) -> None:
    """Others neither see nor end them; an administrator sees all, and those of all projects are seen by everybody."""
    own = begun(door, comment="own")
    begun(door, BOB, comment="bob's")
    everywhere = begun(door, ADMIN, comment="all", all_projects=True)

    assert everywhere["project_id"] is None
    assert {"own", "all"} == set(comments(door))
    assert {"bob's", "all"} == set(comments(door, headers=BOB))
    assert {"own", "all", "bob's"} == set(comments(door, headers=ADMIN))
    assert {"bob's", "all"} == set(comments(door, "project_id=p2", headers=ADMIN))
    assert 401 == door.get(f"{PATH}?project_id=p2", headers=ANN).status_code
    assert 404 == door.get(f"{PATH}/{own['silence_id']}", headers=BOB).status_code
    assert 404 == door.delete(f"{PATH}/{own['silence_id']}", headers=BOB).status_code
    assert 200 == door.get(f"{PATH}/{everywhere['silence_id']}", headers=BOB).status_code
    assert 401 == door.delete(f"{PATH}/{everywhere['silence_id']}", headers=BOB).status_code
    assert 204 == door.delete(f"{PATH}/{own['silence_id']}", headers=ADMIN).status_code


def test_roles_decide_who_does_what(door: Door) -> None:
    """Readers look, members act."""
    path = f"{PATH}/{begun(door)['silence_id']}"
    member = ANN | {"X-Roles": "member"}

    assert 403 == door.post(PATH, HOUR, headers=EVE).status_code
    assert 403 == door.delete(path, headers=EVE).status_code
    assert 403 == door.get(PATH, headers=member).status_code
    assert 403 == door.get(path, headers=member).status_code
    assert 201 == door.post(PATH, HOUR, headers=member).status_code
    assert 204 == door.delete(path, headers=member).status_code


def test_an_administrator_silences_others(door: Door) -> None:
    """A project by its name, an alarm wherever it is, everything in one project, everything everywhere."""
    bobs = an_event_alarm(door, BOB)
    anns = an_event_alarm(door, ANN)

    def effect(**changes: Any) -> tuple[str, str]:
        silence = begun(door, ADMIN, labels=None, **changes)
        states = hit(door, bobs, project_id="p2")[0], hit(door, anns)[0]
        door.delete(f"{PATH}/{silence['silence_id']}", headers=ADMIN)
        door.clock.advance(1)
        return states

    assert ("silenced", "pending") == effect(alarm_id=bobs)
    assert ("silenced", "pending") == effect(project_id="p2", everything=True)
    assert ("pending", "pending") == effect(project_id="p2", direction="in")
    assert ("pending", "silenced") == effect(project_id="p1", direction="neutral")
    assert ("silenced", "silenced") == effect(all_projects=True, everything=True)


def test_who_has_no_name_is_the_administrator(door: Door) -> None:
    """On loopback nobody has to say who they are; the silence has an author all the same."""
    answer = door.post(PATH, HOUR).get_json()

    assert ("administrator", "") == (answer["author"], answer["project_id"])


@pytest.mark.parametrize(
    ("changes", "status", "names"),
    [
        ({"comment": None}, 400, ["comment"]),
        ({"comment": ""}, 400, ["comment"]),
        ({"comment": "c" * 1001}, 400, ["comment", "1000"]),
        ({"comment": "\0"}, 400, ["not text"]),
        ({"duration": None}, 400, ["ends_at or duration"]),
        ({"ends_at": "2026-01-02T00:00:00"}, 400, ["not both"]),
        ({"duration": 0}, 400, ["duration"]),
        ({"duration": 31 * 86_400}, 400, ["2592000 seconds at most", "api.max_silence_s"]),
        ({"duration": None, "ends_at": "2025-12-31T00:00:00"}, 400, ["ends_at", "later than"]),
        ({"duration": None, "ends_at": "soon"}, 400, ["ends_at", "ISO 8601"]),
        ({"starts_at": "9999-01-01T00:00:00"}, 400, ["starts_at"]),
        ({"labels": None}, 400, ["about nothing"]),
        ({"labels": {}}, 400, ["about nothing"]),
        ({"labels": {"": "x"}}, 400, ["labels"]),
        ({"direction": "up"}, 400, ["direction", "'out', 'in' or 'neutral'"]),
        ({"time_constraints": [{"name": "n", "start": "nonsense", "duration": 60}]}, 400, ["start"]),
        ({"time_constraints": [{"name": "n", "start": "0 0 30 2 *", "duration": 60}]}, 400, ["start"]),
        (
            {"time_constraints": [{"name": "n", "start": "* * * * *", "duration": 1, "timezone": "Mars"}]},
            400,
            ["Mars"],
        ),
        (
            {"time_constraints": [{"name": str(number), "start": "@daily", "duration": 1} for number in range(11)]},
            400,
            ["time_constraints", "at most 10"],
        ),
        ({"everything": True}, 400, ["everything", "labels"]),
        ({"everything": True, "labels": None}, 403, ["Only administrators"]),
        ({"all_projects": True}, 401, ["all projects"]),
        ({"project_id": "p2"}, 401, ["p2"]),
        ({"alarm_id": "nobody's"}, 404, ["nobody's"]),
        ({"nonsense": 1}, 400, ["nonsense"]),
    ],
)
def test_what_cannot_be_is_refused(door: Door, changes: dict[str, Any], status: int, names: list[str]) -> None:
    """With a text that says what is wrong, and nothing is stored."""
    answer = door.post(PATH, HOUR | changes, headers=ANN)

    assert status == answer.status_code, answer.get_data(as_text=True)
    assert [] == [name for name in names if name not in error_of(answer)], error_of(answer)
    assert [] == comments(door)


@pytest.mark.parametrize("body", [[], "x", 1, None])
def test_a_body_is_an_object(door: Door, body: Any) -> None:
    """Nothing else is taken for a silence."""
    answer = door.send("POST", PATH, headers=ANN, data=json.dumps(body), content_type="application/json")

    assert 400 == answer.status_code


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"project_id": "p1", "alarm_id": "of bob"}, 400),
        ({"all_projects": True, "alarm_id": "of bob"}, 400),
        ({"all_projects": True, "project_id": "p1"}, 400),
        ({"labels": None}, 400),
        ({"alarm_id": "of bob"}, 201),
        ({"project_id": "p2", "alarm_id": "of bob"}, 201),
    ],
)
def test_an_administrator_has_to_mean_one_thing(door: Door, changes: dict[str, Any], status: int) -> None:
    """An alarm has one project, and everything has to be said."""
    bobs = created(door, BOB)["alarm_id"]
    given = changes | ({"alarm_id": bobs} if "alarm_id" in changes else {})

    assert status == door.post(PATH, HOUR | given, headers=ADMIN).status_code


def test_somebody_elses_alarm_does_not_exist(door: Door) -> None:
    """Nobody learns by silencing which alarms there are."""
    bobs = created(door, BOB)["alarm_id"]

    assert 404 == door.post(PATH, HOUR | {"alarm_id": bobs}, headers=ANN).status_code


def test_a_past_beginning_is_now(door: Door) -> None:
    """What has been sent is sent; the duration counts from now."""
    silence = begun(door, starts_at="2025-01-01T00:00:00")

    assert ("2026-01-01T00:00:00", "2026-01-01T01:00:00") == (silence["starts_at"], silence["ends_at"])


def test_a_project_has_so_many_silences(open_a_door: Callable[..., Door]) -> None:
    """Those that are over do not count, nor do those of others; the refusal names the setting."""
    door = open_a_door(silence_limits=SilenceLimits(most=2))
    first, _ = begun(door), begun(door)
    begun(door, BOB)
    begun(door, ADMIN, all_projects=True)
    refused = door.post(PATH, HOUR, headers=ANN)
    door.delete(f"{PATH}/{first['silence_id']}", headers=ANN)

    assert 403 == refused.status_code
    assert "api.project_silence_quota" in error_of(refused)
    assert 201 == door.post(PATH, HOUR, headers=ANN).status_code


def test_lists_go_page_by_page(door: Door) -> None:
    """A marker and a limit, as everywhere; an unknown marker is refused."""
    ids = []
    for number in range(3):
        ids.append(begun(door, comment=str(number))["silence_id"])
        door.clock.advance(1)
    alarm_id = created(door, ANN)["alarm_id"]
    begun(door, comment="one alarm", alarm_id=alarm_id, labels=None)

    assert ["one alarm"] == comments(door, f"alarm_id={alarm_id}")
    assert ["one alarm", "2"] == comments(door, "limit=2")
    assert ["1", "0"] == comments(door, f"limit=2&marker={ids[2]}")
    assert 400 == door.get(f"{PATH}?marker=nobody", headers=ANN).status_code
    assert 400 == door.get(f"{PATH}?nonsense=1", headers=ANN).status_code


def test_long_recurring_silences_need_an_end_as_well(open_a_door: Callable[..., Door]) -> None:
    """The bound is about the whole, however seldom it is in force."""
    door = open_a_door(silence_limits=SilenceLimits(longest_s=timedelta(days=1).total_seconds()))
    nights = [{"name": "n", "start": "0 22 * * *", "duration": 60}]
    refused = door.post(PATH, HOUR | {"duration": 86_401, "time_constraints": nights}, headers=ANN)

    assert 400 == refused.status_code
    assert 201 == door.post(PATH, HOUR | {"duration": 86_400, "time_constraints": nights}, headers=ANN).status_code


def test_a_silence_that_cannot_be_read_says_so(door: Door) -> None:
    """Its zone was taken out since: it rests and warns until it is over; those beside it are listed as ever."""
    hours = {"name": "night", "start": "* * * * *", "duration": 3600, "timezone": "Europe/Berlin"}
    lost, sound = begun(door, time_constraints=[hours]), begun(door, time_constraints=[hours])
    with door.database.write() as unit:
        moved = [hours | {"timezone": "Europe/Atlantis"}]
        which = silences.c.silence_id == lost["silence_id"]
        unit.connection.execute(update(silences).where(which).values(time_constraints=moved))
    listed = {one["silence_id"]: one for one in door.get(PATH, headers=ANN).get_json()["silences"]}
    assert 204 == door.delete(f"{PATH}/{lost['silence_id']}", headers=ANN).status_code
    ended = door.get(f"{PATH}/{lost['silence_id']}", headers=ANN).get_json()

    assert ("in force", None) == (listed[sound["silence_id"]]["state"], listed[sound["silence_id"]]["warning"])
    assert "resting" == listed[lost["silence_id"]]["state"]
    assert "It keeps nothing back" in listed[lost["silence_id"]]["warning"]
    assert "Timezone Europe/Atlantis is not valid" in listed[lost["silence_id"]]["warning"]
    assert ("ended", None) == (ended["state"], ended["warning"])
