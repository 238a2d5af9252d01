# SPDX-License-Identifier: Apache-2.0
"""`trust+heat` against a Keystone and a Heat of the documented shape."""

from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest
from pydantic import SecretStr

from alarmd import plugins
from alarmd.clock import SystemClock
from alarmd.model.notification import Notification
from alarmd.notifiers.heat import HeatOptions, HeatScheme
from alarmd.notifiers.scheme import Attempt, Reason
from alarmd.notifiers.signing import Signer
from alarmd.notifiers.target_policy import TargetPolicy
from alarmd.settings.schema import KeystoneSettings
from tests.support.cloud import Asked, Cloud, cloud
from tests.support.notifications import a_notification


@pytest.fixture
def site() -> Iterator[Cloud]:
    """A cloud with three machines behind a load balancer."""
    with cloud() as running:
        running.resources = {f"m{number}": ("pool_member", f"machine-{number}") for number in range(1, 4)}
        yield running


def a_call(members: Any = ({"id": "m1"},), *, target: str = "trust+heat://t1@", **changes: Any) -> Notification:
    """Return the notification of an alarm for members of a load balancer."""
    data: dict[str, Any] = {
        "type": "loadbalancer_member_health",
        "stack_id": "STACK",
        "asg_id": "ASG",
        "unhealthy_members": list(members) if isinstance(members, tuple) else members,
    }
    return a_notification(target=target, body={"current": "alarm", "reason_data": data | changes})


def deliver(site: Cloud, notification: Notification, **options: Any) -> Attempt:
    keystone = KeystoneSettings(auth_url=f"{site.url}/v3", password=SecretStr("x"))
    scheme = HeatScheme(
        options=HeatOptions(keystone=keystone, **options),
        clock=SystemClock(),
        policy=TargetPolicy(),
        signer=Signer(),
    )
    try:
        return scheme.deliver(notification)
    finally:
        scheme.close()


def test_unhealthy_members_are_marked_and_the_stack_is_updated(site: Cloud) -> None:
    """The group's members are found by those of the pool, each once, and all of it is done with the trust's token."""
    attempt = deliver(site, a_call(({"id": "m1"}, {"id": "m3"}, {"id": "m1"}, {"id": "unknown"})))

    assert (Reason.OK, 202) == (attempt.reason, attempt.status)
    assert {"machine-1": "unhealthy load balancer member", "machine-3": "unhealthy load balancer member"} == (
        site.unhealthy
    )
    assert 1 == site.updates
    assert {"token-1"} == {asked.token for asked in site.asked}
    assert "PATCH" == site.asked[-1].method, "the update comes last"


def test_many_members_are_asked_for_in_parts(site: Cloud) -> None:
    """A request line has to stay short, and one notification heals a hundred at most."""
    site.resources = {f"m{number}": ("pool_member", f"machine/{number}") for number in range(150)}
    attempt = deliver(site, a_call(tuple({"id": f"m{number}"} for number in range(150))))
    lists = [asked for asked in site.asked if "resources?" in asked.path]

    assert attempt.ok
    assert 100 == len(site.unhealthy)
    assert "machine/99" in site.unhealthy
    assert 5 == len(lists)


def test_a_token_that_was_revoked_is_replaced_once(site: Cloud) -> None:
    """As with every action that is taken in somebody's name."""
    site.revoked = {"token-1"}
    healed = deliver(site, a_call())
    site.revoked = {f"token-{number}" for number in range(10)}
    refused = deliver(site, a_call())

    assert healed.ok
    assert (401, False) == (refused.status, refused.retryable)


@pytest.mark.parametrize(
    ("call", "status", "reason", "retryable"),
    [
        ("PATCH /stacks/web/STACK", 409, Reason.BUSY, True),
        ("PATCH /resources/", 500, Reason.SERVER_ERROR, True),
        ("PATCH /resources/", 404, Reason.CLIENT_ERROR, False),
        ("GET /stacks/STACK", 404, Reason.CLIENT_ERROR, False),
        ("GET /stacks/ASG", 503, Reason.SERVER_ERROR, True),
        ("GET resources?", 403, Reason.CLIENT_ERROR, False),
        ("GET resources?", 429, Reason.BUSY, True),
        ("GET resources?", 302, Reason.REDIRECT, False),
    ],
)
def test_what_heat_says_decides_what_becomes_of_it(
    site: Cloud, call: str, status: int, reason: Reason, retryable: bool
) -> None:
    """Where another try may help it is made, and whatever was done already is done again without harm."""

    def refuse(asked: Asked) -> tuple[int, dict[str, str], Any] | None:
        method, _, part = call.partition(" ")
        found = asked.method == method and part in asked.path
        return (status, {"Retry-After": "9", "Location": "/"}, {}) if found else None

    site.instead = refuse
    attempt = deliver(site, a_call())
    site.instead = lambda _: None
    again = deliver(site, a_call())

    assert (reason, retryable, status) == (attempt.reason, attempt.retryable, attempt.status)
    assert (9 if retryable and status != 409 else None) == attempt.retry_after_s
    assert (True, 1) == (again.ok, site.updates)


@pytest.mark.parametrize("body", [b"nonsense", b"[]", b'{"resources": 7}', b'{"resources": [1]}', b"\xff"])
def test_an_answer_that_cannot_be_read_is_asked_for_again(site: Cloud, body: bytes) -> None:
    """A proxy in trouble answers anything."""
    site.instead = lambda asked: (200, {}, body) if "resources?" in asked.path else None
    attempt = deliver(site, a_call())

    assert (Reason.SERVER_ERROR, True) == (attempt.reason, attempt.retryable)


def test_a_place_that_heat_does_not_name_is_not_gone_to(site: Cloud) -> None:
    """Of the address that Heat sends to only the stack counts, never the host."""
    site.instead = lambda asked: (302, {"Location": "http://evil.example/"}, {}) if "STACK" in asked.path else None
    attempt = deliver(site, a_call())

    assert (Reason.SERVER_ERROR, True) == (attempt.reason, attempt.retryable)
    assert 1 == len(site.asked)


@pytest.mark.parametrize(
    ("notification", "words"),
    [
        (a_notification(target="trust+heat://t1@"), "loadbalancer_member_health alarms"),
        (a_notification(target="trust+heat://t1@", body={"reason_data": None}), "loadbalancer_member_health alarms"),
        (a_call(asg_id=""), "loadbalancer_member_health alarms"),
        (a_call(stack_id=7), "loadbalancer_member_health alarms"),
        (a_call(()), "no unhealthy member"),
        (a_call("m1"), "no unhealthy member"),
        (a_call(({"id": None}, 7)), "no unhealthy member"),
        (a_call(({"id": "unknown"},)), "no resource of 1 unhealthy members"),
    ],
)
def test_what_heat_could_not_do_is_given_up_with_the_reason(
    site: Cloud, notification: Notification, words: str
) -> None:
    """Nothing is marked and nothing is updated."""
    attempt = deliver(site, notification)

    assert (Reason.INVALID, False) == (attempt.reason, attempt.retryable)
    assert words in attempt.detail
    assert ({}, 0) == (site.unhealthy, site.updates)


def test_without_trust_or_heat_nothing_is_done(site: Cloud) -> None:
    """A trust that is gone, an action without one, and a catalogue without Heat are told apart."""
    gone = deliver(site, a_call(target="trust+heat://t2@"))
    none = deliver(site, a_call(target="trust+heat://"))
    site.has_heat = False
    nowhere = deliver(site, a_call())

    assert {(Reason.TRUST, False)} == {(one.reason, one.retryable) for one in (gone, none, nowhere)}
    assert "no such trust" in gone.detail
    assert "the alarm has no trust" in none.detail
    assert "no internal endpoint of the type 'orchestration'" in nowhere.detail


def test_a_slow_heat_is_left_at_the_deadline(site: Cloud) -> None:
    """All calls together have one deadline."""
    released = Event()
    site.instead = lambda asked: (500, {}, {}) if asked.method == "PATCH" and released.wait(30) else None
    attempt = deliver(site, a_call(), deadline_s=0.5)
    released.set()

    assert (Reason.TIMEOUT, True) == (attempt.reason, attempt.retryable)
    assert 0 == site.updates


def test_it_is_the_scheme_of_its_name() -> None:
    """Found by its entry point; any spelling of the action is taken."""
    plugin = plugins.load("alarmd.notifiers", "trust+heat")
    for target in ("trust+heat://", "trust+heat:", "trust+heat://whatever"):
        plugin.check(target, policy=TargetPolicy())

    assert HeatOptions is plugin.options
