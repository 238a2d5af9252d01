# SPDX-License-Identifier: Apache-2.0
"""What came of an import."""

from dataclasses import dataclass, field

#: How many things are told one by one; the others are counted.
_MOST_REMARKS = 1_000


@dataclass(slots=True, kw_only=True)
class Tally:
    """How many things of one kind went which way."""

    #: New here.
    brought: int = 0
    #: Changed there since the last time, and now here.
    changed: int = 0
    #: The same as the last time.
    unchanged: int = 0
    #: Changed or deleted here since the last time, and left so.
    kept: int = 0
    #: Not possible here, or of no use.
    skipped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """Something about one thing that a person should know."""

    #: ``skipped``, ``kept`` or ``note``.
    kind: str
    #: Id of the alarm or of the project.
    subject: str
    name: str
    text: str


@dataclass(slots=True, kw_only=True)
class ImportReport:
    """What came of an import."""

    alarms: Tally = field(default_factory=Tally)
    changes: Tally = field(default_factory=Tally)
    quotas: Tally = field(default_factory=Tally)
    remarks: list[Remark] = field(default_factory=list)
    #: Changes that alarmd would not have kept any longer.
    too_old: int = 0
    #: Remarks that there was no room for.
    untold: int = 0

    def remark(self, kind: str, text: str, *, subject: str, name: str = "") -> None:
        """Note something about one thing."""
        if len(self.remarks) < _MOST_REMARKS:
            self.remarks.append(Remark(kind=kind, subject=subject, name=name, text=text))
        else:
            self.untold += 1
