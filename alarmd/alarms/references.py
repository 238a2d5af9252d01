# SPDX-License-Identifier: Apache-2.0
"""The rules for alarms that refer to others: what they may refer to, and what that means for those others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from alarmd.alarms.reach import sees
from alarmd.errors import Conflict, InvalidInput
from alarmd.model.alarm import Alarm
from alarmd.model.caller import Caller
from alarmd.model.rule import CompoundRuleType, RuleType
from alarmd.policy import Action, Policy, require
from alarmd.store.alarms import AlarmQuery
from alarmd.store.database import UnitOfWork

#: How many references may stand one behind another.
MAX_LEVELS: Final = 16
#: How many alarms go at once when one is deleted with those that refer to it.
MAX_DELETED: Final = 1_000
#: How many alarms a refusal names.
_NAMED: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceRules:
    """What is demanded of references. Works within units of work that hold the lock of the alarm's shard."""

    rule_types: Mapping[str, RuleType]
    policy: Policy

    def keep(self, unit: UnitOfWork, alarm: Alarm, caller: Caller, *, before: Alarm | None = None) -> None:
        """Note what an alarm that has just been stored refers to.

        Raises `InvalidInput` when it must not refer to that, and `Conflict` when those that refer to it could not any
        more.
        """
        if before is not None and _asks_the_same(alarm, before):
            return
        known = self._referenced(before) if before is not None else frozenset()
        wanted = self._referenced(alarm)
        if before is not None:
            self._refuse_to_leave(unit, alarm, caller)
        if not wanted and not known:
            return
        self._check(unit, alarm, wanted, caller, known=known)
        unit.references.put(alarm.alarm_id, wanted)
        if wanted:
            _refuse_rings(unit, alarm)

    def check(self, unit: UnitOfWork, alarm: Alarm, caller: Caller) -> None:
        """Check what an alarm refers to that is stored nowhere; raises `InvalidInput` when it must not."""
        wanted = self._referenced(alarm)
        if wanted:
            self._check(unit, alarm, wanted, caller, known=frozenset())

    def all_referring(self, unit: UnitOfWork, alarm_id: str) -> list[str]:
        """Return the ids of the alarms that refer to one, and to those.

        Raises `Conflict` when they are too many to go at once.
        """
        found = unit.references.all_referring(alarm_id, limit=MAX_DELETED)
        if len(found) >= MAX_DELETED:
            raise Conflict(
                f"{MAX_DELETED} alarms or more refer to alarm {alarm_id}, which is too many to delete at once: delete "
                "some of them first."
            )
        return list(found)

    def check_deletion(self, alarm: Alarm, others: Sequence[Alarm], caller: Caller) -> None:
        """Refuse that others go with an alarm which the caller may not delete: raises `Conflict` and `Forbidden`."""
        hidden = [one for one in others if not sees(self.policy, caller, one.project_id)]
        if hidden:
            raise Conflict(
                f"Alarms of other projects refer to alarm {alarm.alarm_id} ({len(hidden)} of them): only an "
                "administrator can delete those."
            )
        for one in others:
            require(self.policy, Action.DELETE_ALARM, caller, project_id=one.project_id)

    def release(self, unit: UnitOfWork, gone: Sequence[Alarm], caller: Caller) -> None:
        """Raise `Conflict` when others refer to alarms that have just been removed."""
        left = unit.references.referring([alarm.alarm_id for alarm in gone], limit=_NAMED + 1)
        if left:
            raise Conflict(
                f"{self._who_refers(unit, left, caller)} to alarm {gone[0].alarm_id}. Change or delete what refers to "
                "it first, or delete it with cascade=true, which deletes that as well."
            )

    def _referenced(self, alarm: Alarm) -> frozenset[str]:
        rule_type = self.rule_types.get(alarm.type)
        if rule_type is not None and isinstance(rule_type, CompoundRuleType):
            return rule_type.refers_to(alarm.rule)
        return frozenset()

    def _check(
        self, unit: UnitOfWork, alarm: Alarm, wanted: frozenset[str], caller: Caller, *, known: frozenset[str]
    ) -> None:
        """Refuse references to what is not there for the caller, or reads another project.

        Whoever changes an alarm need not see what it referred to before.
        """
        there = {
            str(one.alarm_id): one for one in unit.alarms.find(AlarmQuery(alarm_ids=tuple(sorted(wanted)), sort=()))
        }
        reads = self._reads(alarm)
        for alarm_id in sorted(wanted):
            other = there.get(alarm_id)
            if other is None or not (alarm_id in known or sees(self.policy, caller, other.project_id)):
                raise InvalidInput(f"The rule refers to alarm {alarm_id}, which is not found.", alarm_id=alarm_id)
            if self._reads(other) != reads:
                raise InvalidInput(
                    f"The rule refers to alarm {alarm_id}, which reads project {self._reads(other)}, but it must read "
                    f"one project, and reads {reads}.",
                    alarm_id=alarm_id,
                )

    def _refuse_to_leave(self, unit: UnitOfWork, alarm: Alarm, caller: Caller) -> None:
        """Refuse that an alarm reads another project than those that refer to it."""
        referring = unit.references.referring([alarm.alarm_id], limit=_NAMED + 1)
        first = unit.alarms.get(referring[0]) if referring else None
        # All of them read the same project.
        if first is not None and self._reads(first) != self._reads(alarm):
            raise Conflict(
                f"{self._who_refers(unit, referring, caller)} to alarm {alarm.alarm_id}, which therefore cannot read "
                "another project. Change or delete what refers to it first."
            )

    def _reads(self, alarm: Alarm) -> str:
        rule_type = self.rule_types.get(alarm.type)
        return (
            alarm.project_id if rule_type is None else rule_type.reads_project(alarm.rule, project_id=alarm.project_id)
        )

    def _who_refers(self, unit: UnitOfWork, alarm_ids: Sequence[str], caller: Caller) -> str:
        """Return the beginning of a sentence: who refers, by id and name where the caller may know."""
        found = unit.alarms.find(AlarmQuery(alarm_ids=tuple(alarm_ids), sort=(("alarm_id", "asc"),)))
        named = [f"{one.alarm_id} ({one.name})" for one in found if sees(self.policy, caller, one.project_id)][:_NAMED]
        if len(named) == len(found) == 1:
            return f"Alarm {named[0]} refers"
        if len(named) < len(found):
            named.append("others" if named else "of other projects")
        return f"Alarms {', '.join(named)} refer"


def _asks_the_same(alarm: Alarm, before: Alarm) -> bool:
    return (alarm.type, alarm.rule, alarm.project_id) == (before.type, before.rule, before.project_id)


def _refuse_rings(unit: UnitOfWork, alarm: Alarm) -> None:
    """Refuse an alarm that refers to itself, by however many others, and chains of references that are too long."""
    ring = unit.references.cycle(alarm.alarm_id, limit=2 * MAX_LEVELS)
    if ring:
        raise InvalidInput(f"An alarm cannot refer to itself: {' → '.join(ring)}.", ring=ring)
    levels = sum(
        unit.references.levels(alarm.alarm_id, upwards=upwards, limit=MAX_LEVELS + 1) for upwards in (False, True)
    )
    if levels > MAX_LEVELS:
        raise InvalidInput(
            f"More than {MAX_LEVELS} alarms would refer to each other, one behind another: make the chain shorter."
        )
