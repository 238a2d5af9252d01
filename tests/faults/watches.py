# SPDX-License-Identifier: Apache-2.0
"""The alarms of the campaign, as what has created them knows them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.daemon import Daemon

BLIND, OK, ALARM = "insufficient data", "ok", "alarm"

#: What loads rise to and fall to, and the threshold between them.
LOW, HIGH, BETWEEN = 10.0, 90.0, 50.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """An alarm, and whose load it watches."""

    alarm_id: str
    name: str
    resource_id: str
    threshold: float = BETWEEN
    operator: str = "gt"
    period_s: float = 1.0
    periods: int = 1
    #: How often it repeats its actions while its state stays, in seconds; never if it is 0.
    repeats_s: int = 0
    #: Where each state is told, in the order of the actions: paths at the receiver.
    actions: Mapping[str, Sequence[str]]

    def state_at(self, value: float) -> str:
        """Return the state that a load asks for, if it lasts."""
        crossed = value > self.threshold if self.operator == "gt" else value < self.threshold
        return ALARM if crossed else OK

    def paths(self, state: str) -> Sequence[str]:
        """Return where a new state is told."""
        return self.actions.get(state, ())

    @property
    def span_s(self) -> float:
        """For how long a load has to last before it counts in any case."""
        return self.period_s * self.periods


def watch(
    alarmd: Daemon,
    url: str,
    name: str,
    resource_id: str,
    *,
    metric: str = "cpu_util",
    states: Sequence[str] = (OK, ALARM, BLIND),
    threshold: float = BETWEEN,
    operator: str = "gt",
    period_s: float = 1.0,
    periods: int = 1,
    twice: bool = True,
    repeats_s: int = 0,
    headers: Mapping[str, str] | None = None,
    rule: Mapping[str, Any] | None = None,
    **attributes: Any,
) -> Watch:
    """Create an alarm that tells a receiver of its new states: each at a path of its own, some at a shared one too.

    What `rule` says takes the place of what the rule would say.
    """
    actions = {state: [f"/{name}/{state.split()[0]}"] for state in states}
    if twice:
        for state in {OK, ALARM} & set(states):
            actions[state].append(f"/{name}/both")
    whole_rule = {
        "meter_name": metric,
        "query": [{"field": "resource_id", "op": "eq", "value": resource_id}],
        "statistic": "avg",
        "comparison_operator": operator,
        "threshold": threshold,
        "period": period_s,
        "evaluation_periods": periods,
        **(rule or {}),
    }
    told = {
        f"{state.replace(' ', '_')}_actions": [f"{url}{path}" for path in paths] for state, paths in actions.items()
    }
    beat = {"repeat_actions": True, "repeat_interval": repeats_s} if repeats_s else {}
    body = {"name": name, "type": "threshold", "threshold_rule": whole_rule, **told, **beat, **attributes}
    answer = alarmd.request("POST", "/v2/alarms", body, headers=headers)
    return Watch(
        alarm_id=answer["alarm_id"],
        name=name,
        resource_id=resource_id,
        threshold=threshold,
        operator=operator,
        period_s=period_s,
        periods=periods,
        repeats_s=repeats_s,
        actions=actions,
    )
