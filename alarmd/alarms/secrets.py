# SPDX-License-Identifier: Apache-2.0
"""Signing secrets: made, rotated and ended by those whose webhooks they sign. Nobody is ever shown one again."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import structlog

from alarmd.alarms.reach import refuse_others
from alarmd.clock import Clock
from alarmd.errors import Conflict, Forbidden, InvalidInput, NotFound
from alarmd.model.alarm import Alarm
from alarmd.model.caller import Caller
from alarmd.model.secret import NAME_FORM, SECRET_FORM, SigningSecret, is_name, key_of, new_value
from alarmd.policy import Action, Policy, require
from alarmd.store.columns import is_storable
from alarmd.store.database import Database, UnitOfWork

_logger = structlog.get_logger()

#: How many secrets of one name sign at once at most: each webhook bears a signature of each.
MOST_AT_ONCE = 5
#: How many secrets a project has at most, expired ones too while there is room for them.
MOST_OF_PROJECT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeSecret:
    """A secret that has just been made."""

    secret: SigningSecret
    #: What the receiver has to be given, where alarmd has drawn it: told once. None where the client brought it.
    drawn: str | None


class SecretService:
    """Makes, shows, rotates and ends signing secrets. Safe to use from several threads.

    Without a project the caller's own is meant. Every method may raise `Forbidden`, `Unauthorized`, `InvalidInput` and
    `StoreUnavailable`.
    """

    def __init__(self, *, database: Database, policy: Policy, clock: Clock) -> None:
        self._database = database
        self._policy = policy
        self._clock = clock

    def create(
        self,
        name: str,
        caller: Caller,
        *,
        value: str | None = None,
        expires_in: timedelta | None = None,
        project_id: str | None = None,
    ) -> MadeSecret:
        """Add a secret; beside others of its name all of them sign. Without a value one is drawn."""
        project_id = self._project(Action.CREATE_SECRET, caller, project_id)
        now = self._clock.now()
        expires_at = None if expires_in is None else now + expires_in
        made = _made(project_id, name, value, now=now, expires_at=expires_at)
        with self._database.write() as unit:
            _store(unit, made.secret, now)
        _tell("secret_created", made.secret, caller)
        return made

    def rotate(
        self, name: str, caller: Caller, *, grace: timedelta, value: str | None = None, project_id: str | None = None
    ) -> MadeSecret:
        """Add a secret and let those that its name has had end after the grace, all in one. Raises `NotFound`."""
        project_id = self._project(Action.ROTATE_SECRET, caller, project_id)
        now = self._clock.now()
        made = _made(project_id, name, value, now=now, expires_at=None)
        with self._database.write() as unit:
            # Of two at once the later replaces what the earlier has made; else both would stay for ever.
            unit.secrets.lock(project_id)
            before = unit.secrets.find(project_id, name=name)
            if not before:
                raise _unknown(name)
            unit.secrets.expire([one.secret_id for one in before], now + grace)
            _store(unit, made.secret, now)
        _tell(
            "secret_rotated",
            made.secret,
            caller,
            replaced=[one.secret_id for one in before],
            grace_s=grace.total_seconds(),
        )
        return made

    def find(self, caller: Caller, *, name: str | None = None, project_id: str | None = None) -> list[SigningSecret]:
        """Return the secrets of a project, by name and within it newest first, expired ones as long as they are kept.

        The way out is for their names, ids, times and fingerprints only.
        """
        project_id = self._project(Action.GET_SECRETS, caller, project_id)
        with self._database.read() as unit:
            return unit.secrets.find(project_id, name=name)

    def delete(
        self,
        name: str,
        caller: Caller,
        *,
        secret_id: str | None = None,
        force: bool = False,
        project_id: str | None = None,
    ) -> None:
        """End the secrets of a name at once, or one of them; raises `NotFound`.

        Raises `Conflict` when nothing would be left for alarms that name it; with `force` what these still send is
        given up.
        """
        project_id = self._project(Action.DELETE_SECRET, caller, project_id)
        now = self._clock.now()
        with self._database.write() as unit:
            unit.secrets.lock(project_id)
            found = unit.secrets.find(project_id, name=name)
            doomed = [one.secret_id for one in found if secret_id in {None, one.secret_id}]
            if not doomed:
                raise _unknown(name if secret_id is None else f"{name} ({secret_id})")
            unit.secrets.remove(doomed)
            if not force and not unit.secrets.holds(project_id, name, now):
                _refuse_while_named(unit, project_id, name)
        for one in found:
            if one.secret_id in doomed:
                _tell("secret_deleted", one, caller, force=force)

    def _project(self, action: Action, caller: Caller, project_id: str | None) -> str:
        require(self._policy, action, caller)
        refuse_others(self._policy, caller, project_id=project_id)
        project_id = caller.project_id if project_id is None else project_id
        if not is_storable(project_id):
            raise InvalidInput("Invalid input for field/attribute project_id: it holds a character that is not text.")
        return project_id


def _tell(event: str, secret: SigningSecret, caller: Caller, **facts: Any) -> None:
    """Log who has done what to a secret; never its value."""
    who = {"user_id": caller.user_id, "caller_project_id": caller.project_id}
    of = {"project_id": secret.project_id, "name": secret.name, "secret_id": secret.secret_id}
    _logger.info(event, **who, **of, **facts)


def check_signing_secret(unit: UnitOfWork, alarm: Alarm, now: datetime, *, before: Alarm | None = None) -> None:
    """Raise `InvalidInput` when an alarm newly names a secret that its project has not: it could never be sent."""
    named = alarm.signing_secret, alarm.project_id
    if not alarm.signing_secret or (before is not None and named == (before.signing_secret, before.project_id)):
        return
    unit.secrets.lock(alarm.project_id, is_shared=True)
    if not unit.secrets.holds(alarm.project_id, alarm.signing_secret, now):
        raise InvalidInput(
            f"Invalid input for field/attribute signing_secret. Value: '{alarm.signing_secret}'. The alarm's project "
            "has no signing secret of that name; make one with POST /v3/secrets or `alarmd secret create`."
        )


def _made(project_id: str, name: str, value: str | None, *, now: datetime, expires_at: datetime | None) -> MadeSecret:
    if not is_name(name):
        raise InvalidInput(f"The name of a secret is {NAME_FORM}.")
    drawn = new_value() if value is None else None
    secret = SigningSecret(
        secret_id=str(uuid4()),
        project_id=project_id,
        name=name,
        value=value or drawn or "",
        created_at=now,
        expires_at=expires_at,
    )
    try:
        key_of(secret.value)
    except ValueError:
        # The secret itself stays out of the message: it would end up in a log.
        raise InvalidInput(f"This is not a Standard Webhooks secret: it has to be {SECRET_FORM}") from None
    return MadeSecret(secret=secret, drawn=drawn)


def _store(unit: UnitOfWork, secret: SigningSecret, now: datetime) -> None:
    """Store a secret within the bounds of its name and its project."""
    found = unit.secrets.find(secret.project_id)
    if len(found) >= MOST_OF_PROJECT:
        unit.secrets.remove_expired(now, project_id=secret.project_id)
        found = unit.secrets.find(secret.project_id)
    valid = [one for one in found if one.name == secret.name and not one.is_expired(now)]
    if len(found) >= MOST_OF_PROJECT or len(valid) >= MOST_AT_ONCE:
        raise Forbidden(
            f"A project has at most {MOST_OF_PROJECT} signing secrets, and {MOST_AT_ONCE} of one name that sign at "
            "once; delete those that no receiver needs any more."
        )
    unit.secrets.add(secret)


def _refuse_while_named(unit: UnitOfWork, project_id: str, name: str) -> None:
    naming = unit.secrets.alarms_naming(project_id, name)
    if naming:
        alarms = "1 alarm signs" if naming == 1 else f"{naming} alarms sign"
        raise Conflict(
            f"{alarms} with the secret '{name}', of which none would be left. Rotate it, change the alarms, or say "
            "force=true to have what they send given up.",
            alarms=naming,
        )


def _unknown(name: str) -> NotFound:
    return NotFound(f"Secret {name} not found", name=name)
