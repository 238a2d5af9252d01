# SPDX-License-Identifier: Apache-2.0
"""How often projects may ask. The library's clock is that of the test."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from alarmd.api.context import Access
from alarmd.api.rate_limit import ProjectRateLimit, Unlimited
from alarmd.clock import ManualClock
from alarmd.errors import TooMany
from alarmd.model.caller import Caller
from tests.support.rest import ADMIN, ANN, BOB, Door, error_of

_ROOT = {"X-Roles": "admin"}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    """The time as the library sees it; it stands still."""
    clock = ManualClock()
    monkeypatch.setattr("limits.storage.memory.time", SimpleNamespace(time=clock.time_s))
    return clock


@pytest.fixture
def door(open_a_door: Callable[..., Door], clock: ManualClock) -> Door:
    """A door where a project may ask three times a second."""
    del clock
    return open_a_door(access=Access.TRUSTED_HEADERS, rate_limit=ProjectRateLimit(3))


def test_one_too_many_is_refused(door: Door) -> None:
    """The answer is a 429 that names limit and setting, and says when to come back."""
    answers = [door.get("/v2/alarms", headers=ANN) for _ in range(4)]
    last = answers[-1]

    assert [200, 200, 200, 429] == [answer.status_code for answer in answers]
    assert "Project 'p1' asks more than 3 times a second" in error_of(last)
    assert "api.requests_per_second_per_project" in error_of(last)
    assert "1" == last.headers["Retry-After"]
    assert "x-openstack-request-id" in last.headers
    assert not any("Retry-After" in answer.headers for answer in answers[:-1])


def test_every_way_of_asking_counts(door: Door) -> None:
    """Reads, writes, samples and mistakes of all users of a project are counted together."""
    eve = ANN | {"X-User-Id": "eve"}
    asked = [
        door.get("/v3/series", headers=eve).status_code,
        door.post("/v3/samples", {"samples": []}, headers=ANN).status_code,
        door.get("/v2/none", headers=ANN).status_code,
        door.post("/v3/samples", {"samples": []}, headers=ANN).status_code,
    ]

    assert [200, 202, 404, 429] == asked


def test_projects_do_not_share(door: Door) -> None:
    """What one project asks costs another nothing; administrators without a project count as one."""
    for headers in (ANN, BOB, ADMIN, _ROOT):
        answers = [door.get("/v2/alarms", headers=headers).status_code for _ in range(4)]
        assert [200, 200, 200, 429] == answers


def test_a_second_later_there_is_room_again(door: Door, clock: ManualClock) -> None:
    """Whoever waits as told is let in, however often it was refused meanwhile."""
    before = [door.get("/v2/alarms", headers=ANN).status_code for _ in range(9)]
    clock.advance(1)
    after = door.get("/v2/alarms", headers=ANN).status_code

    assert [200] * 3 + [429] * 6 == before
    assert 200 == after


def test_open_paths_are_not_counted(door: Door) -> None:
    """Probes and scrapers may ask as often as they like, and whoever is not let in costs nobody anything."""
    for path in ("/", "/healthz", "/metrics", "/openapi.json"):
        assert [200] * 5 == [door.get(path, headers=ANN).status_code for _ in range(5)]
    assert [403] * 5 == [door.get("/v2/alarms").status_code for _ in range(5)]
    assert 200 == door.get("/v2/alarms", headers=ANN).status_code


def test_how_many_projects_are_counted_is_bounded(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many projects within a second do not pile up in memory."""
    del clock
    monkeypatch.setattr("alarmd.api.rate_limit._MAX_PROJECTS", 10)
    limit = ProjectRateLimit(1)
    for number in range(95):
        limit.spend(Caller(project_id=f"p{number}", user_id="", roles=frozenset()))

    assert len(limit._counts.storage) <= 10
    with pytest.raises(TooMany):
        limit.spend(Caller(project_id="p94", user_id="", roles=frozenset()))


def test_without_a_limit_nobody_is_refused() -> None:
    """Off is the default."""
    limit = Unlimited()
    for _ in range(1000):
        limit.spend(Caller(project_id="p1", user_id="", roles=frozenset()))
