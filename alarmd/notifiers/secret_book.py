# SPDX-License-Identifier: Apache-2.0
"""The book of secrets: what the projects whose notifications are in hand sign with."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

import structlog

from alarmd.errors import SecretMissing
from alarmd.model.notification import Notification
from alarmd.model.secret import DEFAULT_NAME, SigningSecret, key_of
from alarmd.store.database import UnitOfWork

_logger = structlog.get_logger()

#: For how long a project's secrets are believed: so long a new default, or a deletion, may take to count.
_MAX_AGE_S = 2.0
#: How many projects are remembered; more than notifications are ever in hand.
_MAX_PROJECTS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    key: bytes
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """The secrets of one project, by name, newest first."""

    read_s: float
    keys: Mapping[str, tuple[_Key, ...]]


class SecretBook:
    """Reads where notifications are claimed, in their transaction; is asked where they are signed, which reads nothing.

    `learn` is for one thread at a time, `of` for any number.
    """

    def __init__(self, *, max_age_s: float = _MAX_AGE_S, max_projects: int = _MAX_PROJECTS) -> None:
        self._max_age_s = max_age_s
        self._max_projects = max_projects
        self._pages: OrderedDict[str, _Page] = OrderedDict()

    def learn(self, unit: UnitOfWork, claimed: Iterable[Notification], *, now: datetime, now_s: float) -> None:
        """Read the secrets of those projects of which nothing recent is known; `now_s` is on the monotonic clock.

        A name that is not there is looked for each time: it may have been made a moment ago.
        """
        wanted = {one.project_id for one in claimed if self._is_to_be_read(one, now_s)}
        if not wanted:
            return
        found: dict[str, list[SigningSecret]] = {project_id: [] for project_id in wanted}
        for secret in unit.secrets.of_projects(wanted, now):
            found[secret.project_id].append(secret)
        for project_id, secrets in found.items():
            self._pages[project_id] = _Page(read_s=now_s, keys=_by_name(secrets))
            self._pages.move_to_end(project_id)
        while len(self._pages) > max(self._max_projects, len(wanted)):
            self._pages.popitem(last=False)

    def of(self, notification: Notification, now: datetime) -> Sequence[bytes]:
        """Return the keys of the secret that a notification names, or of its project's default.

        Raises `SecretMissing` when it names one that is not there (any more).
        """
        page = self._pages.get(notification.project_id)
        if page is None:
            raise RuntimeError("a notification is to be signed whose project has not been looked up")
        name = notification.signing_secret
        keys = [
            one.key for one in page.keys.get(name or DEFAULT_NAME, ()) if one.expires_at is None or one.expires_at > now
        ]
        is_spoilt = page.keys.get(name or DEFAULT_NAME) == ()
        if not keys and (name or is_spoilt):
            raise SecretMissing(
                f"the alarm's project has no signing secret named {name or DEFAULT_NAME!r} (any more) "
                "that can be read; make one of that name, or have "
                "the alarm name another, and retry this delivery",
                name=name,
            )
        return keys

    def _is_to_be_read(self, notification: Notification, now_s: float) -> bool:
        page = self._pages.get(notification.project_id)
        if page is None or now_s - page.read_s > self._max_age_s:
            return True
        return bool(notification.signing_secret) and notification.signing_secret not in page.keys


def _by_name(secrets: Iterable[SigningSecret]) -> Mapping[str, tuple[_Key, ...]]:
    found: dict[str, tuple[_Key, ...]] = {}
    for one in secrets:
        found[one.name] = (*found.get(one.name, ()), *_keys_of(one))
    return MappingProxyType(found)


def _keys_of(secret: SigningSecret) -> tuple[_Key, ...]:
    """Return the key of a secret; none of one that was written past alarmd: it must not stop everybody's deliveries."""
    try:
        return (_Key(key=key_of(secret.value), expires_at=secret.expires_at),)
    except ValueError as error:
        _logger.warning("secret_unreadable", project_id=secret.project_id, name=secret.name, error=str(error))
        return ()
