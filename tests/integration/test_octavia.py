# SPDX-License-Identifier: Apache-2.0
"""Asking Octavia, over a socket."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from alarmd.clock import ManualClock, SystemClock
from alarmd.errors import Unavailable
from alarmd.evaluators.asking.asking import NoAnswer, Refused
from alarmd.evaluators.asking.json_client import JsonClient
from alarmd.evaluators.families.loadbalancer.octavia import OctaviaServer, Pool, PoolQuestion
from tests.support.octavia import Octavia, octavia

CLOCK = ManualClock()
LONG_AGO = CLOCK.now() - timedelta(days=1)
CREATION_TIME_S = 120.0


@dataclass
class Doorkeeper:
    """Hands out tokens one after another, and says where services are."""

    url: str
    tokens: list[str] = field(default_factory=lambda: ["old", "new"])
    error: str = ""

    def own_token(self) -> str:
        if self.error:
            raise Unavailable(self.error)
        return self.tokens[0]

    def endpoint(self, service_type: str) -> str:
        assert service_type == "load-balancer"
        return self.url

    def discard(self, trust_id: str | None, token: str) -> None:
        assert trust_id is None
        self.tokens.remove(token)


@pytest.fixture
def running() -> Iterator[Octavia]:
    with octavia() as running:
        running.add_pool("pool-1", project_id="p1")
        yield running


def a_server(running: Octavia, *, tokens: Doorkeeper | None = None, url: str | None = None) -> OctaviaServer:
    return OctaviaServer(
        JsonClient(running.url, name="Octavia", timeout_s=5, connections=2, clock=SystemClock()),
        tokens=tokens,
        url=url if tokens else running.url,
        interval_s=30,
        timeout_s=5,
        concurrency=2,
        member_creation_time_s=CREATION_TIME_S,
    )


def asked(server: OctaviaServer, pool_id: str = "pool-1") -> Pool | None:
    pool: Pool | None = server.ask(PoolQuestion(pool_id=pool_id), now=CLOCK.now()).values
    return pool


@pytest.mark.parametrize("number", [0, 1, 3, 4, 10])
def test_members_are_read_from_all_pages(running: Octavia, number: int) -> None:
    """Links lead to the next page by their query alone, whatever host they name."""
    members = [running.add_member("pool-1", f"m{at}", created_at=LONG_AGO) for at in range(number)]

    assert Pool(project_id="p1", members=tuple(members)) == asked(a_server(running))


def test_s4_5_members_that_were_just_added_are_not_looked_at(running: Octavia) -> None:
    """They are in error until their application runs."""
    moments = {"old": CREATION_TIME_S, "young": CREATION_TIME_S - 1, "to come": -5.0}
    for name, age_s in moments.items():
        running.add_member("pool-1", name, created_at=CLOCK.now() - timedelta(seconds=age_s), status="ERROR")
    running.members["pool-1"].append({"id": "odd", "created_at": "yesterday", "operating_status": "ERROR"})
    pool = asked(a_server(running))

    assert pool is not None
    assert ["old"] == [member["id"] for member in pool.members]


@pytest.mark.parametrize("pool_id", ["pool-2", "", "..", "pool-1/members", "a b", "pool-1?x"])
def test_a_pool_that_is_not_there_is_none(running: Octavia, pool_id: str) -> None:
    """An id leads to a pool and nowhere else."""
    assert asked(a_server(running), pool_id) is None
    assert all(path.startswith("/v2/lbaas/pools/pool-") for path in running.asked)


@pytest.mark.parametrize(("status", "kind"), [(500, NoAnswer), (503, NoAnswer), (429, NoAnswer), (403, Refused)])
def test_an_error_is_no_answer(running: Octavia, status: int, kind: type[NoAnswer]) -> None:
    """It is neither an empty pool nor one that is not there."""
    running.status = status
    with pytest.raises(NoAnswer) as raised:
        asked(a_server(running))

    assert kind is type(raised.value)


def test_a_token_that_counts_no_more_is_replaced(running: Octavia) -> None:
    """The catalogue tells where to go, with its version or without; a fresh token is tried once."""
    for suffix in ("", "/v2.0", "/v2"):
        running.believes = lambda token: token == "new"
        keeper = Doorkeeper(running.url + suffix)
        assert asked(a_server(running, tokens=keeper)) is not None
        assert ["new"] == keeper.tokens


def test_without_keystone_there_is_no_answer(running: Octavia) -> None:
    """The reason is Keystone's."""
    with pytest.raises(NoAnswer, match="Keystone sleeps"):
        asked(a_server(running, tokens=Doorkeeper(running.url, error="Keystone sleeps")))


def test_what_is_no_octavia_is_no_answer(running: Octavia) -> None:
    """Whatever stands at the address by mistake."""
    running.pools["pool-1"] = []  # type: ignore[assignment]  # that is the mistake
    with pytest.raises(NoAnswer, match=r"\[octavia\]"):
        asked(a_server(running))
