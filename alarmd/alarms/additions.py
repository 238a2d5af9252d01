# SPDX-License-Identifier: Apache-2.0
"""What an alarm may say beyond Aodh's attributes: labels, directions, its own rhythm of repeats and its secret.

Clients that know Aodh only do not send them: a definition that leaves them out leaves them as they are. So an engine
that updates its stack takes no safety away that an operator has added.
"""

from collections.abc import Mapping
from typing import Any, Final

from alarmd.complaints import invalid
from alarmd.model.alarm import Alarm, State
from alarmd.model.direction import Direction

#: The longest that repeats may be apart, in seconds: a day.
LONGEST_REPEAT_S: Final = 86_400


def additions(
    *,
    labels: Mapping[str, str] | None,
    directions: Mapping[State, Direction] | None,
    repeat_interval_s: int | None,
    signing_secret: str | None,
    before: Alarm | None,
    least_repeat_s: int,
) -> dict[str, Any]:
    """Return these fields of an alarm; what is None stays as it was before, or is not set. An interval of 0 is none.

    Raises `InvalidInput`.
    """
    if directions is not None:
        _check_directions(directions)
    if repeat_interval_s and not least_repeat_s <= repeat_interval_s <= LONGEST_REPEAT_S:
        raise invalid(
            "repeat_interval",
            repeat_interval_s,
            f"Value should be a whole number of seconds from {least_repeat_s} (a tick) to {LONGEST_REPEAT_S} (a day)",
        )
    given: dict[str, Any] = {
        "labels": labels,
        "directions": directions,
        "repeat_interval_s": repeat_interval_s,
        "signing_secret": signing_secret,
    }
    kept = {name: getattr(before, name) for name, value in given.items() if value is None and before is not None}
    said = {name: value for name, value in given.items() if value is not None}
    if repeat_interval_s == 0:
        said["repeat_interval_s"] = None
    return kept | said


def _check_directions(directions: Mapping[State, Direction]) -> None:
    if directions.get(State.INSUFFICIENT_DATA) is Direction.IN:
        raise invalid(
            "directions",
            f"{State.INSUFFICIENT_DATA}: {Direction.IN}",
            "Missing data is no evidence for removing capacity: say out or neutral for this state, or leave it out",
        )
