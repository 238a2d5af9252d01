# SPDX-License-Identifier: Apache-2.0
"""The seam to an Aodh: what can be read of it, page by page."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

#: An alarm, a change or a quota as Aodh keeps it, by the names of its columns; an alarm's rule stands under ``rule``.
#: What is JSON may be text still, moments may be text or naive, and anything may be missing or null.
Record: TypeAlias = Mapping[str, Any]


class AodhSource(Protocol):
    """Reads one Aodh and changes nothing in it. Every method may raise `Unavailable` and other `AlarmdError`s."""

    #: Whether `quotas` can be read without leaving something behind.
    reads_quotas: bool
    #: Whether rules are shown with what Aodh's server has added to confine them to a project.
    shows_confinement: bool

    def count(self) -> int | None:
        """Return how many alarms there are about, None when that is not known."""

    def alarms(self, *, limit: int) -> Iterator[Sequence[Record]]:
        """Yield all alarms in pages of at most `limit`."""

    def changes(self, alarm_ids: Sequence[str], *, limit: int) -> Iterator[Sequence[Record]]:
        """Yield the history of some alarms in pages of at most `limit`."""

    def quotas(self, *, limit: int) -> Iterator[Sequence[Record]]:
        """Yield the quotas of alarms in pages of at most `limit`."""

    def close(self) -> None:
        """Let go of connections."""
