# SPDX-License-Identifier: Apache-2.0
"""Rows of the table, and the file that keeps them when the run that has played them is over."""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.faults.campaign import CASES, Row
from tests.faults.plan import Part
from tests.faults.scene import POSTGRESQL, SQLITE

LONG, SHORT = "long", "short"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A row of the table."""

    case: str
    title: str
    database: str
    #: `long`, or `short`: with few injections.
    form: str
    seed: int
    #: Which commit of alarmd it was played on; empty where nobody can tell.
    revision: str
    injections: int
    transitions: int
    lost: int
    doubled: int
    worst_lateness_s: float
    #: What is wrong, a sentence each.
    complaints: list[str]
    #: Why it was not played; empty when it was.
    left_out: str
    #: How long the case took, and the load average at its end; nobody knows in rows that were kept long ago.
    took_s: float | None = None
    load: float | None = None

    @classmethod
    def of(cls, row: Row, *, seed: int, short: bool) -> "Line":
        """Return the line of a row."""
        findings = row.outcome.findings
        return cls(
            case=row.case.name,
            title=row.title,
            database=row.database,
            form=SHORT if short else LONG,
            seed=seed,
            revision=row.revision,
            injections=row.outcome.injections,
            transitions=findings.transitions,
            lost=findings.lost,
            doubled=findings.doubled,
            worst_lateness_s=round(findings.worst_lateness_s, 2),
            complaints=findings.complaints,
            left_out=row.left_out,
            took_s=round(row.took_s, 1),
            load=round(row.load, 2),
        )

    @property
    def is_good(self) -> bool:
        """Whether it was played and nothing is wrong."""
        return not (self.left_out or self.complaints or self.lost or self.doubled)

    @property
    def part(self) -> tuple[str, str]:
        """The case and the database, which several rows may share."""
        return self.case, self.database


class NoLines(ValueError):
    """A file does not hold rows of the campaign."""


class Kept:
    """A file with a row a line. Several runs may add to it at the same time, and each may end at any moment."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def lines(self) -> list[Line]:
        """Return all rows, in the order of the table; raises `NoLines`."""
        if not self._path.exists():
            return []
        texts = self._path.read_text(encoding="utf-8").splitlines()
        return in_order([self._read(number, text) for number, text in enumerate(texts, start=1)])

    def add(self, lines: Sequence[Line]) -> None:
        """Write rows down at once; they take the places of all that there were of their cases and databases."""
        with self._locked():
            played = {line.part for line in lines}
            every = in_order([*(line for line in self.lines() if line.part not in played), *lines])
            fresh = self._path.with_name(f"{self._path.name}.new")
            fresh.write_text("".join(f"{json.dumps(asdict(line))}\n" for line in every), encoding="utf-8")
            fresh.replace(self._path)

    def _read(self, number: int, text: str) -> Line:
        try:
            return Line(**json.loads(text))
        except (TypeError, ValueError) as error:
            raise NoLines(f"line {number} of {self._path} is no row of the campaign ({error})") from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # The file itself is another one after each change.
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)


def in_order(lines: Sequence[Line]) -> list[Line]:
    """Return rows in the order of the table; those of one case and database stay as they are."""
    cases = {case.name: number for number, case in enumerate(CASES)}
    databases = (SQLITE, POSTGRESQL)
    return sorted(lines, key=lambda line: (cases.get(line.case, len(cases)), databases.index(line.database)))


def lacking(parts: Sequence[Part], lines: Sequence[Line], *, short: bool, revision: str) -> list[Part]:
    """Return those parts that the rows do not show to be good in this form and in this state of the sources."""
    shown: dict[tuple[str, str], bool] = {}
    for line in lines:
        fits = bool(revision) and (line.form, line.revision) == (SHORT if short else LONG, revision)
        shown[line.part] = shown.get(line.part, True) and fits and line.is_good
    return [(case, database) for case, database in parts if not shown.get((case.name, database))]
