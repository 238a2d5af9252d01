# SPDX-License-Identifier: Apache-2.0
"""Trusts: the right to act for the caller later, which ``trust+…`` actions need."""

from typing import Protocol

from alarmd.errors import InvalidInput
from alarmd.model.caller import Caller


class TrustKeeper(Protocol):
    """Makes and ends trusts. Safe to use from several threads; asks somebody else's server."""

    def create(self, caller: Caller) -> str:
        """Return the id of a new trust: the caller lets alarmd act with the caller's roles, in its project.

        Raises `InvalidInput` when there cannot be one, `Forbidden` when the caller may not give one, `Unavailable` when
        the server does not answer.
        """

    def delete(self, trust_id: str, caller: Caller) -> None:
        """End a trust; one that is gone is fine. Raises nothing: what cannot be ended is logged."""


class NoTrusts:
    """Where callers are not known to Keystone there can be no trust."""

    def create(self, caller: Caller) -> str:
        del caller
        raise InvalidInput(
            "A trust+ action needs a Keystone trust, and this alarmd does not use Keystone. Use the plain scheme (a "
            'signed URL needs no trust), or ask the operator for api.auth = "keystone".'
        )

    def delete(self, trust_id: str, caller: Caller) -> None:
        """Do nothing: it made none."""
