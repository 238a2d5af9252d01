# SPDX-License-Identifier: Apache-2.0
"""One alarm on pushed samples, as a user would make it."""

import json
import time
from typing import Any

from tests.support.daemon import Daemon
from tests.support.receivers import Receiver

#: From the sample that makes the difference to the webhook.
REACTION_S = 2.0


class Scene:
    """A gauge, an alarm above 80 on it, and the webhooks that follow."""

    def __init__(self, alarmd: Daemon, webhooks: Receiver) -> None:
        self._alarmd = alarmd
        self._webhooks = webhooks
        #: Ids of the webhooks that were seen.
        self._told: set[str] = set()
        self.alarm_id = ""

    def create_alarm(self) -> None:
        """Create the alarm through the REST API."""
        rule = {
            "meter_name": "cpu_util",
            "threshold": 80.0,
            "comparison_operator": "gt",
            "statistic": "avg",
            "period": 1,
            "evaluation_periods": 1,
            "query": [{"field": "resource_id", "op": "eq", "value": "vm-1"}],
        }
        target = self._webhooks.url()
        body = {
            "name": "busy",
            "type": "threshold",
            "threshold_rule": rule,
            "alarm_actions": [target],
            "ok_actions": [target],
            "insufficient_data_actions": [target],
        }
        self.alarm_id = self._alarmd.request("POST", "/v2/alarms", body)["alarm_id"]

    def push(self, value: float) -> None:
        """Push one sample that is true now."""
        sample = {"metric": "cpu_util", "resource_id": "vm-1", "value": value, "unit": "%", "type": "gauge"}
        answer = self._alarmd.request("POST", "/v3/samples", {"samples": [sample]})
        assert answer["accepted"] == 1, answer

    def await_webhook(self, current: str, *, timeout_s: float = REACTION_S) -> dict[str, Any]:
        """Return the body of the next webhook, which has to tell this state; an earlier one may come again first."""
        deadline_s = time.monotonic() + timeout_s
        count = 1
        while True:
            received = self._webhooks.wait_for(count, timeout_s=max(0.0, deadline_s - time.monotonic()))[count - 1]
            event_id = received.headers["webhook-id"]
            if event_id not in self._told:
                break
            count += 1
        self._told.add(event_id)
        body: dict[str, Any] = json.loads(received.body)
        assert body["current"] == current, body
        assert body["alarm_id"] == self.alarm_id
        return body
