# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from alarmd.model.notification import notifications_of
from tests.support.alarms import an_alarm
from tests.support.transitions import a_transition


@pytest.mark.parametrize(
    ("action", "target"),
    [
        ("http://h/a?b=%2F", "http://h/a?b=%2F"),
        ("log:", "log:"),
        ("trust+http://h:8004/a?b=%2F@x", "trust+http://t1@h:8004/a?b=%2F@x"),
        ("TRUST+https://h", "TRUST+https://t1@h"),
        ("trust+zaqar://?queue_name=q", "trust+zaqar://t1@?queue_name=q"),
        ("trust+zaqar:?queue_name=q", "trust+zaqar://t1@?queue_name=q"),
    ],
)
def test_a_target_names_the_trust_where_the_action_needs_one(action: str, target: str) -> None:
    """The trust stands where a user's name would; the rest of the URL stays byte for byte."""
    alarm = an_alarm(alarm_actions=(action,), trust_id="t1")

    assert [target] == [each.target for each in notifications_of(alarm, a_transition(alarm), sequence=1)]


def test_an_action_without_a_trust_stays_as_it_is() -> None:
    """An alarm that has no trust, from before there was a Keystone, keeps its URL; the scheme says what is missing."""
    alarm = an_alarm(alarm_actions=("trust+http://h/",))

    assert ["trust+http://h/"] == [each.target for each in notifications_of(alarm, a_transition(alarm), sequence=1)]


def test_a_body_is_what_receivers_take() -> None:
    """Aodh's seven members: six texts and an object, of few bytes however long the alarm's name is."""
    alarm = an_alarm(name="\U0001f600" * 255, alarm_actions=("http://h/",))
    [notification] = notifications_of(alarm, a_transition(alarm), sequence=1)
    body = dict(notification.body)

    assert len(json.dumps(body)) < 10_000
    assert isinstance(body.pop("reason_data"), dict)
    assert {"alarm_id", "alarm_name", "severity", "previous", "current", "reason"} == set(body)
    assert all(type(text) is str for text in body.values())
