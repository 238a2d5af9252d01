# SPDX-License-Identifier: Apache-2.0
"""Plays cases one after the other and keeps the score."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager, nullcontext
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
    safety,
    samples,
    sources,
    stops,
    storms,
    waiting,
)
from tests.faults.evidence import Findings
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to play, and how."""

    #: Each case with a database that it is played on.
    parts: Sequence[tuple[Case, str]]
    short: bool
    seed: int


def parts_of(cases: Sequence[Case], *, short: bool, databases: Sequence[str] = ()) -> list[tuple[Case, str]]:
    """Return each case with each database that it is played on; without names, with those that it asks for."""
    found = []
    for case in cases:
        offered = case.in_short if short else case.databases
        found += [(case, name) for name in (databases or offered) if name in case.databases]
    return found


def play(plan: Plan, *, tell: Callable[[str], None], jobs: int = 1) -> Iterator[Row]:
    """Play all, several side by side, and give each row as soon as it is known.

    Those on PostgreSQL are played in turn: some of them stop it.
    """
    server = Lock()
    with ExitStack() as stack:
        needs_server = any(database == POSTGRESQL for _, database in plan.parts)
        postgres = stack.enter_context(servers.postgres()) if needs_server else None

        def play_part(case: Case, database: str) -> list[Row]:
            with server if database == POSTGRESQL else nullcontext():
                return play_one(case, database, short=plan.short, seed=plan.seed, postgres=postgres, tell=tell)

        pool = stack.enter_context(ThreadPoolExecutor(jobs))
        # Those that stand in line for the server begin, so that the others fill the time of its last.
        ordered = sorted(plan.parts, key=lambda part: part[1] != POSTGRESQL) if jobs > 1 else plan.parts
        for done in as_completed([pool.submit(play_part, *part) for part in ordered]):
            yield from done.result()


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
    started_s = time.monotonic()
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
        rows = [Row(case=case, database=database, outcome=outcome, took_s=took_s) for outcome in outcomes]
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
