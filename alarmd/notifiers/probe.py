# SPDX-License-Identifier: Apache-2.0
"""A probe: one notification that no alarm has made, delivered by the code of all others and watched at each step."""

import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable
from uuid import uuid4

from pydantic import SecretStr

from alarmd.clock import Clock
from alarmd.errors import InvalidInput
from alarmd.model.alarm import AlarmId
from alarmd.model.notification import Notification, event_id_of
from alarmd.notifiers import assembly
from alarmd.notifiers.scheme import Attempt, Scheme, scheme_of, target_check
from alarmd.notifiers.secret_book import SecretBook
from alarmd.notifiers.steps import RecordedSteps, Step, Steps
from alarmd.settings import Settings
from alarmd.store.database import Database, parse_url

_MASK: Final = "********"
_SECRET_HEADERS: Final = frozenset({"authorization", "cookie", "set-cookie", "x-auth-token", "url-signature"})
#: What follows the question mark of a URL within a text.
_QUERY: Final = re.compile(r"(?<=\?)[^\s#]+")
#: The same within a string of JSON: a body may name URLs, too.
_QUERY_IN_JSON: Final = re.compile(r'(?<=\?)(?:[^"\\]|\\.)+')


@runtime_checkable
class Watched(Protocol):
    """A scheme whose deliveries can be watched."""

    def deliver_watched(self, notification: Notification, steps: Steps) -> Attempt:
        """Make one attempt, as `Scheme.deliver` does, and tell of each step."""


class Check(Protocol):
    """What an action has to pass when an alarm is written (`scheme.target_check`)."""

    def __call__(self, target: str, project_id: str, /) -> None:
        """Raise `InvalidInput` for what is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a probe went."""

    steps: tuple[Step, ...]
    #: What became of it, in a word, and why.
    word: str
    reason: str
    took_s: float

    @property
    def ok(self) -> bool:
        """Whether the receiver has taken it."""
        return self.word == "delivered"


def run(settings: Settings, target: str, *, project_id: str, secret: str | None, clock: Clock) -> Outcome:
    """Send a probe once and return how that went; signed with the secret, else as what is sent for the project.

    Raises `SettingsError` for a secret that is none, and `StoreUnavailable`.
    """
    probe = probe_of(target, project_id=project_id, clock=clock)
    secrets: SecretBook | None = None
    if secret is not None:
        own = {"secret": SecretStr(secret), "secrets": ()}
        settings = settings.model_copy(update={"notifier": settings.notifier.model_copy(update=own)})
    elif project_id:
        secrets = _secrets_for(probe, settings, clock)
    schemes = assembly.build_schemes(settings, clock=clock, secrets=secrets)
    check = target_check(assembly.scheme_plugins(), policy=assembly.target_policy(settings))
    try:
        return send(probe, schemes.get(scheme_of(target)), check=check, clock=clock)
    finally:
        for scheme in schemes.values():
            scheme.close()


def probe_of(target: str, *, project_id: str, clock: Clock) -> Notification:
    """Return a probe for a target: Aodh's body, of an alarm that does not exist and stays as it is."""
    now, alarm_id = clock.now(), AlarmId(f"probe-{uuid4()}")
    return Notification(
        event_id=event_id_of(alarm_id, 1, 0),
        alarm_id=alarm_id,
        project_id=project_id,
        sequence=1,
        target=target,
        body={
            "alarm_id": alarm_id,
            "alarm_name": "alarmd notify test",
            "severity": "low",
            "previous": "ok",
            "current": "ok",
            "reason": "This is a test by alarmd notify test",
            "reason_data": {"type": "test"},
        },
        created_at=now,
        next_attempt_at=now,
    )


def send(probe: Notification, scheme: Scheme | None, *, check: Check, clock: Clock) -> Outcome:
    """Deliver a probe once, unless it is refused as it would be in an alarm; None where no scheme serves the target."""
    steps = RecordedSteps(clock)
    started_s = clock.monotonic_s()
    attempt: Attempt | None = None
    try:
        check(probe.target, probe.project_id)
    except InvalidInput as error:
        steps.note("url", error=error.message)
    else:
        steps.note("url", scheme=scheme_of(probe.target))
        if scheme is not None and _can_be_sent(probe.target, steps):
            attempt = scheme.deliver_watched(probe, steps) if isinstance(scheme, Watched) else scheme.deliver(probe)
    word, reason = _words_of(attempt) if attempt else ("refused", steps.steps[-1].error)
    return Outcome(steps=tuple(steps.steps), word=word, reason=reason, took_s=clock.monotonic_s() - started_s)


def shown(step: Step) -> dict[str, Any]:
    """Return a step as people may see it, and show to others: without tokens and queries of URLs. Plain JSON."""
    view: dict[str, Any] = {"step": step.name, "ok": not step.error, "took_ms": round(step.took_s * 1000, 1)}
    if step.error:
        view["error"] = _QUERY.sub(_MASK, step.error)
    for name, fact in step.facts.items():
        if isinstance(fact, Mapping):
            view[name] = {header: _shown_header(header, str(value)) for header, value in fact.items()}
        else:
            query = _QUERY_IN_JSON if name == "body" else _QUERY
            view[name] = query.sub(_MASK, fact) if isinstance(fact, str) else fact
    return view


def _secrets_for(probe: Notification, settings: Settings, clock: Clock) -> SecretBook | None:
    """Return what the probe's project signs with; None where no alarmd has ever kept anything."""
    if settings.is_embedded and not Path(parse_url(settings.store_url).database or "").exists():
        return None
    secrets = SecretBook()
    with closing(Database.connect(settings.store_url)) as database, database.read() as unit:
        secrets.learn(unit, [probe], now=clock.now(), now_s=clock.monotonic_s())
    return secrets


def _can_be_sent(target: str, steps: Steps) -> bool:
    if not scheme_of(target).startswith("trust+"):
        return True
    steps.note(
        "trust",
        error="Keystone trusts are made when an alarm is written, so a probe has none: test the URL without trust+",
    )
    return False


def _words_of(attempt: Attempt) -> tuple[str, str]:
    reason = f"{attempt.reason}: {attempt.detail}" if attempt.detail else str(attempt.reason)
    if attempt.ok:
        return "delivered", reason
    pause = f"; asks to wait {attempt.retry_after_s:g} s" if attempt.retry_after_s is not None else ""
    return ("would be tried again" if attempt.retryable else "would be given up"), reason + pause


def _shown_header(name: str, value: str) -> str:
    return _MASK if name.lower() in _SECRET_HEADERS else _QUERY.sub(_MASK, value)
