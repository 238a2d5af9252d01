# SPDX-License-Identifier: Apache-2.0
"""`GET /v3/breaker`: whether scale-in is held back."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from alarmd.api.context import Access
from alarmd.model.breaker import Trip
from tests.support.rest import ADMIN, BOB, Door, error_of


@pytest.fixture
def open_breaker(open_a_door: Callable[..., Door]) -> Door:
    """A door behind a proxy, to an installation in which an evaluator has scale-in held back."""
    door = open_a_door(access=Access.TRUSTED_HEADERS)
    now = door.clock.now()
    trip = Trip(owner="host-1:0", reason="too much", since=now, until=now + timedelta(seconds=30))
    with door.database.write() as unit:
        unit.breaker.hold(trip)
    return door


def test_it_is_closed_as_a_rule(door: Door) -> None:
    """Nobody says that scale-in is to be held back."""
    answer = door.get("/v3/breaker").get_json()

    assert {"is_open": False, "held": 0, "trips": []} == answer


def test_an_administrator_sees_who_says_so(open_breaker: Door) -> None:
    """And how many actions wait."""
    answer = open_breaker.get("/v3/breaker", headers=ADMIN).get_json()

    assert (True, 0) == (answer["is_open"], answer["held"])
    assert [("host-1:0", "too much")] == [(one["owner"], one["reason"]) for one in answer["trips"]]


def test_everybody_else_sees_why(open_breaker: Door) -> None:
    """Tenants are told that and why, not by which machine of the operator's, nor how many others wait."""
    answer = open_breaker.get("/v3/breaker", headers=BOB).get_json()

    assert (True, None) == (answer["is_open"], answer["held"])
    assert [(None, "too much")] == [(one["owner"], one["reason"]) for one in answer["trips"]]


def test_it_takes_no_arguments(door: Door) -> None:
    """What is not known is refused."""
    answer = door.get("/v3/breaker?x=1")

    assert answer.status_code == 400
    assert "x" in error_of(answer)
