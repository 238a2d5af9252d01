# SPDX-License-Identifier: Apache-2.0
"""What was changed here and what was changed there since the last import, told apart by digests of both."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from hashlib import blake2b
from typing import Any

from alarmd.importing.trust_urls import needs_trust
from alarmd.model.alarm import Alarm

_DEFINITION = (
    *("name", "description", "enabled", "type", "rule", "project_id", "user_id", "severity"),
    *("ok_actions", "alarm_actions", "insufficient_data_actions", "repeat_actions", "time_constraints", "trust_id"),
)
_STATE = ("state", "state_reason", "state_timestamp")
#: What follows from the definition and goes with it.
_FOLLOWING = ("confined", "timestamp", "shard")


class Fate(Enum):
    """What becomes of a thing that is there and here."""

    BROUGHT = auto()
    CHANGED = auto()
    UNCHANGED = auto()
    KEPT = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """An alarm after the merge, what became of it, and what to remember of it."""

    alarm: Alarm
    fate: Fate
    memory: str


def merged(theirs: Alarm, ours: Alarm, memory: str | None, *, overwrite: bool) -> Merged:
    """Return our alarm with what they have changed since `memory`, unless we have changed the same too.

    Definition and state are merged each for itself. With `overwrite` theirs is taken wherever the two differ.
    """
    theirs = with_known_trust(theirs, ours)
    known = json.loads(memory) if memory else {"definition": "", "state": ""}  # nothing that they ever were
    fates = {}
    for part, keys in (("definition", _DEFINITION), ("state", _STATE)):
        there, here = _digest(theirs, keys), _digest(ours, keys)
        fates[part] = _fate(there, here, known[part], overwrite=overwrite)
        if fates[part] is Fate.CHANGED:
            following = _FOLLOWING if part == "definition" else ()
            ours = replace(ours, **{key: getattr(theirs, key) for key in (*keys, *following)})
        if fates[part] is not Fate.KEPT:
            known[part] = there
    fate = max(fates.values(), key=[Fate.UNCHANGED, Fate.KEPT, Fate.CHANGED].index)
    return Merged(alarm=ours, fate=fate, memory=json.dumps(known))


def memory_of(alarm: Alarm) -> str:
    """Return what to remember of an alarm that was brought."""
    return json.dumps({"definition": _digest(alarm, _DEFINITION), "state": _digest(alarm, _STATE)})


def with_known_trust(theirs: Alarm, ours: Alarm) -> Alarm:
    """Return their alarm with our trust when the source does not show theirs."""
    urls = [*theirs.ok_actions, *theirs.alarm_actions, *theirs.insufficient_data_actions]
    return replace(theirs, trust_id=ours.trust_id) if not theirs.trust_id and needs_trust(urls) else theirs


def _fate(there: str, here: str, known: str, *, overwrite: bool) -> Fate:
    if there == here:
        return Fate.UNCHANGED
    if overwrite or here == known:
        return Fate.CHANGED
    # We have changed it; if they have not, there is nothing to bring.
    return Fate.UNCHANGED if there == known else Fate.KEPT


def _digest(alarm: Alarm, keys: tuple[str, ...]) -> str:
    document = json.dumps([_plain(getattr(alarm, key)) for key in keys], sort_keys=True, ensure_ascii=False)
    return blake2b(document.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def _plain(value: Any) -> Any:
    match value:
        case Mapping():
            return {key: _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case None | bool() | int() | float():
            return value
        case _:
            return str(value)
