# SPDX-License-Identifier: Apache-2.0
"""The caller: who asks something of alarms, and what they may."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks. The roles `admin`, `member` and `reader` count, in any case; each for itself, none implies another."""

    project_id: str
    user_id: str
    roles: frozenset[str]

    @property
    def is_admin(self) -> bool:
        """Whether the caller may do everything in every project."""
        return self._has("admin")

    @property
    def may_read(self) -> bool:
        """Whether the caller may look at the alarms of its project."""
        return self.is_admin or (bool(self.project_id) and self._has("reader"))

    @property
    def may_write(self) -> bool:
        """Whether the caller may change the alarms of its project."""
        return self.is_admin or (bool(self.project_id) and self._has("member"))

    def _has(self, role: str) -> bool:
        return any(own.lower() == role for own in self.roles)
