# SPDX-License-Identifier: Apache-2.0
"""Aodh's contract §2.1 and §2.2, lost updates: versions for clients that know them, `state_timestamp` for all."""

from typing import Any

import pytest

from alarmd.model.alarm import State
from tests.support.rest import Door, error_of
from tests.support.transitions import turn

ALARM: dict[str, Any] = {"name": "x", "type": "threshold", "threshold_rule": {"meter_name": "m", "threshold": 80}}


def created(door: Door) -> tuple[str, str]:
    """Return the path of a new alarm, and its version."""
    response = door.post("/v2/alarms", ALARM)
    return f"/v2/alarms/{response.get_json()['alarm_id']}", response.headers["ETag"]


def evaluated(door: Door, path: str, *, to: State = State.ALARM) -> None:
    """Have an evaluator turn an alarm, a second later than anything before."""
    door.clock.advance(1)
    assert 1 == len(
        turn(door.database, path.rpartition("/")[2], current=to, reason="evaluated", at=door.clock.now()).applied
    )


def matching(*tags: str) -> dict[str, str]:
    return {"If-Match": ", ".join(tags)}


def test_s2_1_every_answer_about_an_alarm_carries_its_version(door: Door) -> None:
    """A strong tag, the same on POST, GET and an echo; the state's answers carry it too, lists none."""
    path, tag = created(door)
    body = door.get(path).get_json()
    answers = [door.get(path), door.put(path, body), door.get(f"{path}/state"), door.get(f"{path}/")]

    assert [tag] * 4 == [answer.headers["ETag"] for answer in answers]
    assert tag.startswith('"')
    assert tag.endswith('"')
    assert "ETag" not in door.get("/v2/alarms").headers
    assert "ETag" not in door.get(f"{path}/history").headers


@pytest.mark.parametrize("change", ["definition", "state by hand", "same state by hand", "evaluation", "other alarm"])
def test_s2_1_the_version_changes_with_whatever_clients_see(door: Door, change: str) -> None:
    """With the definition and with the state, whoever changed it; not with what happens to other alarms."""
    path, tag = created(door)
    door.clock.advance(1)
    match change:
        case "definition":
            door.put(path, ALARM | {"name": "y"})
        case "state by hand":
            door.put(f"{path}/state", "ok")
        case "same state by hand":
            door.put(f"{path}/state", "insufficient data")
        case "evaluation":
            evaluated(door, path)
        case _:
            evaluated(door, created(door)[0])

    assert (tag == door.get(path).headers["ETag"]) == (change == "other alarm")


def test_s2_1_a_repeat_is_no_new_version(door: Door) -> None:
    """Actions that are sent once more change nothing that a client sees."""
    path, _ = created(door)
    evaluated(door, path)
    before = door.get(path)
    evaluated(door, path, to=State.ALARM)

    assert (before.headers["ETag"], before.get_json()) == (door.get(path).headers["ETag"], door.get(path).get_json())


@pytest.mark.parametrize(
    ("method", "rest", "data"), [("PUT", "", ALARM | {"name": "y"}), ("PUT", "/state", "ok"), ("DELETE", "", None)]
)
@pytest.mark.parametrize("form", ["{tag}", '"other", {tag}', "*", '{tag}, W/"weak"', None])
def test_s2_1_if_match_of_the_version_lets_the_change_through(
    door: Door, method: str, rest: str, data: Any, form: str | None
) -> None:
    """One of several tags will do, and a star for any; without the header nothing is asked."""
    path, tag = created(door)
    headers = matching(form.format(tag=tag)) if form else {}

    assert door.send(method, f"{path}{rest}", data, headers=headers).status_code in {200, 204}


@pytest.mark.parametrize(
    ("method", "rest", "data"), [("PUT", "", ALARM | {"name": "y"}), ("PUT", "/state", "ok"), ("DELETE", "", None)]
)
@pytest.mark.parametrize("form", ['"other"', "W/{tag}", '"other", W/{tag}', '""', ""])
def test_s2_1_if_match_of_another_version_is_412(door: Door, method: str, rest: str, data: Any, form: str) -> None:
    """A weak tag never matches: the answer says to read again, and nothing has changed."""
    path, tag = created(door)
    before = door.get(path).get_json()
    response = door.send(method, f"{path}{rest}", data, headers=matching(form.format(tag=tag)))

    assert 412 == response.status_code
    assert "read it again" in error_of(response)
    assert (tag, before) == (door.get(path).headers["ETag"], door.get(path).get_json())


@pytest.mark.parametrize("tag", ["*", '"any"'])
def test_s2_1_if_match_on_what_is_not_there_is_404(door: Door, tag: str) -> None:
    """Not 412: there is nothing that could match."""
    for method, data in (("PUT", ALARM), ("DELETE", None)):
        assert 404 == door.send(method, "/v2/alarms/4711", data, headers=matching(tag)).status_code


@pytest.mark.parametrize("form", ["{tag}", "W/{tag}", '"other", {tag}', "*"])
@pytest.mark.parametrize("rest", ["", "/state"])
def test_s2_1_if_none_match_of_the_version_is_304(door: Door, form: str, rest: str) -> None:
    """The client has it already: no body, no content type, the tag again; a weak one will do for reading."""
    path, tag = created(door)
    response = door.get(f"{path}{rest}", headers={"If-None-Match": form.format(tag=tag)})

    assert (304, b"", tag) == (response.status_code, response.data, response.headers["ETag"])
    assert "Content-Type" not in response.headers
    assert "x-openstack-request-id" in response.headers


def test_s2_1_if_none_match_of_another_version_answers_whole(door: Door) -> None:
    """A poller that asks with the last version it saw gets the alarm once it has turned."""
    path, tag = created(door)
    evaluated(door, path)
    response = door.get(path, headers={"If-None-Match": tag})

    assert (200, "alarm") == (response.status_code, response.get_json()["state"])


def test_s2_1_a_stale_echo_does_not_set_the_state_back(door: Door) -> None:
    """GET, an evaluation, then the whole body back with another name, as aodhclient and Heat do: the state stays."""
    path, _ = created(door)
    body = door.get(path).get_json()
    evaluated(door, path)
    after = door.put(path, body | {"name": "renamed"})

    assert (200, "renamed", "alarm", "evaluated") == (
        after.status_code,
        *(after.get_json()[key] for key in ("name", "state", "state_reason")),
    )
    kinds = [change["type"] for change in door.get(f"{path}/history").get_json()]
    assert {"creation", "state transition", "rule change"} == set(kinds)
    assert "state" not in door.get(f"{path}/history").get_json()[0]["detail"]


def test_s2_1_with_if_match_a_stale_body_is_412(door: Door) -> None:
    """The same with the tag of the GET: nothing is changed, and reading again helps."""
    path, tag = created(door)
    body = door.get(path).get_json()
    evaluated(door, path)
    refused = door.put(path, body | {"name": "renamed"}, headers=matching(tag))
    again = door.get(path)
    taken = door.put(path, again.get_json() | {"name": "renamed"}, headers=matching(again.headers["ETag"]))

    assert (412, "x", "alarm") == (refused.status_code, again.get_json()["name"], again.get_json()["state"])
    assert (200, "renamed", "alarm") == (taken.status_code, taken.get_json()["name"], taken.get_json()["state"])


def test_s2_2_a_state_that_is_wanted_is_set(door: Door) -> None:
    """Another state with the `state_timestamp` of now, or with none, is the client's own wish."""
    path, _ = created(door)
    body = door.get(path).get_json()
    del body["state_timestamp"]
    evaluated(door, path)
    wished = door.get(path).get_json() | {"state": "ok"}

    assert "ok" == door.put(path, wished).get_json()["state"]
    assert "insufficient data" == door.put(path, body).get_json()["state"]


def test_s2_1_of_two_that_change_the_same_version_one_gets_through(door: Door) -> None:
    """The second is told, and can read and try again."""
    path, tag = created(door)
    answers = [door.put(path, ALARM | {"name": name}, headers=matching(tag)) for name in ("first", "second")]

    assert [200, 412] == [answer.status_code for answer in answers]
    assert "first" == door.get(path).get_json()["name"]
