# SPDX-License-Identifier: Apache-2.0
"""What is said of a verdict: Aodh's reason texts and reason data for threshold and composite rules, word for word."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from alarmd.model.alarm import State
from alarmd.model.verdict import Outcome

#: How long the rules may be, as JSON, that a composite names as the cause of its state.
LONGEST_CAUSES: Final = 32_768

#: What a composite says of the rules that are the cause of its state.
_OF_CAUSES: Final = {
    State.ALARM: "outside their threshold.",
    State.OK: "inside their threshold.",
    State.INSUFFICIENT_DATA: "state evaluated to unknown.",
}


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


def composite_reason(
    form: str, previous: State, current: State, causative: Sequence[tuple[str, Mapping[str, Any]]]
) -> tuple[str, dict[str, Any]]:
    """Return the reason text and the reason data of a composite's transition, or of a repeat when the state stays.

    `causative` are the leaves that speak for the state it is in now, each with its name (``rule1``), as stored. All of
    them are named; of those themselves the first ones are told, as many as fit into `LONGEST_CAUSES`.
    """
    verb = "remaining as" if previous is current else "transition to"
    # Aodh sorts the names as texts: rule10 comes before rule2.
    named = ", ".join(sorted(name for name, _ in causative))
    text = (
        f"Composite rule alarm with composition form: {form} {verb} {current}, due to rules: {named} "
        f"{_OF_CAUSES[current]}"
    )
    told = _those_that_fit(causative)
    data: dict[str, Any] = {"type": "composite", "composition_form": form, "causative_rules": told}
    if len(told) < len(causative):
        data["causative_rules_omitted"] = len(causative) - len(told)
    return text, data


def _those_that_fit(causative: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
    told: dict[str, dict[str, Any]] = {}
    length = len("{}")
    for name, rule in causative:
        length += len(json.dumps({name: dict(rule)}))
        if length > LONGEST_CAUSES:
            break
        told[name] = dict(rule)
    return told


def _data(disposition: str, count: int, latest: float | None) -> dict[str, Any]:
    return {"type": "threshold", "disposition": disposition, "count": count, "most_recent": latest}
