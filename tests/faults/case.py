# SPDX-License-Identifier: Apache-2.0
"""What a case of the campaign is, and what comes of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tests.faults.evidence import Findings
from tests.faults.scene import POSTGRESQL, SQLITE, Stage

BOTH = (SQLITE, POSTGRESQL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a case ended."""

    #: Kills, or whatever else was done to it.
    injections: int
    findings: Findings
    #: What happened, where several things were played at once.
    title: str = ""


Play: TypeAlias = Callable[[Stage], Outcome | Sequence[Outcome]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Something that happens to alarmd, and that it has to survive."""

    #: By which it is asked for.
    name: str
    #: What happens.
    title: str
    play: Play
    #: On which databases it is played, and on which of them in the short form.
    databases: Sequence[str] = BOTH
    in_short: Sequence[str] = (SQLITE,)
    #: Programs that it takes; it is left out, and said to be, where one is missing.
    programs: Sequence[str] = ()
    #: Whether only root may do it.
    as_root: bool = False
    #: How long the long form takes, more or less: what takes longest begins first.
    lasts_s: float = 90.0
    #: Whether the long form takes up the whole machine, so that what is played beside it would be late.
    alone: bool = False
