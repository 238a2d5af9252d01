# SPDX-License-Identifier: Apache-2.0
"""History and quotas that come over from an Aodh's database."""

from datetime import UTC, datetime
from typing import Any

import pytest

from alarmd.importing import Tally
from alarmd.model.alarm import Severity
from alarmd.model.history import ChangeType
from tests.unit.importing.conftest import Move


def test_history_comes_over_with_its_ids_and_never_twice(move: Move) -> None:
    """What is new there comes with the next import."""
    alarm_id = move.aodh.alarm()
    created = move.aodh.change(alarm_id, type="creation", detail={"name": "cpu high"}, timestamp="2026-01-01 06:00:00")
    turned = move.aodh.change(alarm_id, type="state transition", detail={"state": "ok", "transition_reason": "cool"})
    first = move.run()
    renamed = move.aodh.change(alarm_id, timestamp="2026-01-01 08:00:00", severity=None, user_id=None)
    second = move.run()
    history = move.history(alarm_id)

    assert (Tally(brought=2), Tally(brought=1, unchanged=2)) == (first.changes, second.changes)
    assert [created, turned, renamed] == [change.event_id for change in history]
    assert [ChangeType.CREATION, ChangeType.STATE_TRANSITION, ChangeType.RULE_CHANGE] == [
        change.type for change in history
    ]
    assert {"state": "ok", "transition_reason": "cool"} == history[1].detail
    assert (datetime(2026, 1, 1, 6, tzinfo=UTC), Severity.MODERATE) == (history[0].timestamp, history[0].severity)
    assert ("", None, "p1", "p1") == (
        history[2].user_id,
        history[2].severity,
        history[2].project_id,
        history[2].on_behalf_of,
    )


def test_history_that_would_be_dropped_at_once_is_left_out(move: Move) -> None:
    """What is older than alarmd keeps history stays where it is."""
    alarm_id = move.aodh.alarm()
    move.aodh.change(alarm_id, timestamp="2025-11-01 00:00:00")
    kept = move.aodh.change(alarm_id, timestamp="2025-12-31 00:00:00")
    report = move.run()

    assert Tally(brought=1, skipped=1) == report.changes
    assert [kept] == [change.event_id for change in move.history(alarm_id)]


def test_more_history_than_a_page_comes_over(move: Move) -> None:
    """Each change once."""
    alarm_id = move.aodh.alarm()
    ids = {move.aodh.change(alarm_id) for _ in range(1_050)}
    report = move.run()

    assert Tally(brought=1_050) == report.changes
    assert ids == {change.event_id for change in move.history(alarm_id)}


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"type": "party"}, "its type 'party' is none of creation"),
        ({"detail": "nothing much"}, "its detail is no JSON"),
        ({"timestamp": None}, "it has no timestamp"),
    ],
)
def test_a_change_that_is_none_is_told(move: Move, columns: dict[str, Any], reason: str) -> None:
    """The rest of the history comes all the same."""
    alarm_id = move.aodh.alarm()
    move.aodh.change(alarm_id, **columns)
    good = move.aodh.change(alarm_id)
    report = move.run()

    assert Tally(brought=1, skipped=1) == report.changes
    assert [good] == [change.event_id for change in move.history(alarm_id)]
    assert reason in report.remarks[0].text


def test_quotas_come_over_unless_they_were_changed_here(move: Move) -> None:
    """Only those of alarms; what was set or deleted here stays, unless the Aodh's word is wanted."""
    for project_id in ("same", "there", "here", "both", "deleted"):
        move.aodh.quota(project_id, 5)
    move.aodh.quota("same", 7, resource="sofas")
    first = move.run()
    with move.database.write() as unit:
        for project_id in ("here", "both"):
            unit.quotas.put(project_id, 6)
        unit.quotas.remove("deleted")
    move.aodh.run("UPDATE quota SET \"limit\" = 8 WHERE project_id IN ('there', 'both')")
    second = move.run()
    limits = {name: move.quota(name) for name in ("same", "there", "here", "both", "deleted")}
    third = move.run(overwrite=True)

    assert (Tally(brought=5), Tally(unchanged=3, changed=1, kept=1)) == (first.quotas, second.quotas)
    assert {"same": 5, "there": 8, "here": 6, "both": 6, "deleted": None} == limits
    assert Tally(unchanged=2, changed=3) == third.quotas
    assert (5, 8, 5) == (move.quota("here"), move.quota("both"), move.quota("deleted"))
    assert Tally(unchanged=5) == move.run().quotas


def test_a_quota_that_is_none_is_told(move: Move) -> None:
    """And so is where it stands."""
    move.aodh.quota("p1", -5)
    report = move.run()

    assert Tally(skipped=1) == report.quotas
    assert [("skipped", "p1", "a limit of -5 alarms is none")] == [
        (remark.kind, remark.subject, remark.text) for remark in report.remarks
    ]


def test_quotas_can_be_left_out(move: Move) -> None:
    """Then none are read."""
    move.aodh.quota("p1", 5)

    assert Tally() == move.run(with_quotas=False).quotas
    assert move.quota("p1") is None
