# SPDX-License-Identifier: Apache-2.0
"""Who may do what, as a site's policy file says: single rules in place of the table's, in Aodh's form (oslo.policy)."""

import ast
import logging
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from threading import Lock
from typing import Any, Self

import structlog
from oslo_config.cfg import ConfigOpts
from oslo_policy.policy import Enforcer, RuleDefault, Rules, parse_file_contents

from alarmd.errors import SettingsError
from alarmd.model.caller import Caller
from alarmd.policy import Action, role_of

_log = structlog.get_logger()

_MAX_BYTES = 1 << 20
_ADMIN = f"rule:{Action.ADMIN}"
#: What rules refer to, under the names that Aodh gives them.
_ALIASES: Mapping[str, str] = {
    "segregation": _ADMIN,
    "project_reader": "role:reader and project_id:%(project_id)s",
    "project_member": "role:member and project_id:%(project_id)s",
    "project_reader_or_admin": f"rule:project_reader or {_ADMIN}",
    "project_member_or_admin": f"rule:project_member or {_ADMIN}",
    "admin_or_owner": f"{_ADMIN} or project_id:%(project_id)s",
    "default": "rule:admin_or_owner",
}
#: Aodh asks this rule where alarmd asks `context_is_admin`: there is one kind of administrator here.
_FIXED = "segregation"
#: What checks can look at, and what of the thing asked for they can compare it with.
_KINDS, _OF_TARGET = ("role", "rule", "project_id", "user_id", "roles"), ("project_id",)


class FilePolicy:
    """The table's rules, and those of a file in their place where it has them.

    The file is looked at with every question. When it has changed it is read again; while what it says then cannot be
    used, what it said before holds, and the log tells why.
    """

    def __init__(self, path: Path) -> None:
        """Read the file; raises `SettingsError` that names it, the rule, and what is wrong."""
        self._path = path
        self._reading = Lock()
        self._seen = _state_of(path)
        self._enforcer = read_rules(path)

    def allows(self, action: Action, caller: Caller, *, project_id: str | None = None) -> bool:
        self._follow()
        creds: dict[str, Any] = {"user_id": caller.user_id, "roles": list(caller.roles)}
        if caller.project_id:  # who acts for no project owns nothing, not even what belongs to none
            creds["project_id"] = caller.project_id
        target = {"project_id": caller.project_id if project_id is None else project_id}
        return bool(self._enforcer.enforce(str(action), target, creds))

    def _follow(self) -> None:
        """Read the file again when it is another; one thread does, and the others go on with what there is."""
        if _state_of(self._path) == self._seen or not self._reading.acquire(blocking=False):
            return
        try:
            # Before it is read: what is written meanwhile is seen the next time.
            self._seen = _state_of(self._path)
            self._enforcer = read_rules(self._path)
        except SettingsError as error:
            _log.error("policy_file_refused", path=str(self._path), error=error.message)
        else:
            _log.info("policy_file_read", path=str(self._path))
        finally:
            self._reading.release()


def read_rules(path: Path) -> Enforcer:
    """Return what decides by the rules of a file. Raises `SettingsError`."""
    rules = _default_rules()
    own = {name: _parse(path, name, text) for name, text in _contents(path).items()}
    rules |= own
    for name, check in own.items():
        _refuse_what_cannot_match(path, name, check)
        for other in _references(check):
            if other not in rules:
                raise _refused(path, name, f"refers to rule {other!r}, which does not exist{_near(other, rules)}")
    _refuse_unknown_names(path, own)
    if _FIXED in own and str(own[_FIXED]) != _ADMIN:
        raise _refused(
            path, _FIXED, f'must stay "{_ADMIN}": who is no administrator never sees other projects. Change that rule'
        )
    try:
        TopologicalSorter({name: _references(check) for name, check in rules.items()}).prepare()
    except CycleError as error:
        circle = " → ".join(map(repr, reversed(error.args[1])))
        raise SettingsError(f"{path}: rules refer to each other in a circle: {circle}.") from error
    return _enforcer(rules)


def _enforcer(rules: Mapping[str, Any]) -> Enforcer:
    """Return the library's judge over checked rules; it reads no file and no configuration of its own."""
    conf = ConfigOpts()
    conf([], project="alarmd", default_config_files=[], default_config_dirs=[])
    return Enforcer(conf, rules=Rules(dict(rules)), default_rule="default", use_conf=False)


def _default_rules() -> dict[str, Any]:
    """Return the table as checks."""
    texts = dict(_ALIASES)
    for action in Action:
        role = role_of(action)
        texts[str(action)] = _ADMIN if role == "admin" else f"rule:project_{role}_or_admin"
    texts[str(Action.ADMIN)] = f"role:{role_of(Action.ADMIN)}"
    return {name: RuleDefault(name, text).check for name, text in texts.items()}


# --- the file ----------------------------------------------------------------------------------------------------
def _contents(path: Path) -> dict[str, Any]:
    """Return what the file says: checks by the names of their rules."""
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"The policy file {path} cannot be read: {error.strerror} (api.policy_file).") from error
    if len(raw) > _MAX_BYTES:
        raise SettingsError(f"The policy file {path} is larger than {_MAX_BYTES} bytes (api.policy_file).")
    try:
        found: object = parse_file_contents(raw)
    except ValueError as error:  # also what is no text
        raise SettingsError(f"The policy file {path} is not valid YAML: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise SettingsError(f'The policy file {path} must hold rules, a line each: "telemetry:get_alarms": "role:x".')
    return found


def _parse(path: Path, name: str, text: object) -> Any:
    """Return the check of a rule."""
    if not isinstance(text, str):
        # The library would let everybody do what is left empty.
        raise _refused(path, name, f'must be a text (got {text!r}); "@" lets everybody, "!" nobody')
    with _Silence("oslo_policy._parser") as complaints:
        check = RuleDefault(name, text).check
    if complaints.found:
        raise _refused(path, name, f"cannot be understood: {text!r}. Write it like 'role:member and not role:guest'")
    return check


def _refuse_unknown_names(path: Path, own: Mapping[str, Any]) -> None:
    """Refuse a rule that nothing asks for; what another rule of the file refers to is a site's own alias."""
    known = {*map(str, Action), *_ALIASES}
    used = {other for check in own.values() for other in _references(check)}
    for name in own:
        if name not in known | used:
            raise _refused(path, name, f"is none that alarmd knows{_near(name, known)}")


def _refuse_what_cannot_match(path: Path, name: str, check: Any) -> None:
    """Refuse what no caller and no target has: it would never be true, or fail, and nobody would know why."""
    for part in _parts(check):
        kind = getattr(part, "kind", None)
        if kind is None:
            continue
        if kind not in _KINDS and not _is_literal(kind):
            raise _refused(path, name, f"asks for {kind!r}; what can be asked for: {', '.join(_KINDS)}")
        try:
            _ = part.match % dict.fromkeys(_OF_TARGET, "")
        except KeyError as error:
            there = ", ".join(f"%({key})s" for key in _OF_TARGET)
            raise _refused(path, name, f"compares with %({error.args[0]})s; there is: {there}") from error
        except (ValueError, TypeError) as error:
            raise _refused(path, name, f"has a percent sign that means nothing in {part.match!r}") from error


def _parts(check: Any) -> Iterator[Any]:
    """Yield a check and all that it is made of."""
    waiting = [check]
    while waiting:
        part = waiting.pop()
        yield part
        waiting += getattr(part, "rules", [])
        if hasattr(part, "rule"):
            waiting.append(part.rule)


def _references(check: Any) -> list[str]:
    """Return the names of the rules that a check refers to."""
    return [part.match for part in _parts(check) if getattr(part, "kind", None) == "rule"]


def _is_literal(text: object) -> bool:
    try:
        ast.literal_eval(str(text))
    except (ValueError, SyntaxError):
        return False
    return True


def _near(name: str, known: Mapping[str, Any] | set[str]) -> str:
    near = get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _refused(path: Path, name: str, trouble: str) -> SettingsError:
    return SettingsError(f"{path}: rule {name!r} {trouble}{'' if trouble.endswith('?') else '.'}")


def _state_of(path: Path) -> tuple[int, int, int] | None:
    """Return what tells one content of a file from another without reading it; None when there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


class _Silence(logging.Filter):
    """Keeps what the library complains of in its log, which is where it says that it did not understand a rule."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._logger = logging.getLogger(name)
        self.found: list[str] = []

    def __enter__(self) -> Self:
        self._logger.addFilter(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        self.found.append(record.getMessage())
        return False
