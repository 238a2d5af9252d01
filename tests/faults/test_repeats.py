# SPDX-License-Identifier: Apache-2.0
"""Repeats that are left out, made up, too many or of the past are found, each once."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.faults.evidence import Evidence, Findings
from tests.faults.journal import Entry
from tests.faults.oracle import judge
from tests.faults.records import Fault, Sample
from tests.faults.watches import ALARM, BLIND, OK, Watch

#: What the wall's clock says when the other one begins.
EPOCH_S = 1e9
#: Repeats itself every other second while its machine is busy, which is from ten to twenty.
WATCH = Watch(alarm_id="a", name="busy", resource_id="vm", repeats_s=2, actions={ALARM: ["/alarm"]})
SAMPLES = [
    Sample(
        resource_id="vm", timestamp_s=EPOCH_S + half / 2, value=90.0 if 20 <= half < 40 else 10.0, accepted_s=half / 2
    )
    for half in range(80)
]
ENTERED_S, LEFT_S = 11.0, 21.0
#: When what has the numbers from 1 on was made: the change, and its repeats in their beat.
MADE_S = {1: ENTERED_S, 2: 13.2, 3: 15.1, 4: 17.3, 5: 19.0}


def _entry(number: int, at_s: float | None = None, *, taken: bool = True) -> Entry:
    body = {"alarm_id": "a", "previous": OK if number == 1 else ALARM, "current": ALARM}
    came_s = MADE_S[number] + 0.1 if at_s is None else at_s
    return Entry(webhook_id=f"a_{number}_0", path="/alarm", body=body, at_s=came_s, taken=taken)


def _record(number: int, state: str = "delivered", **changes: Any) -> dict[str, Any]:
    entry = _entry(number)
    made = {
        "event_id": entry.webhook_id,
        "alarm_id": "a",
        "sequence": number,
        "target": "http://receiver:1/alarm",
        "state": state,
        "attempts": 1,
        "last_error": "",
        "direction": "out",
        "created_at": _at(MADE_S[number]),
        "finished_at": _at(entry.at_s),
        "not_after": None,
        "body": entry.body,
    }
    return {**made, **changes}


def _at(seconds: float) -> str:
    return datetime.fromtimestamp(EPOCH_S + seconds, tz=UTC).replace(tzinfo=None).isoformat()


RECORDS = [_record(number) for number in MADE_S]
ENTRIES = [_entry(number) for number in MADE_S]
#: A receiver's, from the second beat on.
AWAY = Fault(what="away", start_s=13.0, end_s=20.0, is_outside=True)
DEAD = replace(AWAY, is_outside=False)


def _evidence(**changes: Any) -> Evidence:
    good = Evidence(
        watches=[WATCH],
        samples={"vm": SAMPLES},
        faults=[],
        entries=ENTRIES,
        refused=[],
        histories={"a": [OK, ALARM, OK]},
        entered_s={"a": [1.0, ENTERED_S, LEFT_S]},
        states={"a": OK},
        deliveries=RECORDS,
        epoch_s=EPOCH_S,
        end_s=40.0,
    )
    return replace(good, **changes)


def _past(*numbers: int, finished_s: float = 20.1) -> list[dict[str, Any]]:
    """All records, these of them as superseded."""
    ends = {"attempts": 0, "finished_at": _at(finished_s), "last_error": "500"}
    return [_record(number, "superseded", **ends) if number in numbers else _record(number) for number in MADE_S]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        # The newest of those that waited comes, beside one that had been tried.
        {
            "faults": [AWAY],
            "entries": [_entry(1), _entry(5, 20.2)],
            "refused": [_entry(2, taken=False)],
            "deliveries": _past(2, 3, 4),
        },
        # Its receiver is back when there is nothing to tell any more.
        {
            "faults": [replace(AWAY, end_s=25.0)],
            "entries": [_entry(1)],
            "refused": [_entry(2, taken=False), _entry(5, taken=False)],
            "deliveries": _past(2, 3, 4, 5, finished_s=25.2),
        },
        # The change itself was tried in vain, and its repeat came.
        {
            "faults": [replace(AWAY, start_s=10.0)],
            "entries": [_entry(5, 20.2)],
            "refused": [_entry(1, taken=False)],
            "deliveries": _past(1, 2, 3, 4),
        },
        # A dead evaluator repeats nothing, and the next one goes on.
        {"faults": [DEAD], "entries": ENTRIES[:1], "deliveries": RECORDS[:1]},
        # One was in a dead notifier's hands.
        {"faults": [DEAD], "entries": [*ENTRIES[:2], _entry(3, 20.0), _entry(5, 20.2)], "deliveries": _past(4)},
    ],
    ids=["well", "newest", "gone", "repeat for the change", "evaluator dead", "notifier dead"],
)
def test_repeats_in_their_beat_are_good(changes: dict[str, Any]) -> None:
    """All is well, or what is missing gave way as it should."""
    findings = judge(_evidence(**changes))

    assert ([], 0, 0) == (findings.complaints, findings.lost, findings.doubled)


def _with(number: int, **changes: Any) -> list[dict[str, Any]]:
    return [{**each, **changes} if each["sequence"] == number else each for each in RECORDS]


@pytest.mark.parametrize(
    ("changes", "counts", "complaint"),
    [
        ({"entries": ENTRIES[:2], "deliveries": RECORDS[:2]}, (2, 0), "has left out 2 repeats"),
        (
            {"entries": ENTRIES[:2], "deliveries": RECORDS[:2], "faults": [AWAY]},
            (2, 0),
            "has left out 2 repeats",
        ),
        ({"deliveries": _with(3, created_at=_at(14.5))}, (0, 1), "sooner than its beat"),
        ({"deliveries": _with(2, created_at=_at(12.0))}, (0, 1), "sooner than its beat"),
        ({"deliveries": _with(5, created_at=_at(22.0))}, (0, 0), "when it was not in that state"),
        ({"deliveries": RECORDS[:-1]}, (0, 1), "the repeat a_5_0 is not on record"),
        ({"deliveries": _with(5, target="http://receiver:1/other")}, (0, 0), "at ['/other'] only"),
        ({"entries": ENTRIES[:-1]}, (0, 0), "a_5_0 is said to be delivered and never came"),
        ({"entries": ENTRIES[:-1], "deliveries": _past(5, finished_s=19.5)}, (0, 0), "superseded by nothing"),
        ({"entries": [*ENTRIES[:3], ENTRIES[4]], "deliveries": _past(4)}, (0, 0), "though nothing kept it from that"),
        ({"entries": [*ENTRIES[:4], _entry(5, 34.0)]}, (0, 1), "s late: a_5_0"),
        ({"entries": [*ENTRIES[:4], _entry(5, 18.5)]}, (0, 0), "before that was made: a_5_0"),
        (
            {"faults": [AWAY], "entries": [_entry(1), *(_entry(number, 20.0 + number / 9) for number in (2, 3, 4, 5))]},
            (0, 0),
            "has sent 2 repeats to /alarm that newer ones had overtaken, after: away",
        ),
        (
            {"faults": [replace(AWAY, end_s=25.0)], "entries": [*ENTRIES[:4], _entry(5, 25.2)]},
            (0, 1),
            "a_5_0 came although it was in another state by then",
        ),
        (
            {
                "faults": [replace(AWAY, start_s=10.5, end_s=25.0)],
                "entries": [_entry(1, 25.2)],
                "refused": [_entry(1, 12.0, taken=False)],
                "deliveries": _past(2, 3, 4, 5, finished_s=25.1),
            },
            (0, 1),
            "a_1_0 came although it was in another state by then",
        ),
        (
            {"faults": [AWAY], "entries": [_entry(5, 20.2)], "deliveries": _past(1, 2, 3, 4)},
            (1, 0),
            "a_1_0 is superseded and was never tried",
        ),
        ({"watches": [replace(WATCH, repeats_s=0)]}, (0, 0), "repeats itself 4 times, which nobody has asked for"),
    ],
)
def test_what_is_wrong_with_repeats_is_found(changes: dict[str, Any], counts: tuple[int, int], complaint: str) -> None:
    """Left out, too soon, of the past, in a flood, without a record, or given up for nothing."""
    findings = judge(_evidence(**changes))

    assert any(complaint in each for each in findings.complaints), findings.complaints
    assert counts == (findings.lost, findings.doubled)


@pytest.mark.parametrize(
    ("faults", "attempts", "is_believed"),
    [
        ([AWAY], 1, True),
        ([AWAY], 0, False),
        ([], 1, False),
        ([Fault(what="kill notifier 7", start_s=11.5, end_s=11.5)], 1, False),
        ([replace(AWAY, start_s=30.0, end_s=31.0)], 1, False),
    ],
    ids=["away", "untried", "well", "killed", "away later"],
)
def test_a_try_that_no_receiver_has_seen_takes_a_fault(
    faults: Sequence[Fault], attempts: int, is_believed: bool
) -> None:
    """Alarmd's word for it that something was tried in vain counts only while something lasting was broken."""
    gone = {"attempts": attempts, "finished_at": _at(14.0), "last_error": "no such host"}
    records = [_record(1, "superseded", **gone), *RECORDS[1:]]
    findings: Findings = judge(_evidence(faults=faults, entries=ENTRIES[1:], deliveries=records))

    assert is_believed is not bool(findings.lost)
    assert is_believed is not bool(findings.complaints)


@pytest.mark.parametrize(
    ("faults", "refused_s", "is_allowed"),
    [([AWAY], 14.0, True), ([AWAY], 30.0, False), ([AWAY], 1.0, False), ([], 14.0, False)],
    ids=["left alone", "later", "long before", "well"],
)
def test_what_waits_for_a_receiver_that_turns_others_away_gives_way(
    faults: Sequence[Fault], refused_s: float, is_allowed: bool
) -> None:
    """A receiver that does not answer is left alone: of what waits for it, never tried, the newest is kept."""
    both = replace(WATCH, repeats_s=0, actions={OK: ["/alarm"], ALARM: ["/alarm"]})
    first = Entry(
        webhook_id="a_1_0", path="/alarm", body={**_entry(1).body, "previous": BLIND, "current": OK}, at_s=2.0
    )
    last = Entry(
        webhook_id="a_3_0", path="/alarm", body={**_entry(1).body, "previous": ALARM, "current": OK}, at_s=LEFT_S + 0.2
    )
    records = [
        _record(1, created_at=_at(1.0), finished_at=_at(2.1), body=first.body),
        _record(2, "superseded", attempts=0, created_at=_at(ENTERED_S), finished_at=_at(21.1), body=_entry(1).body),
        _record(3, created_at=_at(LEFT_S), finished_at=_at(LEFT_S + 0.3), body=last.body),
    ]
    other = Entry(webhook_id="b_1_0", path="/other", body={**_entry(1).body, "alarm_id": "b"}, at_s=refused_s)
    evidence = _evidence(
        watches=[both, Watch(alarm_id="b", name="other", resource_id="vm2", actions={})],
        samples={"vm": SAMPLES, "vm2": []},
        faults=faults,
        entries=[first, last],
        refused=[replace(other, taken=False)],
        histories={"a": [OK, ALARM, OK], "b": []},
        states={"a": OK, "b": BLIND},
        deliveries=[*records, {**_record(1), "alarm_id": "b", "target": "http://receiver:1/other"}],
    )

    assert (0 if is_allowed else 1) == judge(evidence).lost
    assert is_allowed is not any("never tried" in each for each in judge(evidence).complaints)


def test_a_scale_in_that_was_never_tried_may_be_given_up_once_it_is_no_longer_so() -> None:
    """What makes a group smaller is sent only while its alarm says so; what makes it larger has happened."""
    samples = [replace(each, value=100.0 - each.value) for each in SAMPLES]
    idle = replace(WATCH, operator="lt", repeats_s=0)
    ends = {"attempts": 0, "finished_at": _at(26.0), "last_error": "not sent: the alarm has moved on"}
    evidence = _evidence(
        watches=[idle],
        samples={"vm": samples},
        faults=[replace(DEAD, start_s=10.5, end_s=26.0)],
        entries=[],
        deliveries=[_record(1, "superseded", **ends)],
    )

    assert [] == judge(evidence).complaints
    assert 1 == judge(replace(evidence, watches=[replace(idle, operator="gt")], samples={"vm": SAMPLES})).lost
    assert 1 == judge(replace(evidence, entered_s={"a": [1.0, ENTERED_S, 28.0]})).lost
