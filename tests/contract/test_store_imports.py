# SPDX-License-Identifier: Apache-2.0
"""The contract of what is remembered of imports, on every database."""

from alarmd.store.database import Database
from tests.contract.test_store_history import a_change, record


def test_what_was_brought_is_remembered_by_kind_and_key(database: Database) -> None:
    """Only what was asked for is returned, and what was never brought is not in it."""
    with database.write() as unit:
        unit.imports.remember("alarm", {"a": "1", "b": "2"})
        unit.imports.remember("quota", {"a": "3"})
    with database.read() as unit:
        known = unit.imports.known("alarm", ["a", "c"]), unit.imports.known("quota", ["a", "b"])

    assert ({"a": "1"}, {"a": "3"}) == known


def test_what_is_remembered_last_counts(database: Database) -> None:
    """A later import takes the place of an earlier one, and remembering nothing changes nothing."""
    with database.write() as unit:
        unit.imports.remember("alarm", {"a": "1", "b": "2"})
        unit.imports.remember("alarm", {"a": "4"})
        unit.imports.remember("alarm", {})
    with database.read() as unit:
        known = unit.imports.known("alarm", ["a", "b"])

    assert {"a": "4", "b": "2"} == known


def test_changes_that_are_recorded_are_known(database: Database) -> None:
    """So that nothing is recorded twice."""
    record(database, a_change(event_id="e1"), a_change(event_id="e2"))
    with database.read() as unit:
        known = unit.history.known(["e1", "e3"])

    assert {"e1"} == known
