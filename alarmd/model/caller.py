# SPDX-License-Identifier: Apache-2.0
"""The caller: who asks something of alarms. What it may do is the policy's to say."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, as the door has found out."""

    project_id: str
    user_id: str
    #: Names are compared in any case.
    roles: frozenset[str]
    #: What the caller proved itself with, where something can be done in its name with it (a Keystone token).
    token: str = field(default="", repr=False, compare=False)

    def has_role(self, name: str) -> bool:
        """Whether the caller has a role."""
        return any(own.lower() == name for own in self.roles)
