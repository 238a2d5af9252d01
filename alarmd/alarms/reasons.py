# SPDX-License-Identifier: Apache-2.0
"""Why alarms are in their first state: nobody has looked yet, and with some rules nobody will.

What is stored is what was true when an alarm was made. Which rules are evaluated changes with the settings, so it is
looked up anew whenever such an alarm is shown.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from alarmd.model.alarm import NOT_EVALUATED_REASON, Alarm
from alarmd.model.rule import CompoundRuleType, RuleType


def first_reason(rule_types: Mapping[str, RuleType], type_: str, rule: Mapping[str, Any]) -> str:
    """Return why an alarm is in its state that has not been evaluated yet."""
    family: object = rule_types.get(type_)
    within = family.types_within(rule) if isinstance(family, CompoundRuleType) else ()
    for kind, name in [("alarms", type_), *(("rules", name) for name in sorted(within))]:
        kept = rule_types.get(name)
        if kept is not None and kept.is_evaluated:
            continue
        why = f"{NOT_EVALUATED_REASON}: {kind} of type {name} are kept"
        if kept is not None and kept.needs:
            return f"{why}, and evaluated once the operator has set {kept.needs}"
        return f"{why}, but this version does not evaluate them"
    return NOT_EVALUATED_REASON


def told_now(rule_types: Mapping[str, RuleType], alarm: Alarm) -> Alarm:
    """Return an alarm as it is shown: where it has not been evaluated yet, with the reason that holds today."""
    if not alarm.state_reason.startswith(NOT_EVALUATED_REASON):
        return alarm
    reason = first_reason(rule_types, alarm.type, alarm.rule)
    return alarm if reason == alarm.state_reason else replace(alarm, state_reason=reason)
