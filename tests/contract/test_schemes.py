# SPDX-License-Identifier: Apache-2.0
"""What every scheme does, whatever it delivers to."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from alarmd import plugins
from alarmd.clock import SystemClock
from alarmd.model.notification import EventId
from alarmd.notifiers.recording import RecordingScheme
from alarmd.notifiers.scheme import Reason, Scheme
from alarmd.notifiers.signing import Signer
from alarmd.notifiers.target_policy import TargetPolicy
from tests.support.notifications import a_notification
from tests.support.receivers import receiver


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    scheme: Scheme
    target: str


def _build(name: str) -> Scheme:
    plugin = plugins.load("alarmd.notifiers", name)
    scheme: Scheme = plugin.build(
        options=plugin.options(), clock=SystemClock(), policy=TargetPolicy(allow_loopback=True), signer=Signer()
    )
    return scheme


def _http(stack: ExitStack) -> Subject:
    return Subject(scheme=_build("http"), target=stack.enter_context(receiver()).url())


def _log(_: ExitStack) -> Subject:
    return Subject(scheme=_build("log"), target="log:")


def _recording(_: ExitStack) -> Subject:
    return Subject(scheme=RecordingScheme(), target="recording:")


def _test(_: ExitStack) -> Subject:
    return Subject(scheme=_build("test"), target="test:")


@pytest.fixture(params=[_http, _log, _recording, _test], ids=["http", "log", "recording", "test"])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    make: Callable[[ExitStack], Subject] = request.param
    with ExitStack() as stack:
        subject = make(stack)
        stack.callback(subject.scheme.close)
        yield subject


def test_a_good_target_takes_the_notification(subject: Subject) -> None:
    """Delivery to a receiver that is there succeeds, and needs no other try."""
    attempt = subject.scheme.deliver(a_notification(target=subject.target))

    assert (Reason.OK, True, False) == (attempt.reason, attempt.ok, attempt.retryable)
    assert attempt.detail == ""


def test_many_threads_share_a_scheme(subject: Subject) -> None:
    """Deliveries from several threads at once all succeed."""
    notifications = [a_notification(target=subject.target, event_id=EventId(f"a{n}_1_0")) for n in range(64)]
    with ThreadPoolExecutor(8) as pool:
        attempts = list(pool.map(subject.scheme.deliver, notifications))

    assert {attempt.reason for attempt in attempts} == {Reason.OK}


def test_a_scheme_says_how_long_it_may_take(subject: Subject) -> None:
    """The deadline is known beforehand, so that leases can be sized by it."""
    assert 0 < subject.scheme.deadline_s <= 60


def test_closing_twice_does_no_harm(subject: Subject) -> None:
    """A scheme may be closed by whoever cleans up first."""
    subject.scheme.deliver(a_notification(target=subject.target))
    subject.scheme.close()
    subject.scheme.close()
