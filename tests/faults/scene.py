# SPDX-License-Identifier: Apache-2.0
"""One scene: a real alarmd, a receiver, loads and alarms on them, and what is known when it is over."""

import json
import random
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.evidence import Evidence, Findings, Hush
from tests.faults.journal import Entry, Journal, journal
from tests.faults.load import Load
from tests.faults.oracle import judge
from tests.faults.records import FaultLog, SampleLog
from tests.faults.told import is_repeat, moment_s
from tests.faults.watches import Watch, watch
from tests.support.daemon import DEADLINE_S, Daemon, daemon, wait_until
from tests.support.servers import PostgresServer

SQLITE, POSTGRESQL = "sqlite", "postgresql"

#: How long alarmd may take to start.
_START_S = 60.0
#: How many deliveries are asked for at once.
_PAGE = 5_000
#: How many histories are asked for side by side.
_ASKERS = 4
#: How often everything is read at most, until nothing has come up meanwhile.
_READINGS = 5

#: Patience that fits cases of seconds. And no breaker: here everything changes at once, and all of it is to be told.
BRISK = {
    "ALARMD_POLLER__JITTER_S": "0",
    "ALARMD_NOTIFIER__CONNECT_TIMEOUT_S": "1",
    "ALARMD_NOTIFIER__TIMEOUT_S": "2",
    "ALARMD_NOTIFIER__RETRY_FIRST_DELAY_S": "0.2",
    "ALARMD_NOTIFIER__RETRY_MAX_DELAY_S": "1",
    "ALARMD_NOTIFIER__CIRCUIT_MAX_PAUSE_S": "2",
    **{f"ALARMD_SAFETY__BREAKER_{name}_SHARE": "0" for name in ("ALARMS", "PROJECTS", "HOSTS", "SILENT")},
}


@dataclass(kw_only=True)
class Stage:
    """Where cases are played."""

    folder: Path
    database: str
    seed: int
    short: bool
    postgres: PostgresServer | None = None
    #: What to say of a case's progress.
    tell: Any = lambda _text: None

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    @contextmanager
    def store(self) -> Iterator[tuple[dict[str, str], list[str]]]:
        """Make an empty database; give the settings and the options that lead there."""
        if self.database == SQLITE:
            yield {}, []
            return
        assert self.postgres is not None
        with self.postgres.database() as url:
            yield {"ALARMD_STORE__URL": url}, ["--migrate"]

    @contextmanager
    def scene(
        self,
        *,
        machines: Sequence[str] = ("vm-0", "vm-1", "vm-2"),
        environ: Mapping[str, str] | None = None,
        patient: bool = True,
        lateness_s: float = 10.0,
        state_dir: Path | None = None,
        sources: str = "[]",
        command: Sequence[str] = (),
        options: Sequence[str] = (),
        projects: Mapping[str, str] | None = None,
        deadline_s: float = 3 * DEADLINE_S,
        store: tuple[dict[str, str], list[str]] | None = None,
    ) -> Iterator["Scene"]:
        """Start alarmd and a receiver."""
        with ExitStack() as stack:
            place, further = store or stack.enter_context(self.store())
            samples = SampleLog(self.folder / "samples.jsonl")
            stack.callback(samples.close)
            faults = FaultLog(self.folder / "faults.jsonl")
            stack.callback(faults.close)
            kept = stack.enter_context(journal(self.folder / "webhooks.jsonl", seed=self.seed))
            alarmd = stack.enter_context(
                daemon(
                    state_dir or self.folder / "state",
                    options=[*further, *options],
                    environ={
                        **BRISK,
                        "ALARMD_WINDOW__LATENESS_S": f"{lateness_s:g}",
                        **place,
                        **(environ or {}),
                    },
                    sources=sources,
                    command=command,
                    log=self.folder / "alarmd.log",
                    await_ready=False,
                )
            )
            # Cases are played side by side, and start together.
            alarmd.await_ready(deadline_s=_START_S)
            load = Load(
                alarmd,
                machines,
                samples=samples,
                journals=[kept],
                seed=self.seed,
                patient=patient,
                deadline_s=deadline_s,
                projects=projects or {},
            )
            yield Scene(
                folder=self.folder,
                store_url=place.get("ALARMD_STORE__URL", ""),
                alarmd=alarmd,
                journal=kept,
                samples=samples,
                faults=faults,
                load=load,
                machines=machines,
                lateness_s=lateness_s,
                patient=patient,
                projects=projects or {},
            )


@dataclass(kw_only=True)
class Scene:
    """What is there while a case is played."""

    folder: Path
    #: The server's; empty for SQLite.
    store_url: str
    alarmd: Daemon
    journal: Journal
    samples: SampleLog
    faults: FaultLog
    load: Load
    machines: Sequence[str]
    lateness_s: float
    patient: bool
    #: Whose each machine is, and its alarms; nobody's if it is not named.
    projects: Mapping[str, str]
    watches: list[Watch] = field(default_factory=list)
    #: How deliveries may end, beside being delivered, and with which error.
    ends: dict[str, str] = field(default_factory=dict)
    #: Silences that were asked for.
    hushes: list[Hush] = field(default_factory=list)
    #: Whether somebody sets the clock.
    clock_is_set: bool = False
    #: Alarms that the findings are not about.
    others: set[str] = field(default_factory=set)
    #: Alarms on what alarmd polls by itself, which the findings are about all the same.
    polled: set[str] = field(default_factory=set)

    def watch(self, name: str, resource_id: str, *, url: str = "", **options: Any) -> Watch:
        """Create an alarm that the findings are about."""
        project = self.projects.get(resource_id)
        headers = {"X-Project-Id": project, "X-User-Id": "somebody", "X-Roles": "member"} if project else None
        made = watch(self.alarmd, url or self.journal.url, name, resource_id, headers=headers, **options)
        self.watches.append(made)
        if resource_id in self.machines:
            self.load.watches.append(made)
        return made

    @contextmanager
    def receiver(self, name: str, **options: Any) -> Iterator[Journal]:
        """Run one more receiver, whose paths have to be its own."""
        seed = len(self.load.journals)
        with journal(self.folder / f"webhooks-{name}.jsonl", seed=seed, **options) as kept:
            self.load.journals.append(kept)
            yield kept

    def watch_all(self) -> None:
        """Create two alarms on each machine that fire when it is busy, and one that fires when it is idle."""
        for machine in self.machines:
            self.watch(f"{machine}-1", machine)
            self.watch(f"{machine}-2", machine, periods=2)
            self.watch(f"{machine}-idle", machine, operator="lt")

    @contextmanager
    def running(self) -> Iterator[None]:
        """Push loads; the block begins when every alarm has told of its first state, and loads begin to change."""
        with self.load.running():
            self.await_quiet()
            self.load.start_flipping()
            yield

    def findings(self, *, deadline_s: float = 2 * DEADLINE_S) -> Findings:
        """Leave loads as they are, wait until all is told, and judge."""
        complaint = self.come_to_rest(deadline_s=deadline_s)
        found = judge(self.evidence())
        found.complaints[:0] = complaint
        return found

    def come_to_rest(self, *, deadline_s: float = 2 * DEADLINE_S) -> list[str]:
        """Leave loads as they are and wait until all is told; return what is to be said if that never happens."""
        self.load.stop_flipping()
        try:
            self.await_quiet(deadline_s=deadline_s)
        except AssertionError as error:
            return [str(error)]
        return []

    def await_quiet(self, *, deadline_s: float = 2 * DEADLINE_S) -> None:
        """Wait until every alarm is in the state that its samples ask for and everything has been told."""
        wait_until(self._is_quiet, deadline_s=deadline_s, what="alarms to tell of all that they have to", every_s=0.1)

    def _is_quiet(self) -> bool:
        if self.patient and not self.load.is_told():
            return False
        states = self.states()
        pushed = [each for each in self.watches if each.alarm_id not in self.polled]
        newest = {name: self.samples.of(name)[-1:] for name in {each.resource_id for each in pushed}}
        for each in pushed:
            samples = newest[each.resource_id]
            if not samples or each.state_at(samples[0].value) != states[each.alarm_id]:
                return False
        pending = self.alarmd.request("GET", f"/v3/deliveries?state=pending&limit={_PAGE}")["deliveries"]
        return all(each["alarm_id"] in self.others for each in pending)

    def states(self) -> dict[str, str]:
        """Return the state of every alarm, by its id."""
        everybody = "q.field=all_projects&q.op=eq&q.value=true"
        found: dict[str, str] = {}
        while True:
            marker = f"&marker={next(reversed(found))}" if found else ""
            page = self.alarmd.request("GET", f"/v2/alarms?limit={_PAGE}&sort=alarm_id:asc&{everybody}{marker}")
            found |= {each["alarm_id"]: each["state"] for each in page}
            if len(page) < _PAGE:
                return found

    def history(self, watch: Watch) -> list[str]:
        """Return the states that an alarm has gone through."""
        return [state for state, _ in self._turns(watch)]

    def _turns(self, watch: Watch) -> list[tuple[str, str]]:
        """Return the states that an alarm has gone through, and when it entered them."""
        rows = self.alarmd.request("GET", f"/v2/alarms/{watch.alarm_id}/history?limit=10000")
        turns = [row for row in reversed(rows) if row["type"] == "state transition"]
        return [(json.loads(row["detail"])["state"], row["timestamp"]) for row in turns]

    def deliveries(self) -> list[dict[str, Any]]:
        """Return every notification on record, newest first."""
        found: list[dict[str, Any]] = []
        while True:
            marker = f"&marker={found[-1]['event_id']}" if found else ""
            page = self.alarmd.request("GET", f"/v3/deliveries?limit={_PAGE}{marker}")["deliveries"]
            found += page
            if len(page) < _PAGE:
                return found

    def _told(self) -> tuple[list[dict[str, Any]], dict[str, list[tuple[str, str]]]]:
        """Return every notification and history, of one moment: somebody may go blind while they are read."""
        deliveries = self.deliveries()
        for _ in range(_READINGS):
            with ThreadPoolExecutor(_ASKERS) as pool:
                found = list(pool.map(self._turns, self.watches))
            before, deliveries = deliveries, self.deliveries()
            if len(before) == len(deliveries):
                break
        return deliveries, {watch.alarm_id: turns for watch, turns in zip(self.watches, found, strict=True)}

    def evidence(self) -> Evidence:
        """Return what is known now."""
        deliveries, turns = self._told()
        histories = {alarm_id: [state for state, _ in found] for alarm_id, found in turns.items()}
        epoch_s = None if self.clock_is_set else time.time() - time.monotonic()
        if epoch_s is None:
            by_sequence = _by_sequence(deliveries)
            # Histories are sorted by a clock that was set back and forth; sequences are not.
            assert all(sorted(by_sequence[each]) == sorted(states) for each, states in histories.items()), histories
            histories = {alarm_id: by_sequence[alarm_id] for alarm_id in histories}
        return Evidence(
            watches=list(self.watches),
            samples={watch.resource_id: self.samples.of(watch.resource_id) for watch in self.watches},
            faults=self.faults.faults,
            entries=_in_order(each.entries for each in self.load.journals),
            refused=_in_order(each.refused for each in self.load.journals),
            histories=histories,
            entered_s={
                alarm_id: [moment_s(text) - epoch_s for _, text in found]
                for alarm_id, found in turns.items()
                if epoch_s is not None
            },
            states=self.states(),
            deliveries=[each for each in deliveries if each["state"] != "pending"],
            ends=dict(self.ends),
            hushes=tuple(self.hushes),
            epoch_s=epoch_s,
            others=frozenset(self.others),
            polled=frozenset(self.polled),
            lateness_s=self.lateness_s,
            exact=self.patient,
            end_s=time.monotonic(),
        )


def _in_order(journals: Iterable[list[Entry]]) -> list[Entry]:
    return sorted((entry for entries in journals for entry in entries), key=lambda entry: entry.at_s)


def _by_sequence(deliveries: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the states that each alarm has told of, in the order of its sequence."""
    found: defaultdict[str, dict[int, str]] = defaultdict(dict)
    for each in deliveries:
        if not is_repeat(each):
            found[each["alarm_id"]][each["sequence"]] = each["body"]["current"]
    return defaultdict(list, {alarm_id: [told[key] for key in sorted(told)] for alarm_id, told in found.items()})
