# SPDX-License-Identifier: Apache-2.0
"""A project's signing secret, from its making to the receiver, through a real daemon."""

from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from tests.support.daemon import Daemon, wait_until
from tests.support.events import a_push
from tests.support.receivers import Received, Receiver


def make_alarm(alarmd: Daemon, webhooks: Receiver, path: str, **changes: Any) -> None:
    """Create an alarm that every event sets off."""
    body = {
        "name": path,
        "type": "event",
        "repeat_actions": True,
        "alarm_actions": [webhooks.url(path)],
        "event_rule": {"event_type": "*", "query": []},
    }
    alarmd.request("POST", "/v2/alarms", body | changes)


def accepts(secret: str, received: Received) -> bool:
    """Whether a receiver with this secret and the published library believes a webhook."""
    try:
        Webhook(secret).verify(received.body, dict(received.headers))
    except WebhookVerificationError:
        return False
    return True


def test_each_receiver_checks_with_the_secret_that_its_alarm_names(alarmd: Daemon, webhooks: Receiver) -> None:
    """One that was made a moment ago signs at once; during a rotation the old one still does."""
    secrets = {
        name: alarmd.request("POST", "/v3/secrets", {"name": name})["secret"] for name in ("default", "heat", "mistral")
    }
    make_alarm(alarmd, webhooks, "/default")
    for name in ("heat", "mistral"):
        make_alarm(alarmd, webhooks, f"/{name}", signing_secret=name)
    alarmd.request("POST", "/v3/secrets/heat/rotate", {"grace": 60})
    alarmd.request("POST", "/v3/events", {"events": [a_push(["state", 1, "stopped"])]})
    received = {one.line.split()[1].decode().removeprefix("/"): one for one in webhooks.wait_for(3)}

    assert secrets.keys() == received.keys()
    assert {(name, other): name == other for name in secrets for other in secrets} == {
        (name, other): accepts(secrets[other], received[name]) for name in secrets for other in secrets
    }
    assert {"default": 1, "heat": 2, "mistral": 1} == {
        name: len(one.headers["webhook-signature"].split()) for name, one in received.items()
    }


def test_what_names_a_secret_that_was_taken_away_is_never_sent(alarmd: Daemon, webhooks: Receiver) -> None:
    """It is buried with the reason, and sent signed once there is one again."""
    alarmd.request("POST", "/v3/secrets", {"name": "heat"})
    make_alarm(alarmd, webhooks, "/heat", signing_secret="heat")
    alarmd.request("DELETE", "/v3/secrets/heat?force=true")
    alarmd.request("POST", "/v3/events", {"events": [a_push(["state", 1, "stopped"])]})
    [buried] = wait_until(
        lambda: alarmd.request("GET", "/v3/deliveries?state=buried")["deliveries"], what="the delivery to be given up"
    )
    secret = alarmd.request("POST", "/v3/secrets", {"name": "heat"})["secret"]
    retried = alarmd.request("POST", "/v3/retries", {"target": "127.0.0.1"})
    [received] = webhooks.wait_for(1)

    assert "no signing secret named 'heat'" in buried["last_error"]
    assert [buried["event_id"]] == retried["event_ids"]
    assert accepts(secret, received)
