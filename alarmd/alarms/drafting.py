# SPDX-License-Identifier: Apache-2.0
"""From what a client wants to an alarm: checked, complete, every default filled in. Reads and writes nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from alarmd.alarms.actions import ActionRules
from alarmd.alarms.additions import additions
from alarmd.alarms.reach import refuse_others
from alarmd.alarms.reasons import first_reason
from alarmd.complaints import invalid
from alarmd.model.alarm import SET_BY_API_REASON, Alarm, AlarmId, Severity, State
from alarmd.model.caller import Caller
from alarmd.model.direction import Direction
from alarmd.model.rule import RuleType
from alarmd.model.shard import shard_of
from alarmd.policy import Policy, is_admin
from alarmd.store.columns import is_storable

#: Why a value is refused that no database stores and no receiver could read.
_NO_TEXT = "Value should be text without NUL and without half surrogate pairs."
#: What indexes of databases can hold, in characters.
_LONGEST_KEY = 255

#: Returns time constraints complete and in wire form; raises `InvalidInput` in Aodh's words.
NormaliseConstraints = Callable[[Sequence[Mapping[str, Any]]], tuple[Mapping[str, Any], ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmDraft:
    """An alarm as a client wants it. What is None was not given and gets its default."""

    name: str
    type: str
    rule: Mapping[str, Any]
    #: Derived from the rule when empty.
    description: str | None = None
    enabled: bool | None = None
    severity: Severity | None = None
    ok_actions: tuple[str, ...] | None = None
    alarm_actions: tuple[str, ...] | None = None
    insufficient_data_actions: tuple[str, ...] | None = None
    repeat_actions: bool | None = None
    time_constraints: tuple[Mapping[str, Any], ...] | None = None
    #: These four stay as they are where a change does not give them; empty, or 0, takes them away.
    labels: Mapping[str, str] | None = None
    directions: Mapping[State, Direction] | None = None
    repeat_interval_s: int | None = None
    signing_secret: str | None = None
    project_id: str | None = None
    user_id: str | None = None
    state: State | None = None
    #: What the client had read before it changed something; tells an echoed state from a wanted one.
    state_timestamp: datetime | None = None
    evaluate_timestamp: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafting:
    """Makes alarms of drafts.

    Both methods raise `InvalidInput` for what cannot be, and `Unauthorized` for what names another's project or is for
    admins only.
    """

    rule_types: Mapping[str, RuleType]
    normalise_constraints: NormaliseConstraints
    actions: ActionRules
    policy: Policy
    #: The shortest that repeats may be apart, in seconds: nothing is looked at more often.
    least_repeat_s: int = 1

    def new(self, draft: AlarmDraft, caller: Caller, now: datetime) -> Alarm:
        """Return a new alarm."""
        refuse_others(self.policy, caller, project_id=draft.project_id, user_id=draft.user_id)
        return self._drafted(
            draft,
            caller,
            before=None,
            alarm_id=AlarmId(str(uuid4())),
            project_id=caller.project_id if draft.project_id is None else draft.project_id,
            user_id=caller.user_id if draft.user_id is None else draft.user_id,
            timestamp=now,
            state=State.INSUFFICIENT_DATA if draft.state is None else draft.state,
            state_timestamp=now,
            evaluate_timestamp=draft.evaluate_timestamp or now,
        )

    def changed(self, before: Alarm, draft: AlarmDraft, caller: Caller, now: datetime) -> Alarm:
        """Return an alarm as it is once a draft has replaced its definition.

        What the draft leaves out goes back to its default, the state too. Three things stay: `evaluate_timestamp`,
        what only alarmd's own clients know (see `additions`), and the state when the draft merely echoes one that has
        changed meanwhile, which its `state_timestamp` tells.
        """
        state = State.INSUFFICIENT_DATA if draft.state is None else draft.state
        if draft.state is not None and draft.state_timestamp not in {None, before.state_timestamp}:
            state = before.state
        turned = state is not before.state
        admin = is_admin(self.policy, caller)
        owner = (draft.project_id, draft.user_id) if admin else (caller.project_id, caller.user_id)
        return self._drafted(
            draft,
            caller,
            before=before,
            alarm_id=before.alarm_id,
            project_id=before.project_id if owner[0] is None else owner[0],
            user_id=before.user_id if owner[1] is None else owner[1],
            timestamp=now,
            state=state,
            state_reason=SET_BY_API_REASON if turned else before.state_reason,
            state_timestamp=now if turned else before.state_timestamp,
            evaluate_timestamp=draft.evaluate_timestamp or before.evaluate_timestamp,
            trust_id=before.trust_id,
        )

    def _drafted(
        self,
        draft: AlarmDraft,
        caller: Caller,
        *,
        before: Alarm | None,
        alarm_id: AlarmId,
        project_id: str,
        user_id: str,
        **kept: Any,
    ) -> Alarm:
        _check_texts(name=draft.name, description=draft.description, project_id=project_id, user_id=user_id)
        # A rule may read one project only, unless an admin makes an alarm for itself; one that is left as it is keeps
        # its reach.
        confined = not (is_admin(self.policy, caller) and project_id == caller.project_id)
        rule_type, rule = self._rule(draft, project_id, confined=confined and (before is None or before.confined))
        if before is None:
            kept["state_reason"] = first_reason(self.rule_types, draft.type, rule)
        reads = rule_type.reads_project(rule, project_id=project_id)
        if reads != project_id:
            refuse_others(self.policy, caller, project_id=reads)
        same_rule = before is not None and (draft.type, rule, project_id) == (
            before.type,
            before.rule,
            before.project_id,
        )
        return Alarm(
            alarm_id=alarm_id,
            name=draft.name,
            description=draft.description or rule_type.describe(rule),
            enabled=True if draft.enabled is None else draft.enabled,
            type=draft.type,
            rule=rule,
            confined=before.confined if before and same_rule else confined,
            project_id=project_id,
            user_id=user_id,
            severity=draft.severity or Severity.LOW,
            ok_actions=self.actions.kept("ok_actions", draft.ok_actions, caller),
            alarm_actions=self.actions.kept("alarm_actions", draft.alarm_actions, caller),
            insufficient_data_actions=self.actions.kept(
                "insufficient_data_actions", draft.insufficient_data_actions, caller
            ),
            repeat_actions=bool(draft.repeat_actions),
            time_constraints=self.normalise_constraints(draft.time_constraints or ()),
            shard=shard_of(reads),
            **additions(
                labels=draft.labels,
                directions=draft.directions,
                repeat_interval_s=draft.repeat_interval_s,
                signing_secret=draft.signing_secret,
                before=before,
                least_repeat_s=self.least_repeat_s,
            ),
            **kept,
        )

    def _rule(self, draft: AlarmDraft, project_id: str, *, confined: bool) -> tuple[RuleType, dict[str, Any]]:
        rule_type = self.rule_types.get(draft.type)
        if rule_type is None:
            raise invalid("type", draft.type, f"Value should be one of: {', '.join(sorted(self.rule_types))}")
        rule = rule_type.normalise(draft.rule, project_id=project_id, confined=confined)
        if not is_storable(rule):
            raise invalid(f"{draft.type}_rule", dict(draft.rule), _NO_TEXT)
        return rule_type, rule


def _check_texts(*, description: str | None, **keys: str) -> None:
    for field, value in (("description", description), *keys.items()):
        if value is not None and not is_storable(value):
            raise invalid(field, value, _NO_TEXT)
    for field, value in keys.items():
        if len(value) > _LONGEST_KEY:
            raise invalid(field, f"{value[:_LONGEST_KEY]}…", f"Value should have at most {_LONGEST_KEY} characters")
