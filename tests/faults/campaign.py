# SPDX-License-Identifier: Apache-2.0
"""Plays cases, side by side or alone, and keeps the score."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from tests.faults.case import Case, Outcome
from tests.faults.cases import (
    certificates,
    clocks,
    clusters,
    databases,
    disks,
    forbidden,
    kills,
    names,
    operations,
    receivers,
    repeats,
    safety,
    samples,
    sources,
    stops,
    storms,
    waiting,
)
from tests.faults.evidence import Findings
from tests.faults.plan import Plan
from tests.faults.revision import revision
from tests.faults.scene import POSTGRESQL, Stage
from tests.support import servers

CASES: tuple[Case, ...] = tuple(
    case
    for module in (
        kills,
        stops,
        databases,
        clusters,
        disks,
        receivers,
        repeats,
        certificates,
        names,
        forbidden,
        clocks,
        samples,
        sources,
        storms,
        operations,
        safety,
        waiting,
    )
    for case in module.CASES
)

#: How much of a complaint is shown, in characters; the rest stands in the log that is kept.
_LONG = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One case on one database."""

    case: Case
    database: str
    outcome: Outcome
    took_s: float
    #: Which state of the sources was played, and the load average when it was over.
    revision: str = ""
    load: float = 0.0
    #: Why it was not played; empty when it was.
    left_out: str = ""

    @property
    def title(self) -> str:
        """What happened."""
        return self.outcome.title or self.case.title

    @property
    def is_good(self) -> bool:
        """Whether it was played and nothing is wrong."""
        findings = self.outcome.findings
        return not (self.left_out or findings.complaints or findings.lost or findings.doubled)


def play(plan: Plan, *, tell: Callable[[str], None], jobs: int = 1) -> Iterator[list[Row]]:
    """Play all, so many side by side, and give the rows of each case as soon as they are known.

    Those that want the machine for themselves come last, one after the other.
    """
    with ExitStack() as stack:
        bank = _ServerBank(stack.enter_context(ExitStack()))
        if any(database == POSTGRESQL for _, database in plan.parts):
            # Where it is not installed, that is known before anything is played.
            bank.give_back(bank.lend())

        def play_part(case: Case, database: str) -> list[Row]:
            server = bank.lend() if database == POSTGRESQL else None
            rows = play_one(case, database, short=plan.short, seed=plan.seed, postgres=server, tell=tell)
            if server is not None and all(row.is_good or row.left_out for row in rows):
                bank.give_back(server)
            return rows

        pool = stack.enter_context(ThreadPoolExecutor(jobs))
        # Whoever is interrupted does not begin what has not begun.
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        for done in as_completed([pool.submit(play_part, *part) for part in plan.side_by_side]):
            yield done.result()
        for part in plan.alone:
            # In the pool, too: servers end with the thread that has started them.
            yield pool.submit(play_part, *part).result()


class _ServerBank:
    """PostgreSQL servers that run until all is over. Nobody shares one, since some cases stop theirs."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._lock = Lock()
        self._idle: list[servers.PostgresServer] = []

    def lend(self) -> servers.PostgresServer:
        """Return one that nobody has."""
        with self._lock:
            return self._idle.pop() if self._idle else self._stack.enter_context(servers.postgres())

    def give_back(self, server: servers.PostgresServer) -> None:
        """Have one be lent again; one that may be in trouble is kept away."""
        with self._lock:
            self._idle.append(server)


def play_one(
    case: Case,
    database: str,
    *,
    short: bool,
    seed: int,
    postgres: servers.PostgresServer | None,
    tell: Callable[[str], None],
) -> list[Row]:
    """Play a case in a folder of its own, which stays if anything is wrong; return a row for each of its outcomes."""
    started_s, state = time.monotonic(), revision()
    missing = _missing(case)
    if missing:
        outcome = Outcome(injections=0, findings=Findings())
        return [Row(case=case, database=database, outcome=outcome, took_s=0.0, left_out=missing)]
    with _folder() as folder:
        stage = Stage(folder=folder, database=database, seed=seed, short=short, postgres=postgres, tell=tell)
        try:
            played = case.play(stage)
        except Exception as error:  # noqa: BLE001  # what has not come about is a finding, not the campaign's end
            complaint = _short(f"{type(error).__name__}: {error}")
            played = Outcome(injections=0, findings=Findings(complaints=[complaint]))
        took_s = time.monotonic() - started_s
        outcomes = [played] if isinstance(played, Outcome) else played
        load = os.getloadavg()[0]
        rows = [
            Row(case=case, database=database, outcome=outcome, took_s=took_s, revision=state, load=load)
            for outcome in outcomes
        ]
        bad = [row for row in rows if not row.is_good]
        if bad:
            kept = Path(tempfile.gettempdir()) / f"alarmd-fault-{case.name}-{database}-{os.getpid()}"
            shutil.copytree(folder, kept, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock"))
            bad[-1].outcome.findings.complaints.append(f"seed {seed}; log, webhooks, samples and state are in {kept}")
        return rows


def _short(text: str) -> str:
    """Return the beginning and the end of a text that may hold a whole log."""
    return text if len(text) < _LONG else f"{text[: _LONG // 2]} […] {text[-_LONG // 2 :]}"


def _missing(case: Case) -> str:
    if case.as_root and os.geteuid() != 0:
        return "only root can do this"
    absent = [name for name in case.programs if shutil.which(name) is None]
    return f"not installed: {', '.join(absent)}" if absent else ""


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="alarmd-fault-", ignore_cleanup_errors=True) as name:
        yield Path(name)
