# SPDX-License-Identifier: Apache-2.0
"""Membership over tooz groups (Redis, etcd, …): shards move as members come and go, on any number of hosts.

A member says in its own thread that it is alive, and looks who else is. Who owns what each member works out by
itself (`cluster.rendezvous`). While the coordinator does not answer, a member keeps the shards it last had, and those
of one that dies meanwhile wait; a member that starts then owns nothing until the coordinator is back.

Correctness does not rest on any of this, see `cluster.membership`.
"""

import threading
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

import structlog

from alarmd.cluster.rendezvous import owned_by
from alarmd.errors import PluginError, SettingsError
from alarmd.model.shard import Shard, all_shards

try:
    import tooz
    from tooz import coordination
except ImportError as error:
    raise PluginError(
        f"Membership over several hosts needs tooz: {error}. Install it with: pip install 'alarmd[coordination]'",
        plugin="coordination",
    ) from error

_log: Final = structlog.get_logger()

#: Drivers of tooz that know locks, but no groups.
_WITHOUT_GROUPS: Final = frozenset({"ipc", "kubernetes", "mysql", "postgresql"})
#: How long `close` waits for a coordinator that does not answer.
_LEAVE_TIMEOUT_S: Final = 5.0


class ToozMembership:
    """One member of a group; it joins as soon as the coordinator answers."""

    def __init__(self, url: str, member_id: str, *, group: str = "alarmd-evaluators", interval_s: float = 1.0) -> None:
        """Start the thread that joins.

        Args:
            url: Where the coordinator is, in tooz' form, e.g. ``redis://host:6379?membership_timeout=10``. A member
                that has died is taken over within that time-out (30 s when not given) plus the interval.
            member_id: Unique among the members, also over restarts of a host's other workers.
            group: Members of one group share out the shards.
            interval_s: How often to look who is there; at least thrice within the membership time-out.

        Raises:
            SettingsError: The URL names no driver that knows groups.
            PluginError: The driver's library is not installed.
        """
        self._url = url
        self._member_id = member_id
        self._group = group.encode()
        self._interval_s = interval_s
        self._owned: frozenset[Shard] = frozenset()
        self._members: frozenset[str] = frozenset()
        self._lost = False
        self._make_driver()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="membership", daemon=True)
        self._thread.start()

    def owned(self) -> frozenset[Shard]:
        return frozenset() if self._stop.is_set() else self._owned

    def close(self) -> None:
        self._stop.set()
        self._thread.join(_LEAVE_TIMEOUT_S)

    def _run(self) -> None:
        driver: coordination.CoordinationDriver | None = None
        pause_s = 0.0
        while not self._stop.wait(pause_s):
            pause_s = self._interval_s
            try:
                if driver is None:
                    starting = self._make_driver()
                    starting.start()
                    driver = starting
                timeout_s = driver.heartbeat()
                if timeout_s is not None:
                    pause_s = min(pause_s, timeout_s / 3)
                self._take_shares(self._look_around(driver))
            except (tooz.ToozError, OSError) as error:
                if not self._lost:
                    self._lost = True
                    _log.warning("coordinator_lost", member=self._member_id, kept=len(self._owned), reason=str(error))
        if driver is not None:
            with suppress(tooz.ToozError, OSError):
                driver.leave_group(self._group).get()
            with suppress(tooz.ToozError, OSError):
                driver.stop()

    def _make_driver(self) -> coordination.CoordinationDriver:
        scheme = urlsplit(self._url).scheme
        if scheme in _WITHOUT_GROUPS:
            raise SettingsError(f"{scheme} can keep locks, but no groups of members. Use redis or etcd3+http.")
        try:
            # This thread may wait for answers itself; tooz' own would be waited for at exit.
            return coordination.get_coordinator(self._url, self._member_id.encode(), executor="sync")
        except ImportError as error:
            raise PluginError(f"The {scheme} driver of tooz cannot be loaded: {error}.", plugin=scheme) from error
        except RuntimeError as error:
            raise SettingsError(
                f"tooz cannot load a driver for {scheme!r}. Use redis or etcd3+http, and see that the driver's own "
                "library is installed (redis: pip install 'alarmd[redis]'; etcd: pip install etcd3gw)."
            ) from error

    def _look_around(self, driver: coordination.CoordinationDriver) -> frozenset[str]:
        """Return who is there, after joining if this member is not (any more)."""
        present: set[bytes] = set()
        with suppress(coordination.GroupNotCreated):
            present = set(driver.get_members(self._group).get())
        own = self._member_id.encode()
        if own not in present:
            with suppress(coordination.GroupAlreadyExist):
                driver.create_group(self._group).get()
            with suppress(coordination.MemberAlreadyExist):
                driver.join_group(self._group).get()
            present = {*driver.get_members(self._group).get(), own}
        return frozenset(member.decode() for member in present)

    def _take_shares(self, members: frozenset[str]) -> None:
        if self._lost:
            self._lost = False
            _log.info("coordinator_found", member=self._member_id)
        if members == self._members:
            return
        self._members = members
        self._owned = owned_by(self._member_id, members=members, shards=all_shards())
        _log.info("shards_shared_out", member=self._member_id, members=len(members), owned=len(self._owned))
