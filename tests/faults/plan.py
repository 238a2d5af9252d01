# SPDX-License-Identifier: Apache-2.0
"""What is to be played: which case on which database, what is played first, and what has the machine for itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tests.faults.case import Case

#: How many cases of the short form are played side by side: they wait more than they work.
JOBS_SHORT = 5

#: A case with a database that it is played on.
Part: TypeAlias = tuple[Case, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to play, and how."""

    parts: Sequence[Part]
    short: bool
    seed: int

    @property
    def side_by_side(self) -> list[Part]:
        """Those that may be played at the same time; the longest begins first, lest it be the last one left."""
        return sorted((part for part in self.parts if not self._is_alone(part)), key=lambda part: -part[0].lasts_s)

    @property
    def alone(self) -> list[Part]:
        """Those that are played with nobody beside them, one after the other."""
        return [part for part in self.parts if self._is_alone(part)]

    def _is_alone(self, part: Part) -> bool:
        return part[0].alone and not self.short


def parts_of(cases: Sequence[Case], *, short: bool, databases: Sequence[str] = ()) -> list[Part]:
    """Return each case with each database that it is played on; without names, with those that it asks for."""
    found = []
    for case in cases:
        offered = case.in_short if short else case.databases
        found += [(case, name) for name in (databases or offered) if name in case.databases]
    return found


def gaps_of(cases: Sequence[Case], *, short: bool, databases: Sequence[str] = ()) -> list[str]:
    """Return why some cases are played on no database at all, a sentence each."""
    found = []
    for case in cases:
        if databases and not set(databases) & set(case.databases):
            found.append(f"{case.name} is played on {' and '.join(case.databases)} only.")
        elif short and not databases and not case.in_short:
            found.append(f"{case.name} is no part of the short form; --database plays it there, with few injections.")
    return found
