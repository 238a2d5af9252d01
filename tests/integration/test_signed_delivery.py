# SPDX-License-Identifier: Apache-2.0
"""Deliveries as the notifiers make them, over a real socket, held against the published library."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from alarmd.alarms import SecretService
from alarmd.clock import SystemClock
from alarmd.model.caller import Caller
from alarmd.model.notification import DeliveryState, Notification
from alarmd.model.secret import new_value
from alarmd.model.trace import read_traceparent, trace_id_of
from alarmd.notifiers import assembly
from alarmd.notifiers.secret_book import SecretBook
from alarmd.policy import TablePolicy
from alarmd.settings import Settings
from alarmd.store.database import Database
from alarmd.telemetry import REGISTRY
from tests.support.daemon import wait_until
from tests.support.notifications import a_notification
from tests.support.receivers import Received, Receiver, receiver
from tests.support.rest import new_database
from tests.support.stock import add_meant

CLOCK = SystemClock()
INSTALLATION = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ANN = Caller(project_id="project-1", user_id="ann", roles=frozenset({"member", "reader"}))
TRACE = f"00-{'4b' * 16}-{'0f' * 8}-01"


class Post:
    """A database, a receiver, and notifiers with a secret of the installation's."""

    def __init__(self, database: Database, webhooks: Receiver, state_dir: Path) -> None:
        self.database = database
        self.webhooks = webhooks
        self.secrets = SecretService(database=database, policy=TablePolicy(), clock=CLOCK)
        self._settings = Settings.model_validate({"state_dir": state_dir, "notifier": {"secret": INSTALLATION}})
        self._sent = 0

    def send(self, **changes: Any) -> Notification:
        """Put a notification in the outbox, have it delivered, and return what became of it."""
        self._sent += 1
        now = CLOCK.now()
        notification = a_notification(
            target=self.webhooks.url(), sequence=self._sent, created_at=now, next_attempt_at=now, **changes
        )
        add_meant(self.database, notification)
        self.deliver()
        with self.database.read() as unit:
            found = unit.outbox.get(notification.event_id)
        assert found is not None
        return found

    def deliver(self) -> None:
        """Have everything that waits delivered."""
        book = SecretBook()
        schemes = assembly.build_schemes(self._settings, clock=CLOCK, secrets=book)
        rounds = assembly.build_round(
            self._settings, database=self.database, schemes=schemes, secrets=book, clock=CLOCK, owner="notifier"
        )
        rounds.run()
        wait_until(lambda: self.depth() == 0, what="the outbox to be empty")
        assert rounds.drain(10)
        for scheme in schemes.values():
            scheme.close()

    def depth(self) -> int:
        """Return how much waits."""
        with self.database.read() as unit:
            return unit.outbox.depth()

    def drawn(self, name: str, **changes: Any) -> str:
        """Have a secret drawn and return it."""
        drawn = self.secrets.create(name, ANN, **changes).drawn
        assert drawn is not None
        return drawn


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    database = new_database(tmp_path)
    with receiver() as webhooks:
        yield Post(database, webhooks, tmp_path)
    database.close()


def accepts(secret: str, received: Received) -> bool:
    """Whether a receiver that has this secret, and the published library, believes a webhook."""
    try:
        Webhook(secret).verify(received.body, dict(received.headers))
    except WebhookVerificationError:
        return False
    return True


def test_without_secrets_of_its_own_a_project_has_the_installations(post: Post) -> None:
    """As it has always been."""
    post.send()

    assert accepts(INSTALLATION, post.webhooks.received[0])


def test_the_projects_default_takes_its_place(post: Post) -> None:
    """From the moment that there is one, no other tenant's receiver could be fooled with the installation's."""
    default = post.drawn("default")
    post.send()
    [received] = post.webhooks.received

    assert [True, False] == [accepts(secret, received) for secret in (default, INSTALLATION)]


def test_an_alarm_may_name_another(post: Post) -> None:
    """Each receiver can have its own."""
    default, heat = post.drawn("default"), post.drawn("heat")
    post.send(signing_secret="heat")
    [received] = post.webhooks.received

    assert [True, False] == [accepts(secret, received) for secret in (heat, default)]


def test_receivers_change_over_at_leisure_while_a_secret_is_rotated(post: Post) -> None:
    """Before, with the old one; during the grace with either; afterwards with the new one only."""
    old = post.drawn("heat")
    post.send(signing_secret="heat")
    new = post.secrets.rotate("heat", ANN, grace=timedelta(hours=1)).drawn or ""
    post.send(signing_secret="heat")
    third = new_value()
    post.secrets.rotate("heat", ANN, grace=timedelta(0), value=third)
    post.send(signing_secret="heat")

    assert [(True, False, False), (True, True, False), (False, False, True)] == [
        (accepts(old, one), accepts(new, one), accepts(third, one)) for one in post.webhooks.received
    ]


def test_a_named_secret_that_is_gone_is_never_left_out(post: Post) -> None:
    """Nothing is sent, neither unsigned nor signed by somebody else; the reason stands there, and retrying helps."""
    post.drawn("default")
    post.drawn("heat")
    post.secrets.delete("heat", ANN)
    before = count("alarmd_notifications_total", outcome="buried", reason="unsigned")
    buried = post.send(signing_secret="heat")

    assert [] == post.webhooks.received
    assert (DeliveryState.BURIED, True) == (buried.state, "no signing secret named 'heat'" in buried.last_error)
    assert 1 == count("alarmd_notifications_total", outcome="buried", reason="unsigned") - before

    made = post.drawn("heat")
    with post.database.write() as unit:
        assert unit.outbox.retry(buried.event_id, CLOCK.now())
    post.deliver()

    assert [True] == [accepts(made, one) for one in post.webhooks.received]


def test_the_webhook_goes_on_with_the_trace_of_the_sample(post: Post) -> None:
    """Same trace and flag, a span of its own; and what had no trace begins one."""
    post.send(traceparent=TRACE)
    post.send()
    traced, fresh = (one.headers["traceparent"] for one in post.webhooks.received)

    assert (trace_id_of(TRACE), "01") == (trace_id_of(traced), traced[-2:])
    assert TRACE != traced == read_traceparent(traced)
    assert trace_id_of(TRACE) != trace_id_of(fresh)
    assert "00" == fresh[-2:]


def test_how_long_it_took_from_the_sample_is_measured(post: Post) -> None:
    """For what was delivered and has a sample behind it."""
    name = "alarmd_sample_to_notify_seconds"
    before = count(f"{name}_count"), count(f"{name}_sum")
    post.send(sampled_at=CLOCK.now() - timedelta(seconds=100))
    post.send()

    assert 1 == count(f"{name}_count") - before[0]
    assert 100 <= count(f"{name}_sum") - before[1] < 160


def count(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0
