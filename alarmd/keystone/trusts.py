# SPDX-License-Identifier: Apache-2.0
"""Trusts in Keystone: a caller lets alarmd's own user act for it, with its roles, in its project, until it is ended."""

import structlog

from alarmd.errors import AlarmdError, Forbidden, InvalidInput, NotFound, Unidentified
from alarmd.keystone.client import KeystoneClient
from alarmd.model.caller import Caller

_log = structlog.get_logger()


class KeystoneTrusts:
    """Makes and ends trusts (`alarms.trusts.TrustKeeper`). Safe to use from several threads."""

    def __init__(self, client: KeystoneClient) -> None:
        self._client = client

    def create(self, caller: Caller) -> str:
        """Return the id of a new trust of the caller's, who gives alarmd all the roles of the token in its project.

        Raises `Forbidden` and `InvalidInput` with Keystone's reason, and `Unavailable`.
        """
        try:
            said = self._client.ask(
                "GET", "/auth/tokens?nocatalog", token=caller.token, headers={"X-Subject-Token": caller.token}
            ).json()["token"]
            project_id, roles = said.get("project", {}).get("id"), said.get("roles", [])
            if not (project_id and roles):
                raise InvalidInput("A trust+ action needs a token with roles in a project; this one has none.")
            trust = {
                "trustor_user_id": said["user"]["id"],
                "trustee_user_id": self._client.own_user_id(),
                "project_id": project_id,
                "roles": [{"id": role["id"]} for role in roles],
                "impersonation": True,
            }
            made = self._client.ask("POST", "/OS-TRUST/trusts", token=caller.token, json={"trust": trust})
        except (Forbidden, Unidentified, NotFound) as error:
            raise Forbidden(f"There is no trust for the trust+ actions. {error.message}") from error
        trust_id: str = made.json()["trust"]["id"]
        return trust_id

    def delete(self, trust_id: str, caller: Caller) -> None:
        """End a trust: in the caller's name, who made it or is an admin, else in the name of whoever did make it."""
        try:
            if not self._end(trust_id, caller.token) and not self._end(trust_id, self._client.trust_token(trust_id)):
                raise Forbidden("Neither the caller nor its maker may end the trust.")
        except AlarmdError as error:
            _log.warning(
                "trust_leaked",
                trust_id=trust_id,
                project_id=caller.project_id,
                error=error.message,
                remedy="end it by hand: openstack trust delete",
            )
        finally:
            self._client.forget(trust_id)

    def _end(self, trust_id: str, token: str) -> bool:
        """Return whether the trust is gone now."""
        if not token:
            return False
        try:
            self._client.ask("DELETE", f"/OS-TRUST/trusts/{trust_id}", token=token)
        except (Forbidden, Unidentified):
            return False
        except NotFound:
            return True
        return True
