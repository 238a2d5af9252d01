# SPDX-License-Identifier: Apache-2.0
from structlog.testing import capture_logs

from alarmd.clock import ManualClock
from alarmd.notifiers.log import PLUGIN
from alarmd.notifiers.signing import Signer
from alarmd.notifiers.target_policy import TargetPolicy
from tests.support.notifications import a_notification


def test_one_line_tells_people_what_happened() -> None:
    """The line holds the alarm, the change and its reason, and not the target."""
    scheme = PLUGIN.build(options=PLUGIN.options(), clock=ManualClock(), policy=TargetPolicy(), signer=Signer())
    with capture_logs() as lines:
        attempt = scheme.deliver(a_notification(target="log://secret"))

    assert attempt.ok
    assert lines == [
        {
            "event": "alarm_notified",
            "log_level": "info",
            "alarm_name": "cpu high",
            "alarm_id": "alarm-1",
            "severity": "low",
            "previous": "ok",
            "current": "alarm",
            "reason": "Transition to alarm due to 1 samples outside threshold, most recent: 97.0",
            "event_id": "alarm-1_1_0",
        }
    ]
