# SPDX-License-Identifier: Apache-2.0
"""Where notifications may go: which hosts, and which addresses may be connected to.

A tenant chooses the URLs and alarmd stands in the operator's network, so a URL is checked twice: as text when an alarm
is written, which gives a clear refusal early, and by the address that is really connected to, which is what counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_network
from types import MappingProxyType
from typing import TypeAlias

from alarmd.errors import TargetRefused
from alarmd.notifiers.targets import IPAddress, Target, parse

IPNetwork: TypeAlias = IPv4Network | IPv6Network

#: Names that mean this machine wherever they are looked up.
_LOOPBACK_NAMES = frozenset({"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"})

#: What lies outside global unicast, private, link-local and multicast space.
_RESERVED_V6 = (
    *("::/8", "100::/8", "200::/7", "400::/6", "800::/5", "1000::/4", "4000::/2", "8000::/2", "c000::/3"),
    *("e000::/4", "f000::/5", "f800::/6", "fe00::/9", "fec0::/10"),
)
_METADATA = "a cloud metadata address"
#: Those that every cloud of a kind has, and that lie outside link-local space as well.
_METADATA_NETWORKS = (
    *("169.254.169.254/32", "fd00:ec2::254/128", "fd20:ce::254/128"),
    *("100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32"),
)

#: What is refused unless allowed, the narrower first: a cloud's metadata service hands out credentials.
_FORBIDDEN: tuple[tuple[str, tuple[IPNetwork, ...]], ...] = tuple(
    (kind, tuple(ip_network(network) for network in networks))
    for kind, networks in (
        (_METADATA, _METADATA_NETWORKS),
        ("a loopback address", ("127.0.0.0/8", "::1/128")),
        ("an unspecified address", ("0.0.0.0/8", "::/128")),
        ("a link-local address", ("169.254.0.0/16", "fe80::/10")),
        ("a multicast address", ("224.0.0.0/4", "ff00::/8")),
        ("a reserved address", ("240.0.0.0/4", *_RESERVED_V6)),
    )
)
_NAT64 = ip_network("64:ff9b::/96")
_COMPATIBLE = ip_network("::/96")


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRules:
    """What the operator says about targets: for everybody, or for one project."""

    #: Networks that may be reached though they are refused by default, or by `deny_networks`.
    allow_networks: Sequence[IPNetwork] = ()
    #: Names that may be reached wherever they point, but for metadata addresses; ``*.example`` stands for every name
    #: below, ``*`` for every name. Addresses in URLs are no names.
    allow_hosts: Sequence[str] = ()
    deny_networks: Sequence[IPNetwork] = ()
    #: Names that are refused, written as those that are allowed.
    deny_hosts: Sequence[str] = ()

    def on_name(self, name: str) -> bool | None:
        """Return whether a name is allowed; None when nothing is said about it."""
        if any(is_like(name, pattern) for pattern in self.allow_hosts):
            return True
        return False if any(is_like(name, pattern) for pattern in self.deny_hosts) else None

    def on_address(self, address: IPAddress, *, spelled: IPAddress) -> bool | None:
        """Return whether an address is allowed; None when nothing is said about it."""
        if any(address in network or spelled in network for network in self.allow_networks):
            return True
        return False if any(address in network or spelled in network for network in self.deny_networks) else None


class TargetPolicy:
    """Decides where notifications may go.

    What the operator says about a name counts before what is said about networks, and what is said first before what
    is said later. About what nothing is said: refused are loopback (allowed while this daemon's own API is bound to
    loopback), link-local, cloud metadata, unspecified, multicast and reserved addresses. Private networks are
    allowed: that is where a private cloud's orchestration lives. Immutable; safe to share between threads.
    """

    def __init__(
        self,
        *rules: TargetRules,
        projects: Mapping[str, TargetRules] = MappingProxyType({}),
        allow_loopback: bool = False,
    ) -> None:
        """Take the rules, those that count first before the others, and those of single projects, which count first."""
        self._rules = rules
        self._allow_loopback = allow_loopback
        self._projects = {
            project_id: TargetPolicy(own, *rules, allow_loopback=allow_loopback) for project_id, own in projects.items()
        }

    def for_project(self, project_id: str) -> "TargetPolicy":
        """Return what counts for the alarms of a project; for equal projects always the same."""
        return self._projects.get(project_id, self)

    def check_url(self, url: str) -> Target:
        """Return the parts of a URL, unless it already shows that it may not be used.

        Looks at the text alone: names are resolved when alarmd connects, and judged by `check_address`.
        Raises `TargetRefused` with the reason and the setting that would allow it.
        """
        target = parse(url)
        address, name = target.address, ""
        if address is None:
            name = target.host
            if name in _LOOPBACK_NAMES or name.endswith(".localhost"):
                address = IPv4Address("127.0.0.1")
        if address is not None:
            self.check_address(address, name=name)
        else:
            self._check_name(name)
        return target

    def check_address(self, address: IPAddress, *, name: str = "") -> None:
        """Raise `TargetRefused` when this address may not be connected to, under the name it was found by."""
        is_allowed = self._check_name(name)
        for meant in _meanings_of(address):
            self._check(meant, spelled=address, is_allowed=is_allowed)

    def _check_name(self, name: str) -> bool:
        """Return whether a name is allowed whatever its address; refuse it when the operator says so."""
        said = next((word for rules in self._rules if (word := rules.on_name(name)) is not None), None)
        if said is False:
            raise TargetRefused(
                f"The host {name} is one that the operator refuses (notifier.deny_hosts)", name=name, kind="denied"
            )
        return said is True

    def _check(self, address: IPAddress, *, spelled: IPAddress, is_allowed: bool) -> None:
        kind = _kind_of(address)
        if is_allowed and kind != _METADATA:
            return
        said = next(
            (word for rules in self._rules if (word := rules.on_address(address, spelled=spelled)) is not None), None
        )
        if said or (said is None and self._allow_loopback and address.is_loopback):
            return
        if said is False:
            raise TargetRefused(
                f"{spelled} is in a network that the operator refuses (notifier.deny_networks)",
                address=str(spelled),
                kind="denied",
            )
        if kind is not None:
            raise TargetRefused(
                f"{spelled} is {kind}; alarmd sends nothing there unless the operator lists its network in "
                f"notifier.allow_networks",
                address=str(spelled),
                kind=kind,
            )


#: For services of the operator's own that are found in Keystone's catalogue: no tenant chooses their address.
ANYWHERE = TargetPolicy(TargetRules(allow_networks=(ip_network("0.0.0.0/0"), ip_network("::/0"))))


@lru_cache(maxsize=4_096)  # the same few receivers are asked about again and again
def _kind_of(address: IPAddress) -> str | None:
    """Return what speaks against an address; None when nothing does."""
    return next(
        (kind for kind, networks in _FORBIDDEN if any(address in network for network in networks)),
        None,
    )


def _meanings_of(address: IPAddress) -> tuple[IPAddress, ...]:
    """Return what has to be allowed for an address: itself, or the IPv4 addresses that its IPv6 spelling stands for."""
    if isinstance(address, IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None or address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return (IPv4Address(int(address) & 0xFFFFFFFF),)
    tunnelled = (address.sixtofour, *(address.teredo or ()))
    return (address, *(end for end in tunnelled if end is not None))


def is_like(name: str, pattern: str) -> bool:
    """Return whether a pattern (``host.example``, ``*.example``, ``*``) stands for a name; for none, it does not."""
    if not name:
        return False
    return pattern in {"*", name} or (pattern.startswith("*.") and name.endswith(pattern[1:]))
