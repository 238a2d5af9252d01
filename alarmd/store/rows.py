# SPDX-License-Identifier: Apache-2.0
"""Between rows and the model: the only place that knows how a value is spelt in a column."""

from collections.abc import Mapping
from hashlib import blake2b
from types import MappingProxyType
from typing import Any

from sqlalchemy import RowMapping

from alarmd.model.alarm import ActingAlarm, Alarm, AlarmId, Severity, State
from alarmd.model.direction import Direction
from alarmd.model.history import AlarmChange, ChangeType
from alarmd.model.notification import DeliveryState, EventId, Notification, origin_of
from alarmd.model.secret import SigningSecret
from alarmd.model.shard import Shard
from alarmd.model.silence import Silence, SilenceId
from alarmd.model.token import Token

_DIRECTIONS = {str(direction): direction for direction in Direction}
_STATES = {str(state): state for state in State}
_SEVERITIES = {str(severity): severity for severity in Severity}
_DELIVERY_STATES = frozenset(map(str, DeliveryState))
#: Hours that nobody can read: what has them is never in force, and says so.
_NO_HOURS: Mapping[str, Any] = MappingProxyType({})


def alarm_values(alarm: Alarm) -> dict[str, Any]:
    """Return an alarm as column values."""
    return {
        "alarm_id": alarm.alarm_id,
        "name": alarm.name,
        "description": alarm.description,
        "enabled": alarm.enabled,
        "type": alarm.type,
        "rule": dict(alarm.rule),
        "confined": alarm.confined,
        "project_id": alarm.project_id,
        "user_id": alarm.user_id,
        "severity": str(alarm.severity),
        "ok_actions": list(alarm.ok_actions),
        "alarm_actions": list(alarm.alarm_actions),
        "insufficient_data_actions": list(alarm.insufficient_data_actions),
        "repeat_actions": alarm.repeat_actions,
        "time_constraints": [dict(constraint) for constraint in alarm.time_constraints],
        "labels": dict(alarm.labels),
        "directions": {str(state): str(direction) for state, direction in alarm.directions.items()},
        "repeat_interval_s": alarm.repeat_interval_s,
        "signing_secret": alarm.signing_secret,
        "trust_id": alarm.trust_id,
        "timestamp": alarm.timestamp,
        "state": str(alarm.state),
        "state_reason": alarm.state_reason,
        "state_timestamp": alarm.state_timestamp,
        "evaluate_timestamp": alarm.evaluate_timestamp,
        "shard": int(alarm.shard),
        "revision": alarm.revision,
        "state_version": alarm.state_version,
        "sequence": alarm.sequence,
    }


def alarm_of(row: RowMapping) -> Alarm:
    """Return the alarm of a row that holds all columns."""
    return Alarm(
        **_acting_fields(row),
        description=row["description"],
        type=row["type"],
        confined=row["confined"],
        user_id=row["user_id"],
        repeat_actions=row["repeat_actions"],
        time_constraints=_constraints_of(row["time_constraints"]),
        state_reason=row["state_reason"],
        state_timestamp=row["state_timestamp"],
        repeat_interval_s=row["repeat_interval_s"],
        timestamp=row["timestamp"],
        evaluate_timestamp=row["evaluate_timestamp"],
        shard=Shard(row["shard"]),
    )


def acting_alarm_of(row: RowMapping) -> ActingAlarm:
    """Return as much of the alarm of a row as it takes to act."""
    return ActingAlarm(**_acting_fields(row))


def _acting_fields(row: RowMapping) -> dict[str, Any]:
    return {
        "alarm_id": AlarmId(row["alarm_id"]),
        "name": row["name"],
        "enabled": row["enabled"],
        "rule": object_of(row["rule"]),
        "project_id": row["project_id"],
        "severity": _SEVERITIES.get(row["severity"], Severity.LOW),
        "ok_actions": _texts_of(row["ok_actions"]),
        "alarm_actions": _texts_of(row["alarm_actions"]),
        "insufficient_data_actions": _texts_of(row["insufficient_data_actions"]),
        "labels": _labels_of(row["labels"]),
        "directions": _directions_of(row["directions"]),
        "signing_secret": row["signing_secret"],
        "trust_id": row["trust_id"],
        # What is in no state that we know is evaluated as if nobody knew.
        "state": _STATES.get(row["state"], State.INSUFFICIENT_DATA),
        "revision": row["revision"],
        "state_version": row["state_version"],
        "sequence": row["sequence"],
    }


def change_values(change: AlarmChange) -> dict[str, Any]:
    """Return a change as column values."""
    return {
        "event_id": change.event_id,
        "alarm_id": change.alarm_id,
        "type": str(change.type),
        "detail": dict(change.detail),
        "user_id": change.user_id,
        "project_id": change.project_id,
        "on_behalf_of": change.on_behalf_of,
        "timestamp": change.timestamp,
        "severity": None if change.severity is None else str(change.severity),
        "evidence": None if change.evidence is None else dict(change.evidence),
    }


def change_of(row: RowMapping) -> AlarmChange:
    """Return the change of a row of the history; the row need not have the evidence."""
    return AlarmChange(
        event_id=row["event_id"],
        alarm_id=AlarmId(row["alarm_id"]),
        type=ChangeType(row["type"]),
        detail=object_of(row["detail"]),
        user_id=row["user_id"],
        project_id=row["project_id"],
        on_behalf_of=row["on_behalf_of"],
        timestamp=row["timestamp"],
        severity=_SEVERITIES.get(row["severity"]),
        evidence=row.get("evidence"),
    )


def notification_values(notification: Notification) -> dict[str, Any]:
    """Return a notification as column values, in nobody's hands."""
    return {
        "event_id": notification.event_id,
        "alarm_id": notification.alarm_id,
        "project_id": notification.project_id,
        "sequence": notification.sequence,
        "target": notification.target,
        "lane": lane_of(notification.alarm_id, notification.target),
        "origin": origin_of(notification.target),
        "direction": str(notification.direction),
        "not_after": notification.not_after,
        "signing_secret": notification.signing_secret,
        "sampled_at": notification.sampled_at,
        "traceparent": notification.traceparent,
        "body": dict(notification.body),
        "created_at": notification.created_at,
        "state": str(notification.state),
        "attempts": notification.attempts,
        "next_attempt_at": notification.next_attempt_at,
        "last_status": notification.last_status,
        "last_error": notification.last_error,
        "finished_at": notification.finished_at,
        "lease_owner": None,
        "lease_until": None,
    }


def notification_of(row: RowMapping) -> Notification:
    """Return the notification of a row of the outbox."""
    return Notification(
        event_id=EventId(row["event_id"]),
        alarm_id=AlarmId(row["alarm_id"]),
        project_id=row["project_id"],
        sequence=row["sequence"],
        target=row["target"],
        body=object_of(row["body"]),
        created_at=row["created_at"],
        direction=_direction_of(row["direction"]),
        not_after=row["not_after"],
        signing_secret=row["signing_secret"],
        sampled_at=row["sampled_at"],
        traceparent=row["traceparent"],
        state=_delivery_state_of(row["state"]),
        attempts=row["attempts"],
        next_attempt_at=row["next_attempt_at"],
        last_status=row["last_status"],
        last_error=row["last_error"],
        finished_at=row["finished_at"],
    )


# --- what somebody may have written past alarmd: it must not stop what reads it, or those that come with it -----------
def object_of(value: Any) -> dict[str, Any]:
    """Return an object of JSON; an empty one for what is none."""
    return value if isinstance(value, dict) else {}


def _texts_of(value: Any) -> tuple[str, ...]:
    if not value or not isinstance(value, list):
        return ()
    return tuple([one for one in value if isinstance(one, str)])


def _labels_of(value: Any) -> dict[str, str]:
    if not value:
        return {}
    return {name: said for name, said in object_of(value).items() if isinstance(said, str)}


def _constraints_of(value: Any) -> tuple[Mapping[str, Any], ...]:
    if not value:
        return ()
    return tuple(object_of(one) for one in value) if isinstance(value, list) else (_NO_HOURS,)


def _directions_of(value: Any) -> dict[State, Direction]:
    # What is left out is as if nobody had said it: the alarm's comparison tells.
    if not value:
        return {}
    return {
        _STATES[state]: _DIRECTIONS[said]
        for state, said in object_of(value).items()
        if state in _STATES and isinstance(said, str) and said in _DIRECTIONS
    }


def _direction_of(text: str) -> Direction:
    return _DIRECTIONS.get(text, Direction.NEUTRAL)


def _delivery_state_of(text: str) -> DeliveryState:
    # What is in no state that we know is claimed by nobody: it is over.
    return DeliveryState(text) if text in _DELIVERY_STATES else DeliveryState.DROPPED


def token_values(token: Token) -> dict[str, Any]:
    """Return a token as column values."""
    return {
        "token_id": token.token_id,
        "digest": token.digest,
        "description": token.description,
        "project_id": token.project_id,
        "user_id": token.user_id,
        "roles": list(token.roles),
        "created_at": token.created_at,
        "expires_at": token.expires_at,
    }


def token_of(row: RowMapping) -> Token:
    """Return the token of a row."""
    return Token(
        token_id=row["token_id"],
        digest=row["digest"],
        description=row["description"],
        project_id=row["project_id"],
        user_id=row["user_id"],
        roles=tuple(row["roles"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
    )


def silence_values(silence: Silence) -> dict[str, Any]:
    """Return a silence as column values."""
    return {
        "silence_id": silence.silence_id,
        "project_id": silence.project_id,
        "author": silence.author,
        "comment": silence.comment,
        "alarm_id": silence.alarm_id,
        "labels": dict(silence.labels),
        "direction": None if silence.direction is None else str(silence.direction),
        "starts_at": silence.starts_at,
        "ends_at": silence.ends_at,
        "time_constraints": [dict(constraint) for constraint in silence.time_constraints],
        "created_at": silence.created_at,
        "ended_by": silence.ended_by,
    }


def silence_of(row: RowMapping) -> Silence:
    """Return the silence of a row. One that somebody has spoilt is never in force, whatever it may be about."""
    said, labels = row["direction"], _labels_of(row["labels"])
    is_sound = (said is None or said in _DIRECTIONS) and labels == row["labels"]
    return Silence(
        silence_id=SilenceId(row["silence_id"]),
        project_id=row["project_id"],
        author=row["author"],
        comment=row["comment"],
        alarm_id=None if row["alarm_id"] is None else AlarmId(row["alarm_id"]),
        labels=labels,
        direction=_DIRECTIONS.get(said),
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
        time_constraints=_constraints_of(row["time_constraints"]) if is_sound else (_NO_HOURS,),
        created_at=row["created_at"],
        ended_by=row["ended_by"],
    )


def secret_values(secret: SigningSecret) -> dict[str, Any]:
    """Return a signing secret as column values."""
    return {
        "secret_id": secret.secret_id,
        "project_id": secret.project_id,
        "name": secret.name,
        "value": secret.value,
        "created_at": secret.created_at,
        "expires_at": secret.expires_at,
    }


def secret_of(row: RowMapping) -> SigningSecret:
    """Return the signing secret of a row."""
    return SigningSecret(
        secret_id=row["secret_id"],
        project_id=row["project_id"],
        name=row["name"],
        value=row["value"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
    )


def lane_of(alarm_id: AlarmId, target: str) -> str:
    """Return the lane that the notifications of one alarm for one target share; within it order holds."""
    return blake2b(f"{alarm_id}\n{target}".encode(), digest_size=16).hexdigest()
