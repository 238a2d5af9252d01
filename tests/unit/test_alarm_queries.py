# SPDX-License-Identifier: Apache-2.0
"""What of a search a caller gets to see, whatever the policy allows it to ask."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from alarmd.alarms import AlarmDraft, AlarmService
from alarmd.clock import ManualClock
from alarmd.errors import InvalidInput, Unauthorized
from alarmd.model.caller import Caller
from alarmd.policy import Action
from alarmd.store import schema
from alarmd.store.alarms import AlarmQuery
from alarmd.store.database import Database
from alarmd.store.expression import Compare, Not, Operator, Search
from tests.support.rest import CountingDoorbell, alarm_service

ROOT = Caller(project_id="", user_id="root", roles=frozenset({"admin"}))
ANN = Caller(project_id="p1", user_id="ann", roles=frozenset())
NOBODY = Caller(project_id="", user_id="nobody", roles=frozenset())


class OpenPolicy:
    """Allows everything to everybody, and yet only admins are admins: what a site's own rules may come to."""

    def allows(self, action: Action, caller: Caller, *, project_id: str | None = None) -> bool:
        del project_id
        return action is not Action.ADMIN or caller.has_role("admin")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[AlarmService]:
    """A service with an alarm in each of two projects, and one that belongs to none."""
    url = f"sqlite:///{tmp_path}/alarmd.db"
    schema.upgrade(url)
    database = Database.connect(url)
    service = alarm_service(database=database, doorbell=CountingDoorbell(), clock=ManualClock(), policy=OpenPolicy())
    for project_id in ("p1", "p2", ""):
        rule = {"meter_name": "cpu_util", "threshold": 80}
        draft = AlarmDraft(name=f"of {project_id}", type="threshold", rule=rule, project_id=project_id)
        service.create(draft, ROOT)
    yield service
    database.close()


@pytest.mark.parametrize(
    ("caller", "expected"),
    [(ROOT, {"of p1", "of p2", "of "}), (ANN, {"of p1"}), (NOBODY, {"of "})],
)
def test_who_is_no_admin_is_confined(service: AlarmService, caller: Caller, expected: set[str]) -> None:
    """Lists, queries and histories hold the own project, also for a caller that acts for none."""
    found = service.query(Search(), caller)
    ids = {alarm.alarm_id for alarm in found}

    assert expected == {alarm.name for alarm in found}
    assert expected == {alarm.name for alarm in service.find(AlarmQuery(), caller)}
    assert ids == {change.alarm_id for change in service.query_history(Search(), caller)}


@pytest.mark.parametrize("caller", [ANN, NOBODY])
def test_who_is_no_admin_cannot_look_around_by_conditions(service: AlarmService, caller: Caller) -> None:
    """A condition on the project that names another is refused, and a marker from there is not known."""
    foreign = Compare(field="project_id", operator=Operator.EQ, value="p2")
    for expression in (foreign, Not(part=foreign)):
        with pytest.raises(Unauthorized, match="Not Authorized to access project p2"):
            service.query(Search(expression=expression), caller)

    [its] = service.query(Search(expression=foreign), ROOT)
    with pytest.raises(InvalidInput, match=r"Marker .* not found"):
        service.query(Search(marker=its.alarm_id), caller)

    assert [] == service.query(Search(marker=service.query(Search(), caller)[-1].alarm_id), caller)
