# SPDX-License-Identifier: Apache-2.0
"""The options for what an alarm may say beyond Aodh's attributes, and how they change what is there.

The server keeps these attributes where a definition leaves them out, so taking one away has to be said.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from alarmd.cli.notation import pairs_of
from alarmd.cli.sections import in_section

_STATES = ("ok", "alarm", "insufficient data")
_DIRECTIONS = ("out", "in", "neutral")
_LONGEST_S = 86_400

#: The attributes; those of the first line are objects, of which a part can be unset.
_OBJECTS = ("labels", "directions")
_PLAIN = ("repeat_interval", "signing_secret")
#: How people spell them, as with the options.
_ALIASES = {"label": "labels", "direction": "directions"}

ADDITIONS: Final = [
    in_section(
        "The alarm",
        "--label",
        "labels",
        multiple=True,
        metavar="KEY=VALUE",
        help="Something to sort alarms by, e.g. to silence them; repeatable. Others that it has stay.",
    ),
    in_section(
        "The alarm",
        "--direction",
        "directions",
        multiple=True,
        metavar="STATE=out|in|neutral",
        help="Where the actions of a state lead, e.g. ok=in; repeatable.  [server default: alarm=out for gt and ge, "
        "alarm=in for lt and le, else neutral]",
    ),
    in_section(
        "The alarm",
        "--repeat-interval",
        type=click.IntRange(1, _LONGEST_S),
        metavar="S",
        help="With --repeat-actions: how long until the next call.  [server default: evaluator.repeat_interval_s]",
    ),
    in_section(
        "The alarm",
        "--signing-secret",
        metavar="NAME",
        help="Which of the project's secrets signs its webhooks.  [server default: default]",
    ),
]


def lay_additions(body: dict[str, Any], options: Mapping[str, Any]) -> None:
    """Lay what the options say over a body; raises `click.UsageError`."""
    labels = dict(pairs_of(options["labels"], option="--label"))
    directions = dict(map(_direction_of, pairs_of(options["directions"], option="--direction")))
    for key, parts in (("labels", labels), ("directions", directions)):
        if parts:
            body[key] = {**(body.get(key) or {}), **parts}
    body.update({key: options[key] for key in _PLAIN if options[key] is not None})


def unset_additions(body: dict[str, Any], names: Sequence[str]) -> list[str]:
    """Take what is named (`labels`, `labels.KEY`, `repeat-interval` …) out of a body; return the names left over."""
    rest = []
    for name in names:
        whole, dot, part = name.strip("-").partition(".")
        key = whole.replace("-", "_")
        key = _ALIASES.get(key, key)
        if key in _OBJECTS and dot:
            body[key] = _without_part(body.get(key), key, _state_of(part) if key == "directions" else part)
        elif key in (*_OBJECTS, *_PLAIN):
            body[key] = None
        else:
            rest.append(name)
    return rest


def _without_part(known: Any, key: str, part: str) -> dict[str, Any]:
    kept = dict(known) if isinstance(known, Mapping) else {}
    if part not in kept:
        raise click.UsageError(f"There is no {part!r} in {key} to --unset; there is: {', '.join(kept) or 'nothing'}.")
    del kept[part]
    return kept


def _direction_of(pair: tuple[str, str]) -> tuple[str, str]:
    state, direction = _state_of(pair[0]), pair[1]
    if state not in _STATES or direction not in _DIRECTIONS:
        raise click.UsageError(
            f"{'='.join(pair)!r} of --direction is no direction of a state; write STATE=DIRECTION with one of "
            f"{', '.join(_STATES)} and one of {', '.join(_DIRECTIONS)}."
        )
    return state, direction


def _state_of(text: str) -> str:
    return text.strip().replace("_", " ").replace("-", " ")
