# SPDX-License-Identifier: Apache-2.0
"""The contract of quotas, on every database: what is stored, what is counted, and who gets the last place."""

from collections import Counter
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alarmd.alarms import AlarmDraft, QuotaService
from alarmd.alarms.quotas import UNLIMITED, QuotaDefaults
from alarmd.clock import ManualClock
from alarmd.errors import Forbidden
from alarmd.model.caller import Caller
from alarmd.policy import TablePolicy
from alarmd.store.alarms import AlarmQuery
from alarmd.store.database import Database
from tests.support.alarms import an_alarm
from tests.support.rest import CountingDoorbell, alarm_service
from tests.support.threads import run_together

ROOT = Caller(user_id="root", project_id="ops", roles=frozenset({"admin"}))
RULE = {"meter_name": "cpu_util", "threshold": 80}


def service(database: Database, *, project: int = UNLIMITED, user: int = UNLIMITED) -> QuotaService:
    defaults = QuotaDefaults(project_alarms=project, user_alarms=user)
    return QuotaService(database=database, policy=TablePolicy(), defaults=defaults)


def member(user_id: str, project_id: str) -> Caller:
    return Caller(user_id=user_id, project_id=project_id, roles=frozenset({"member", "reader"}))


def stored(database: Database, project_id: str) -> int | None:
    with database.read() as unit:
        return unit.quotas.get(project_id)


def attempt(database: Database, quotas: QuotaService, *, project_id: str, user_id: str, reads: str = "") -> bool:
    """Create an alarm as an administrator; return whether it was allowed."""
    alarms = alarm_service(database=database, doorbell=CountingDoorbell(), clock=ManualClock(), quotas=quotas)
    query = [{"field": "project_id", "value": reads}] if reads else []
    draft = AlarmDraft(name="x", type="threshold", rule=RULE | {"query": query}, project_id=project_id, user_id=user_id)
    try:
        alarms.create(draft, ROOT)
    except Forbidden:
        return False
    return True


@pytest.mark.parametrize("limit", [-1, 0, 1, 2**31 - 1])
def test_a_limit_that_is_set_is_stored(database: Database, limit: int) -> None:
    """Also -1, which stands against a default that is a number."""
    quotas = service(database, project=7)

    assert limit == quotas.set("p", limit, ROOT)
    assert (limit, limit) == (stored(database, "p"), quotas.get("p", ROOT))


def test_a_limit_can_be_changed_kept_and_taken_back(database: Database) -> None:
    """Setting none leaves what there is; deleting gives the default back, and is fine without anything stored."""
    quotas = service(database, project=7)
    quotas.set("p", 3, ROOT)
    quotas.set("p", 4, ROOT)

    assert 4 == quotas.set("p", None, ROOT)
    for _ in range(2):
        quotas.delete("p", ROOT)
        assert 7 == quotas.get("p", ROOT)
    assert 7 == quotas.set("p", None, ROOT)
    assert stored(database, "p") is None


def test_looking_writes_nothing(database: Database) -> None:
    """What is shown is the default as long as nothing is stored, and changes with it."""
    assert 7 == service(database, project=7).get(None, member("u", "p"))
    assert stored(database, "p") is None
    assert 8 == service(database, project=8).get(None, member("u", "p"))


def test_only_administrators_see_others_and_set(database: Database) -> None:
    """A member sees the quota of its own project and sets none, not even that."""
    quotas = service(database)

    assert UNLIMITED == quotas.get("p", member("u", "p"))
    for forbidden in (
        lambda: quotas.get("q", member("u", "p")),
        lambda: quotas.set("p", 1, member("u", "p")),
        lambda: quotas.delete("p", member("u", "p")),
    ):
        with pytest.raises(Forbidden, match="RBAC Authorization Failed"):
            forbidden()


def test_two_that_set_the_same_at_once_both_get_through(database: Database) -> None:
    """One of the two stands in the end."""
    quotas = service(database)
    run_together(*(partial(quotas.set, "p", limit, ROOT) for limit in range(8)))

    assert stored(database, "p") in range(8)


def test_one_alarm_too_many_is_refused_in_known_words(database: Database) -> None:
    """Aodh's text, which its clients compare; nothing of the refused alarm is left."""
    quotas = service(database)
    quotas.set("p", 0, ROOT)
    with pytest.raises(Forbidden, match=r"^Alarm quota exceeded for user u on project p$"), database.write() as unit:
        quotas.hold(unit, unit.alarms.add(an_alarm(project_id="p", user_id="u")))

    with database.read() as unit:
        assert 0 == unit.alarms.count(AlarmQuery(project_id="p"))


owners = st.tuples(st.sampled_from(["p", "q"]), st.sampled_from(["u", "v"]))
limits = st.integers(-1, 3)


@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    attempts=st.lists(owners, max_size=10),
    own=st.dictionaries(st.sampled_from(["p", "q"]), limits),
    project=limits,
    user=limits,
)
def test_alarms_are_counted_as_one_would_by_hand(
    database: Database, attempts: list[tuple[str, str]], own: dict[str, int], project: int, user: int
) -> None:
    """A project's limit counts the project's alarms whoever made them, a user's those in all projects; -1 is none."""
    quotas = service(database, project=project, user=user)
    with database.write() as unit:
        for alarm in unit.alarms.find(AlarmQuery()):
            unit.alarms.remove(alarm.alarm_id, alarm.timestamp)
    for project_id in ("p", "q"):
        quotas.delete(project_id, ROOT)
    for project_id, limit in own.items():
        quotas.set(project_id, limit, ROOT)
    of_project: Counter[str] = Counter()
    of_user: Counter[str] = Counter()
    for project_id, user_id in attempts:
        limit = own.get(project_id, project)
        room = limit == -1 or of_project[project_id] < limit
        room = room and (user == -1 or of_user[user_id] < user)
        of_project[project_id] += room
        of_user[user_id] += room

        assert room == attempt(database, quotas, project_id=project_id, user_id=user_id)


def test_of_many_at_once_as_many_get_in_as_there_is_room(database: Database) -> None:
    """Alarms of one project that are evaluated in different shards do not meet at the shard's lock."""
    quotas = service(database)
    quotas.set("p", 3, ROOT)
    let_in: list[bool] = []

    def one(reads: str) -> None:
        let_in.append(attempt(database, quotas, project_id="p", user_id="u", reads=reads))

    run_together(*(partial(one, f"other-{number}") for number in range(10)))

    assert (3, 7) == (let_in.count(True), let_in.count(False))
    with database.read() as unit:
        assert 3 == unit.alarms.count(AlarmQuery(project_id="p"))


def test_a_user_does_not_get_past_its_limit_through_many_projects_at_once(database: Database) -> None:
    """The user's alarms are counted over all projects, in whichever order their transactions end."""
    quotas = service(database, project=1, user=2)
    let_in: list[bool] = []

    def one(project_id: str) -> None:
        let_in.append(attempt(database, quotas, project_id=project_id, user_id="u"))

    run_together(*(partial(one, f"p{number}") for number in range(8)))

    assert (2, 6) == (let_in.count(True), let_in.count(False))
