# SPDX-License-Identifier: Apache-2.0
"""When the alarm service makes, keeps and ends trusts. With a real Keystone: tests/openstack/test_keystone.py."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alarmd.alarms import AlarmDraft, AlarmService, QuotaService
from alarmd.alarms.quotas import QuotaDefaults
from alarmd.clock import ManualClock
from alarmd.errors import Forbidden, Unavailable
from alarmd.model.alarm import Alarm
from alarmd.model.caller import Caller
from alarmd.policy import TablePolicy
from alarmd.store import schema
from alarmd.store.database import Database
from tests.support.rest import CountingDoorbell, alarm_service

UP = "trust+http://heat:8004/v1/p1/stacks/s/1/resources/up/signal"
DOWN = "trust+http://heat:8004/v1/p1/stacks/s/1/resources/down/signal?a=b%2F"
PLAIN = "http://scaler/hook"

ANN = Caller(project_id="p1", user_id="ann", roles=frozenset({"member", "reader"}))
ADA = Caller(project_id="ops", user_id="ada", roles=frozenset({"admin"}))
BEN = Caller(project_id="p1", user_id="ben", roles=frozenset({"member", "reader"}))


class Ledger:
    """Keeps trusts in memory and remembers whose they are."""

    def __init__(self) -> None:
        self.makers: dict[str, str] = {}
        self.alive: set[str] = set()
        self.is_away = False

    def create(self, caller: Caller) -> str:
        """Make a trust."""
        if self.is_away:
            raise Unavailable("Keystone does not answer.")
        trust_id = f"trust{len(self.makers) + 1}"
        self.makers[trust_id] = caller.user_id
        self.alive.add(trust_id)
        return trust_id

    def delete(self, trust_id: str, caller: Caller) -> None:
        """End a trust."""
        del caller
        self.alive.remove(trust_id)


class House:
    """A service on a database of its own that makes trusts."""

    def __init__(self, state_dir: Path) -> None:
        url = f"sqlite:///{state_dir}/alarmd.db"
        schema.upgrade(url)
        self.database = Database.connect(url)
        self.ledger = Ledger()
        self.clock = ManualClock()
        self.alarms: AlarmService = alarm_service(
            database=self.database,
            doorbell=CountingDoorbell(),
            clock=self.clock,
            quotas=QuotaService(database=self.database, policy=TablePolicy(), defaults=QuotaDefaults(project_alarms=2)),
            trusts=self.ledger,
        )

    def create(self, *actions: str, caller: Caller = ANN) -> Alarm:
        """Create an alarm with these actions."""
        return self.alarms.create(_draft(alarm_actions=actions), caller)

    def change(self, alarm: Alarm, *actions: str, caller: Caller = ANN, **changes: Any) -> Alarm:
        """Change an alarm's actions."""
        return self.alarms.replace(alarm.alarm_id, _draft(alarm_actions=actions, **changes), caller)


def _draft(**changes: Any) -> AlarmDraft:
    rule = {"meter_name": "cpu_util", "threshold": 80.0, "comparison_operator": "gt"}
    return AlarmDraft(**{"name": "busy", "type": "threshold", "rule": rule, **changes})


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A house."""
    made = House(tmp_path)
    yield made
    made.database.close()


def test_an_alarm_has_one_trust_for_all_its_trust_actions(house: House) -> None:
    """However many trust+ actions there are, one trust is made, in the name of whoever makes the alarm."""
    alarm = house.create(UP, PLAIN, DOWN)

    assert ("trust1", {"trust1": "ann"}) == (alarm.trust_id, house.ledger.makers)


def test_an_alarm_without_such_actions_has_none(house: House) -> None:
    """Plain webhooks need no trust."""
    assert ("", set()) == (house.create(PLAIN).trust_id, house.ledger.alive)


def test_the_case_of_a_scheme_does_not_matter(house: House) -> None:
    """What is a trust+ action to the notifier is one to whoever makes trusts."""
    assert "trust1" == house.create(UP.replace("trust+http", "TRUST+Http")).trust_id


def test_a_change_keeps_the_trust(house: House) -> None:
    """An update that names no new receiver keeps the trust, whoever makes it."""
    alarm = house.create(UP, DOWN)
    house.change(alarm, UP, DOWN, severity=None, description="new")
    changed = house.change(alarm, UP, PLAIN, caller=BEN)

    assert ("trust1", {"trust1"}) == (changed.trust_id, house.ledger.alive)


def test_a_new_receiver_needs_a_trust_of_whoever_names_it(house: House) -> None:
    """Somebody else's token is not sent where its owner did not say that it may go."""
    changed = house.change(house.create(UP), UP, DOWN, caller=BEN)

    assert ("trust2", "ben", {"trust2"}) == (changed.trust_id, house.ledger.makers["trust2"], house.ledger.alive)


def test_an_admin_of_another_project_lends_its_name_to_nobody(house: House) -> None:
    """What an admin changes about a tenant's alarm never makes a token of the admin's go to the tenant's receiver."""
    alarm = house.create(UP)
    with house.database.write() as unit:
        stored = unit.alarms.get(alarm.alarm_id)
        assert stored is not None
        unit.alarms.replace(replace(stored, trust_id=""))
    changed = house.change(alarm, UP, caller=ADA, enabled=False)
    with pytest.raises(Forbidden, match="only somebody of the alarm's own project may"):
        house.change(alarm, UP, DOWN, caller=ADA)

    assert ("", False, {"trust1": "ann"}) == (changed.trust_id, changed.enabled, house.ledger.makers)


def test_a_trust_ends_with_the_last_action_that_needs_it(house: House) -> None:
    """An alarm that has no trust+ action any more has no trust either."""
    changed = house.change(house.create(UP), PLAIN)

    assert ("", set()) == (changed.trust_id, house.ledger.alive)


def test_a_trust_ends_with_its_alarm(house: House) -> None:
    """Nothing is left to act with once the alarm is gone."""
    house.alarms.delete(house.create(UP).alarm_id, ANN)

    assert set() == house.ledger.alive


def test_an_alarm_from_before_gets_its_trust_when_it_is_written_again(house: House) -> None:
    """An alarm that came without its trust, from an import, has one after an update that changes nothing else."""
    alarm = house.create(UP)
    with house.database.write() as unit:
        stored = unit.alarms.get(alarm.alarm_id)
        assert stored is not None
        unit.alarms.replace(replace(stored, trust_id=""))
    house.ledger.alive.clear()
    changed = house.change(alarm, UP)

    assert ("trust2", {"trust2"}) == (changed.trust_id, house.ledger.alive)
    assert "trust2" == house.alarms.get(alarm.alarm_id, ANN).trust_id


def test_an_alarm_that_is_not_made_leaves_no_trust(house: House) -> None:
    """When the quota refuses the alarm, its trust is ended again."""
    house.create(PLAIN)
    house.create(PLAIN)
    with pytest.raises(Forbidden, match="quota"):
        house.create(UP)

    assert ({"trust1": "ann"}, set()) == (house.ledger.makers, house.ledger.alive)


def test_nothing_is_stored_when_there_is_no_trust(house: House) -> None:
    """An alarm whose trust cannot be made is not made."""
    house.ledger.is_away = True
    with pytest.raises(Unavailable):
        house.create(UP)
    house.ledger.is_away = False

    assert "trust1" == house.create(UP).trust_id
