# SPDX-License-Identifier: Apache-2.0
"""What is said of a verdict: Aodh's reason texts and reason data for threshold rules, word for word."""

from typing import Any

from alarmd.model.alarm import State
from alarmd.model.verdict import Outcome


def reason_of(
    *, previous: State, current: State, outcome: Outcome, outside: int, wanted: int, latest: float | None
) -> tuple[str, dict[str, Any]]:
    """Return the reason text and the reason data of a transition, or of a repeat when the state stays.

    `outside` of the `wanted` values are outside the threshold; `latest` is the newest value there is, or None.
    """
    if outcome is Outcome.UNKNOWN and previous is not current:
        return f"{wanted} datapoints are unknown", _data("unknown", wanted, latest)
    if outcome is Outcome.UNKNOWN:
        outside = 0
    inside = current is State.OK
    disposition = "inside" if inside else "outside"
    count = wanted - outside if inside else outside
    verb = "Remaining as" if previous is current else "Transition to"
    text = f"{verb} {current} due to {count} samples {disposition} threshold, most recent: {latest}"
    return text, _data(disposition, count, latest)


def _data(disposition: str, count: int, latest: float | None) -> dict[str, Any]:
    return {"type": "threshold", "disposition": disposition, "count": count, "most_recent": latest}
