# SPDX-License-Identifier: Apache-2.0
"""An oracle that finds nothing would be worth nothing: each thing that may go wrong is put before it once."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.faults.evidence import Evidence, Findings
from tests.faults.journal import Entry
from tests.faults.oracle import judge
from tests.faults.records import Fault, Sample
from tests.faults.watches import ALARM, BLIND, OK, Watch

WATCH = Watch(alarm_id="a", name="busy", resource_id="vm", actions={OK: ["/ok"], ALARM: ["/alarm"]})


def _samples(*loads: tuple[float, float], every_s: float = 0.5) -> list[Sample]:
    """Samples of loads, each of which lasts for some seconds."""
    samples, at_s = [], 0.0
    for value, lasts_s in loads:
        end_s = at_s + lasts_s
        while at_s < end_s:
            samples.append(Sample(resource_id="vm", timestamp_s=1e9 + at_s, value=value, accepted_s=at_s))
            at_s += every_s
    return samples


def _entry(sequence: int, path: str, before: str, state: str, at_s: float, **changes: Any) -> Entry:
    body = {"alarm_id": "a", "previous": before, "current": state}
    return replace(Entry(webhook_id=f"a_{sequence}_0", path=path, body=body, at_s=at_s), **changes)


FIRST, SECOND = _entry(1, "/ok", BLIND, OK, 2.0), _entry(2, "/alarm", OK, ALARM, 12.0)


def _delivery(event_id: str, state: str = "delivered", error: str = "", path: str = "/both") -> dict[str, Any]:
    return {
        "event_id": event_id,
        "alarm_id": "a",
        "sequence": int(event_id.split("_")[1]),
        "target": f"http://receiver{path}",
        "state": state,
        "last_error": error,
    }


def _evidence(**changes: Any) -> Evidence:
    """Evidence against which nothing can be said."""
    good = Evidence(
        watches=[WATCH],
        samples={"vm": _samples((10.0, 10.0), (90.0, 10.0))},
        faults=[],
        entries=[FIRST, SECOND],
        refused=[],
        histories={"a": [OK, ALARM]},
        states={"a": ALARM},
        deliveries=[_delivery("a_1_0"), _delivery("a_2_0")],
        end_s=20.0,
    )
    return replace(good, **changes)


def test_a_good_run_is_called_good() -> None:
    """Two states, two webhooks, one of them repeated under its id."""
    repeated = replace(SECOND, at_s=13.0)

    findings = judge(_evidence(entries=[FIRST, SECOND, repeated]))

    assert Findings(transitions=2, worst_lateness_s=1.0) == findings


@pytest.mark.parametrize(
    ("changes", "lost", "doubled", "complaint"),
    [
        ({"histories": {"a": [OK]}, "states": {"a": OK}, "entries": [FIRST]}, 1, 0, "its samples ask for ok alarm"),
        ({"entries": [FIRST]}, 1, 0, "never told of 1 changes"),
        ({"entries": [FIRST, SECOND, replace(SECOND, webhook_id="a_3_0")]}, 0, 1, "once too often"),
        ({"entries": [FIRST, replace(SECOND, webhook_id="a_1_0")]}, 1, 0, "two different things"),
        ({"entries": [FIRST, replace(SECOND, webhook_id="b_2_0")]}, 0, 0, "has sent 'b_2_0'"),
        ({"entries": [FIRST, replace(SECOND, at_s=40.0)]}, 0, 0, "after it could have"),
        ({"entries": [FIRST, SECOND, replace(FIRST, body={**FIRST.body, "alarm_id": "x"})]}, 0, 0, "nobody has made"),
        ({"states": {"a": OK}}, 0, 0, "its history ends with"),
        ({"deliveries": [_delivery("a_1_0")]}, 0, 0, "notifications are on record"),
        ({"deliveries": [_delivery("a_1_0"), _delivery("a_2_0", "buried", "gone")]}, 0, 0, "a_2_0 is buried: gone"),
        (
            {"deliveries": [_delivery("a_1_0"), _delivery("a_2_0", "superseded")]},
            0,
            0,
            "a_2_0 is superseded by nothing",
        ),
        ({"histories": {"a": [OK, BLIND, ALARM]}}, 1, 2, "went through ok insufficient alarm"),
        ({"histories": {"a": [OK, ALARM, OK, ALARM]}}, 2, 2, "went through ok alarm ok alarm"),
    ],
)
def test_what_is_wrong_is_found(changes: dict[str, Any], lost: int, doubled: int, complaint: str) -> None:
    """Lost, doubled, late, out of order, under a wrong name or without a record."""
    findings = judge(_evidence(**changes))

    assert any(complaint in each for each in findings.complaints), findings.complaints
    assert (lost, doubled) == (findings.lost, findings.doubled)


def test_order_is_kept_within_a_target() -> None:
    """The older of two webhooks must not come after the newer."""
    both = replace(WATCH, actions={OK: ["/both"], ALARM: ["/both"]})
    entries = [replace(SECOND, path="/both"), replace(FIRST, path="/both", at_s=13.0)]

    findings = judge(_evidence(watches=[both], entries=entries))

    assert any("after number 2" in each for each in findings.complaints)


@pytest.mark.parametrize(
    ("faults", "lost"), [([], 2), ([Fault(what="stopped", start_s=4.0, end_s=16.0)], 0)], ids=["awake", "asleep"]
)
def test_only_who_slept_may_have_seen_nothing(faults: Sequence[Fault], lost: int) -> None:
    """A peak of five seconds may be missed by an evaluator that was stopped, and by no other."""
    samples = _samples((10.0, 6.0), (90.0, 5.0), (10.0, 20.0))
    quiet = _evidence(
        samples={"vm": samples},
        faults=faults,
        exact=False,
        histories={"a": [OK]},
        states={"a": OK},
        entries=[FIRST],
        deliveries=[_delivery("a_1_0")],
        end_s=30.0,
    )

    assert lost == judge(quiet).lost


@pytest.mark.parametrize(("gap_s", "allowed"), [(3.0, False), (20.0, True)])
def test_only_silence_makes_blind(gap_s: float, allowed: bool) -> None:
    """An alarm may say that it misses samples when it does, and at no other time."""
    before, after = _samples((10.0, 5.0)), _samples((10.0, 5.0))
    later = [
        replace(each, timestamp_s=each.timestamp_s + 5 + gap_s, accepted_s=each.accepted_s + 5 + gap_s)
        for each in after
    ]
    entries = [FIRST, _entry(3, "/ok", BLIND, OK, 7 + gap_s)]
    blind = _evidence(
        samples={"vm": [*before, *later]},
        histories={"a": [OK, BLIND, OK]},
        states={"a": OK},
        entries=entries,
        deliveries=[_delivery("a_1_0"), _delivery("a_3_0")],
        end_s=12 + gap_s,
    )

    assert allowed is not bool(judge(blind).complaints)


@pytest.mark.parametrize(
    ("busy_s", "faults", "lost"),
    [
        (1.0, [Fault(what="no samples", start_s=6.0, end_s=26.0)], 0),
        (9.0, [Fault(what="no samples", start_s=14.0, end_s=34.0)], 1),
    ],
    ids=["a moment", "long enough"],
)
def test_what_was_hardly_begun_when_samples_ended_may_go_unseen(
    busy_s: float, faults: Sequence[Fault], lost: int
) -> None:
    """A load that has just changed when the last sample was accepted, and is another when they come again."""
    before, after = _samples((10.0, 5.0), (90.0, busy_s)), _samples((10.0, 5.0))
    gap_s = busy_s + 25.0
    later = [replace(each, timestamp_s=each.timestamp_s + gap_s, accepted_s=each.accepted_s + gap_s) for each in after]
    unseen = _evidence(
        samples={"vm": [*before, *later]},
        faults=faults,
        histories={"a": [OK, BLIND, OK]},
        states={"a": OK},
        entries=[FIRST, _entry(3, "/ok", BLIND, OK, gap_s + 2)],
        deliveries=[_delivery("a_1_0"), _delivery("a_3_0")],
        end_s=gap_s + 5,
    )

    assert bool(lost) is bool(judge(unseen).complaints)


def test_a_refused_webhook_may_give_way_to_a_newer_one() -> None:
    """What was tried in vain is superseded; without a try it would be lost."""
    samples = _samples((10.0, 6.0), (90.0, 6.0), (10.0, 6.0))
    both = replace(WATCH, actions={OK: ["/both"], ALARM: ["/both"]})
    entries = [replace(FIRST, path="/both"), _entry(3, "/both", ALARM, OK, 15.0)]
    deliveries = [_delivery("a_1_0"), _delivery("a_2_0", "superseded"), _delivery("a_3_0")]
    evidence = _evidence(
        watches=[both],
        samples={"vm": samples},
        histories={"a": [OK, ALARM, OK]},
        states={"a": OK},
        entries=entries,
        deliveries=deliveries,
        end_s=18.0,
    )

    assert 1 == judge(evidence).lost
    assert [] == judge(replace(evidence, refused=[replace(SECOND, path="/both", taken=False)])).complaints


def test_what_gives_way_is_not_taken_for_its_successor() -> None:
    """Two changes are alike, the first was tried in vain and given up for the second: none is missing."""
    samples = _samples((10.0, 6.0), (90.0, 6.0), (10.0, 6.0), (90.0, 6.0))
    again = _entry(4, "/alarm", OK, ALARM, 20.0)
    evidence = _evidence(
        samples={"vm": samples},
        histories={"a": [OK, ALARM, OK, ALARM]},
        entries=[FIRST, _entry(3, "/ok", ALARM, OK, 14.0), again],
        refused=[replace(SECOND, taken=False)],
        deliveries=[
            *(_delivery(f"a_{number}_0", path="/ok") for number in (1, 3)),
            _delivery("a_2_0", "superseded", path="/alarm"),
            _delivery("a_4_0", path="/alarm"),
        ],
        end_s=24.0,
    )

    assert [] == judge(evidence).complaints
    assert 1 == judge(replace(evidence, entries=evidence.entries[:-1])).lost
