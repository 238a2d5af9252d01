# SPDX-License-Identifier: Apache-2.0
"""What is kept back for a reason is no loss; what is kept back without one, or sent all the same, is found."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.faults.evidence import Evidence, Findings, Hush
from tests.faults.journal import Entry
from tests.faults.oracle import judge
from tests.faults.records import Fault, Sample
from tests.faults.watches import ALARM, BLIND, OK, Watch

#: What the wall's clock says when the other one begins.
EPOCH_S = 1e9
WATCH = Watch(alarm_id="a", name="idle", resource_id="vm", operator="lt", actions={OK: ["/ok"], ALARM: ["/alarm"]})
#: Busy for ten seconds, idle for as long.
SAMPLES = [
    Sample(resource_id="vm", timestamp_s=EPOCH_S + half / 2, value=90.0 if half < 20 else 10.0, accepted_s=half / 2)
    for half in range(40)
]
FIRST = Entry(webhook_id="a_1_0", path="/ok", body={"alarm_id": "a", "previous": BLIND, "current": OK}, at_s=2.0)
SHRINK = Entry(webhook_id="a_2_0", path="/alarm", body={"alarm_id": "a", "previous": OK, "current": ALARM}, at_s=12.0)
AWAY = Fault(what="away", start_s=10.0, end_s=18.0)


def _at(seconds: float) -> str:
    return datetime.fromtimestamp(EPOCH_S + seconds, tz=UTC).replace(tzinfo=None).isoformat()


def _record(entry: Entry, state: str = "delivered", error: str = "", **changes: Any) -> dict[str, Any]:
    made = {
        "event_id": entry.webhook_id,
        "alarm_id": "a",
        "sequence": int(entry.webhook_id.split("_")[1]),
        "target": f"http://receiver:1{entry.path}",
        "state": state,
        "last_error": error,
        "direction": "in" if entry is SHRINK else "neutral",
        "created_at": _at(entry.at_s - 0.5),
        "finished_at": _at(entry.at_s),
        "not_after": _at(15.5) if entry is SHRINK else None,
    }
    return {**made, **changes}


def _evidence(record: dict[str, Any], **changes: Any) -> Evidence:
    good = Evidence(
        watches=[WATCH],
        samples={"vm": SAMPLES},
        faults=[],
        entries=[FIRST],
        refused=[],
        histories={"a": [OK, ALARM]},
        states={"a": ALARM},
        deliveries=[_record(FIRST), record],
        ends={"silenced": "^silenced by ", "expired": ""},
        epoch_s=EPOCH_S,
        end_s=20.0,
    )
    return replace(good, **changes)


SILENCED = _record(SHRINK, "silenced", "silenced by s1")
EXPIRED = _record(SHRINK, "expired", "too late", finished_at=_at(16.0))
HUSH = Hush(alarm_ids=frozenset("a"), direction="in", asked_s=7.9, start_s=8.0, stop_s=18.0, end_s=18.1)


@pytest.mark.parametrize(
    "changes", [{"record": SILENCED, "hushes": [HUSH]}, {"record": EXPIRED, "faults": [AWAY]}], ids=["hush", "late"]
)
def test_what_is_kept_back_for_a_reason_is_not_lost(changes: dict[str, Any]) -> None:
    """A silence, or a receiver that was away for too long: there is a record, and nothing else is owed."""
    assert Findings(transitions=2, worst_lateness_s=1.0) == judge(_evidence(**changes))


@pytest.mark.parametrize(
    ("changes", "doubled", "complaint"),
    [
        ({"record": SILENCED}, 0, "silenced while no silence was in force"),
        ({"record": SILENCED, "hushes": [replace(HUSH, direction="out")]}, 0, "silenced while no silence was in force"),
        ({"record": SILENCED, "hushes": [replace(HUSH, end_s=11.0)]}, 0, "silenced while no silence was in force"),
        ({"record": SILENCED, "hushes": [HUSH], "entries": [FIRST, SHRINK]}, 1, "was silenced and took effect"),
        ({"record": _record(SHRINK), "hushes": [HUSH], "entries": [FIRST, SHRINK]}, 0, "though a silence was in force"),
        ({"record": EXPIRED}, 0, "has expired though nothing kept it"),
        ({"record": {**EXPIRED, "finished_at": _at(15.0)}, "faults": [AWAY]}, 0, "expired before its time"),
        ({"record": _record(SHRINK), "entries": [FIRST, replace(SHRINK, at_s=17.0)]}, 1, "after its last moment"),
        ({"record": EXPIRED, "entries": [FIRST, replace(SHRINK, at_s=17.0)], "faults": [AWAY]}, 1, "last moment"),
        ({"record": EXPIRED, "ends": {}, "faults": [AWAY]}, 0, "a_2_0 is expired"),
    ],
)
def test_what_is_kept_back_or_sent_for_no_reason_is_found(
    changes: dict[str, Any], doubled: int, complaint: str
) -> None:
    """An order that is executed although it was silenced, or too late, counts as doubled."""
    findings = judge(_evidence(**changes))

    assert any(complaint in each for each in findings.complaints), findings.complaints
    assert doubled == findings.doubled
