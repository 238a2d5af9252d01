# SPDX-License-Identifier: Apache-2.0
"""The rules for an alarm's actions: which URLs are taken, from whom, and how they are kept."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from alarmd.errors import Forbidden, InvalidInput, Unauthorized
from alarmd.model.alarm import Alarm
from alarmd.model.caller import Caller
from alarmd.policy import Policy, is_admin
from alarmd.store.columns import is_storable

#: Schemes that reach into alarmd itself and not out to a receiver; for admins only.
_INWARD_SCHEMES = frozenset({"log", "test"})
_TRUST = "trust+"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRules:
    """What is demanded of the actions of an alarm."""

    #: URL schemes that are taken.
    schemes: frozenset[str]
    #: Refuses targets of a project's alarms by raising `TargetRefused`.
    check_target: Callable[[str, str], None]
    #: Bounds each list; 0 means no bound.
    max_actions: int
    policy: Policy

    def kept(self, field: str, urls: Iterable[str] | None, caller: Caller) -> tuple[str, ...]:
        """Return the actions of one list as they are kept: byte for byte, each once, in their order.

        Raises `InvalidInput`, and `Unauthorized` for what only admins may use.
        """
        wanted = tuple(dict.fromkeys(urls or ()))
        if 0 < self.max_actions < len(wanted):
            raise InvalidInput(f"{field} count exceeds maximum value {self.max_actions}")
        return tuple(dict.fromkeys(self._checked(url, caller) for url in wanted))

    def check_targets(self, alarm: Alarm, *, before: Alarm | None = None) -> None:
        """Refuse receivers that alarmd must not call; those that the alarm had before are not asked about again."""
        # Another project may be allowed less.
        is_known = before is not None and before.project_id == alarm.project_id
        known = _receivers(before) if before is not None and is_known else set()
        for url in sorted(_receivers(alarm) - known):
            self.check_target(url, alarm.project_id)

    def _checked(self, url: str, caller: Caller) -> str:
        scheme = _scheme_of(url)
        if scheme in _INWARD_SCHEMES and not is_admin(self.policy, caller):
            raise Unauthorized(f"You are not authorized to create action: {url}")
        if scheme not in self.schemes:
            raise InvalidInput(f"Unsupported action {url}")
        if scheme.startswith(_TRUST) and "@" in urlsplit(url).netloc:
            raise InvalidInput(f"Unsupported action {url}: a trust+ URL must not name a user or a trust; it gets one.")
        if scheme in _INWARD_SCHEMES:
            # Aodh's spelling of an address that has no host, which its clients' tests compare.
            return f"{scheme}:" if url == f"{scheme}://" else url
        return url


def needs_trust(alarm: Alarm) -> bool:
    """Return whether an alarm has an action that is taken in somebody's name."""
    return bool(_in_somebodys_name(alarm))


def needs_new_trust(alarm: Alarm, *, before: Alarm, caller: Caller) -> bool:
    """Return whether a changed alarm has such an action that the trust it had before was not made for.

    A trust is good for the receivers that its maker knew of, no others: else whoever may change an alarm could have a
    token of its maker's sent anywhere. For the same reason somebody from another project (an admin) never gives a
    trust to an alarm that others have made; raises `Forbidden` when such a caller names a new receiver.
    """
    wanted, there = _in_somebodys_name(alarm), _in_somebodys_name(before)
    if caller.project_id != before.project_id:
        if wanted - there:
            raise Forbidden(
                "A new trust+ action is taken in the name of whoever adds it, so only somebody of the alarm's own "
                f"project may: use the plain scheme, or a token of project {before.project_id}."
            )
        return False
    return not wanted <= (there if before.trust_id else set())


def _in_somebodys_name(alarm: Alarm) -> set[str]:
    return {url for url in _every(alarm) if _scheme_of(url).startswith(_TRUST)}


def _every(alarm: Alarm) -> set[str]:
    return {*alarm.ok_actions, *alarm.alarm_actions, *alarm.insufficient_data_actions}


def _receivers(alarm: Alarm) -> set[str]:
    """Return the receivers outside of alarmd that an alarm may call."""
    return {url for url in _every(alarm) if _scheme_of(url) not in _INWARD_SCHEMES}


def _scheme_of(url: str) -> str:
    """Return the scheme of an action's URL; raises `InvalidInput` for what is no URL."""
    try:
        # What `urlsplit` would quietly drop or change must not get through: actions are kept byte for byte.
        readable = is_storable(url) and url.isprintable() and " " not in url
        scheme = urlsplit(url).scheme if readable else None
    except ValueError:
        scheme = None
    if scheme is None:
        raise InvalidInput(f"Unable to parse action {url}")
    return scheme
