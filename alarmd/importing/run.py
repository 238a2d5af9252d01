# SPDX-License-Identifier: Apache-2.0
"""The import itself: a page of alarms, their history, the next page; quotas last.

Each page is one unit of work, so an import that is interrupted has brought whole pages, and the next one goes on.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

from alarmd.clock import Clock
from alarmd.errors import Conflict, InvalidInput
from alarmd.importing.conversion import Conversion, change_of, quota_of
from alarmd.importing.merging import Fate, memory_of, merged
from alarmd.importing.report import ImportReport, Tally
from alarmd.importing.source import AodhSource, Record
from alarmd.model.alarm import Alarm
from alarmd.store.alarms import AlarmQuery
from alarmd.store.database import Database, UnitOfWork

#: Rows of one page, which are in memory at once.
_ALARMS, _CHANGES, _QUOTAS = 200, 1_000, 1_000
_ALARM, _QUOTA = "alarm", "quota"
_DELETED_HERE = "was deleted in alarmd since it was brought (--overwrite brings it back)"
_CHANGED_HERE = "was changed in alarmd and in the Aodh since it was brought (--overwrite takes the Aodh's)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRun:
    """Brings over what is new and what has changed, and leaves alone what was changed here."""

    source: AodhSource
    database: Database
    conversion: Conversion
    clock: Clock
    #: History that is older would be dropped at once.
    history_retention_s: float
    #: Whether the source's word counts more than what was changed here.
    overwrite: bool = False
    #: Whether nothing is written, and only told what would be.
    dry: bool = False
    with_quotas: bool = True
    #: Is told after each page how many alarms have been looked at.
    on_progress: Callable[[int], None] = lambda _alarms: None
    report: ImportReport = field(default_factory=ImportReport)

    def run(self) -> ImportReport:
        """Import everything and return what came of it. Raises `Unavailable` and `SettingsError`."""
        looked_at = 0
        for page in self.source.alarms(limit=_ALARMS):
            present = self._bring_alarms(page)
            if present:
                for changes in self.source.changes(present, limit=_CHANGES):
                    self._bring_changes(changes)
            looked_at += len(page)
            self.on_progress(looked_at)
        if self.with_quotas:
            for quotas in self.source.quotas(limit=_QUOTAS):
                self._bring_quotas(quotas)
        return self.report

    @contextmanager
    def _unit(self) -> Iterator[UnitOfWork]:
        with self.database.read() if self.dry else self.database.write() as unit:
            yield unit

    # --- alarms --------------------------------------------------------------------------------------------------

    def _bring_alarms(self, page: Sequence[Record]) -> list[str]:
        """Bring alarms and return the ids of those that are here now."""
        converted = self._converted(page)
        with self._unit() as unit:
            memories = unit.imports.known(_ALARM, list(converted))
            here = {alarm.alarm_id: alarm for alarm in unit.alarms.find(AlarmQuery(alarm_ids=tuple(converted)))}
            new = [alarm for alarm_id, alarm in converted.items() if alarm_id not in here]
            gone = {alarm.alarm_id for alarm in new if alarm.alarm_id in memories and not self.overwrite}
            brought = [alarm for alarm in new if alarm.alarm_id not in gone]
            if not self.dry:
                unit.alarms.add_all(brought)
                unit.imports.remember(_ALARM, {alarm.alarm_id: memory_of(alarm) for alarm in brought})
        for alarm_id, ours in here.items():
            self._merge(converted[alarm_id], ours, memories.get(alarm_id))
        for alarm_id in gone:
            self.report.remark("kept", _DELETED_HERE, subject=alarm_id, name=converted[alarm_id].name)
        self.report.alarms.brought += len(brought)
        self.report.alarms.kept += len(gone)
        return [alarm_id for alarm_id in converted if alarm_id not in gone]

    def _merge(self, theirs: Alarm, ours: Alarm, memory: str | None) -> None:
        """Merge an alarm that is here into what it is there, in a unit of its own: shards are locked one at a time."""
        result, why = merged(theirs, ours, memory, overwrite=self.overwrite), _CHANGED_HERE
        if not self.dry and (result.alarm != ours or result.memory != memory):
            try:
                with self.database.write() as unit:
                    now = unit.alarms.get(ours.alarm_id, for_update=True)
                    if now is None:
                        return  # deleted this very moment; the next import will see it
                    result = merged(theirs, now, memory, overwrite=self.overwrite)
                    if result.alarm != now:
                        self._replace(unit, result.alarm, now)
                    unit.imports.remember(_ALARM, {theirs.alarm_id: result.memory})
            except Conflict as error:
                result, why = replace(result, fate=Fate.KEPT), error.message
        _count(self.report.alarms, result.fate)
        if result.fate is Fate.KEPT:
            self.report.remark("kept", why, subject=theirs.alarm_id, name=theirs.name)

    def _replace(self, unit: UnitOfWork, alarm: Alarm, before: Alarm) -> None:
        unit.alarms.replace(alarm)
        unit.disabled_targets.clear(alarm.alarm_id)
        if alarm.rule != before.rule:
            unit.references.put(alarm.alarm_id, ())  # what comes from an Aodh refers to nothing
        reads, read = self.conversion.reads(alarm), self.conversion.reads(before)
        if reads != read and unit.references.referred_to([alarm.alarm_id]):
            raise Conflict(f"is referred to by alarms that read project {read}, and would read {reads}")

    def _converted(self, page: Sequence[Record]) -> dict[str, Alarm]:
        found: dict[str, Alarm] = {}
        for record in page:
            subject, name = str(record.get("alarm_id") or ""), str(record.get("name") or "")
            try:
                one = self.conversion.alarm(record, now=self.clock.now())
            except InvalidInput as error:
                self.report.alarms.skipped += 1
                self.report.remark("skipped", error.message, subject=subject, name=name)
                continue
            found[one.alarm.alarm_id] = one.alarm
            for note in one.notes:
                self.report.remark("note", note, subject=subject, name=name)
        return found

    # --- history -------------------------------------------------------------------------------------------------

    def _bring_changes(self, page: Sequence[Record]) -> None:
        oldest = self.clock.now() - timedelta(seconds=self.history_retention_s)
        changes = []
        for record in page:
            try:
                change = change_of(record)
            except InvalidInput as error:
                self.report.changes.skipped += 1
                what = f"a change of its history cannot be brought: {error.message}"
                self.report.remark("note", what, subject=str(record.get("alarm_id")))
                continue
            if change.timestamp < oldest:
                self.report.changes.skipped += 1
                self.report.too_old += 1
            else:
                changes.append(change)
        changes.sort(key=lambda change: change.timestamp)
        with self._unit() as unit:
            known = unit.history.known([change.event_id for change in changes])
            new = [change for change in changes if change.event_id not in known]
            if not self.dry:
                unit.history.add_all(new)
        self.report.changes.brought += len(new)
        self.report.changes.unchanged += len(known)

    # --- quotas --------------------------------------------------------------------------------------------------

    def _bring_quotas(self, page: Sequence[Record]) -> None:
        wanted: dict[str, int] = {}
        for record in page:
            try:
                project_id, limit = quota_of(record)
            except InvalidInput as error:
                self.report.quotas.skipped += 1
                self.report.remark("skipped", error.message, subject=str(record.get("project_id")), name="quota")
            else:
                wanted[project_id] = limit
        with self._unit() as unit:
            memories = unit.imports.known(_QUOTA, list(wanted))
            for project_id, limit in wanted.items():
                fate = self._quota_fate(limit, unit.quotas.get(project_id), memories.get(project_id))
                _count(self.report.quotas, fate)
                if fate is Fate.KEPT:
                    self.report.remark("kept", _CHANGED_HERE, subject=project_id, name="quota")
                elif not self.dry:
                    self._keep_quota(unit, project_id, limit, fate)

    def _quota_fate(self, there: int, here: int | None, memory: str | None) -> Fate:
        if here is None and memory is None:
            return Fate.BROUGHT
        if there == here or (str(there) == memory and not self.overwrite):
            return Fate.UNCHANGED
        return Fate.CHANGED if self.overwrite or str(here) == memory else Fate.KEPT

    @staticmethod
    def _keep_quota(unit: UnitOfWork, project_id: str, limit: int, fate: Fate) -> None:
        if fate is not Fate.UNCHANGED:
            unit.quotas.put(project_id, limit)
        unit.imports.remember(_QUOTA, {project_id: str(limit)})


def _count(tally: Tally, fate: Fate) -> None:
    name = fate.name.lower()
    setattr(tally, name, getattr(tally, name) + 1)
