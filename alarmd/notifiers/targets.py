# SPDX-License-Identifier: Apache-2.0
"""Where notifications may go: what a target's URL may look like, and which addresses may be connected to.

A tenant chooses the URLs and alarmd stands in the operator's network, so a URL is checked twice: as text when an alarm
is written, which gives a clear refusal early, and by the address that is really connected to, which is what counts.
Both read the URL with the one parser below, so they never disagree about whose host it names.
"""

import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from alarmd.errors import TargetRefused

IPAddress: TypeAlias = IPv4Address | IPv6Address
IPNetwork: TypeAlias = IPv4Network | IPv6Network

_VISIBLE = re.compile(r"[!-~]*")
_URL = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<rest>[^#]*)(?:#.*)?", re.IGNORECASE)
_AUTHORITY = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{0,5}))?")
_PORTS = {"http": 80, "https": 443}

#: Names that mean this machine wherever they are looked up.
_LOOPBACK_NAMES = frozenset({"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"})

#: What lies outside global unicast, private, link-local and multicast space.
_RESERVED_V6 = (
    *("::/8", "100::/8", "200::/7", "400::/6", "800::/5", "1000::/4", "4000::/2", "8000::/2", "c000::/3"),
    *("e000::/4", "f000::/5", "f800::/6", "fe00::/9", "fec0::/10"),
)

#: What is refused unless allowed, the narrower first: a cloud's metadata service hands out credentials.
_FORBIDDEN: tuple[tuple[str, tuple[IPNetwork, ...]], ...] = tuple(
    (kind, tuple(ip_network(network) for network in networks))
    for kind, networks in (
        ("a cloud metadata address", ("169.254.169.254/32", "100.100.100.200/32", "fd00:ec2::254/128")),
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
class Target:
    """An http or https URL, taken apart without changing a byte of what goes on the wire."""

    scheme: str
    #: Host and port as the URL spells them: the `Host` header.
    authority: str
    #: Lower case, without brackets and without the dot at the end.
    host: str
    port: int
    #: Path and query, byte for byte as the URL has them; never empty.
    path: str

    @property
    def address(self) -> IPAddress | None:
        """The host as an address, when it is written as one in any spelling that the system's resolver takes."""
        try:
            return ip_address(self.host)
        except ValueError:
            pass
        try:
            # Also reads 2130706433, 0x7f.1 and 0177.0.0.1, as resolvers do.
            return IPv4Address(socket.inet_aton(self.host))
        except OSError:
            return None


def parse(url: str) -> Target:
    """Return the parts of an http or https URL.

    Raises `TargetRefused` for whatever could be read in two ways. The message does not repeat the URL, which is a
    secret.
    """
    if not _VISIBLE.fullmatch(url):
        raise TargetRefused(
            "The URL holds spaces, control characters or letters beyond ASCII: write them percent-encoded"
        )
    match = _URL.fullmatch(url)
    if match is None:
        raise TargetRefused("The URL is not of the form http://host/path or https://host/path")
    scheme, authority, rest = match["scheme"].lower(), match["authority"], match["rest"]
    if "@" in authority:
        raise TargetRefused("The URL names a user; put credentials into the path or the query instead")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise TargetRefused("The URL names no host that can be read without doubt")
    port = int(parts["port"] or _PORTS[scheme])
    if not 1 <= port <= 65535:
        raise TargetRefused(f"The URL's port {port} is not between 1 and 65535")
    host = (parts["v6"] or parts["name"].rstrip(".")).lower()
    if not host or (parts["v6"] and not _is_v6(host)):
        raise TargetRefused("The URL names no host that can be read without doubt")
    path = rest if rest.startswith("/") else f"/{rest}"
    return Target(scheme=scheme, authority=authority, host=host, port=port, path=path)


class TargetPolicy:
    """Decides where notifications may go.

    Refused unless the operator allows the network: loopback (allowed while alarmd itself is bound to loopback),
    link-local, cloud metadata, unspecified, multicast and reserved addresses. Private networks are allowed: that is
    where a private cloud's orchestration lives. Immutable; safe to share between threads.
    """

    def __init__(self, *, allow_networks: Sequence[IPNetwork] = (), allow_loopback: bool = False) -> None:
        self._allowed = tuple(allow_networks)
        self._allow_loopback = allow_loopback

    def check_url(self, url: str) -> Target:
        """Return the parts of a URL, unless it already shows that it may not be used.

        Looks at the text alone: names are resolved when alarmd connects, and judged by `check_address`.
        Raises `TargetRefused` with the reason and the setting that would allow it.
        """
        target = parse(url)
        address = target.address
        if address is None and (target.host in _LOOPBACK_NAMES or target.host.endswith(".localhost")):
            address = IPv4Address("127.0.0.1")
        if address is not None:
            self.check_address(address)
        return target

    def check_address(self, address: IPAddress) -> None:
        """Raise `TargetRefused` when this address may not be connected to."""
        for meant in _meanings_of(address):
            self._check(meant, spelled=address)

    def _check(self, address: IPAddress, *, spelled: IPAddress) -> None:
        if any(address in network or spelled in network for network in self._allowed):
            return
        if self._allow_loopback and address.is_loopback:
            return
        for kind, networks in _FORBIDDEN:
            if any(address in network for network in networks):
                raise TargetRefused(
                    f"{spelled} is {kind}; alarmd sends nothing there unless the operator lists its network in "
                    f"notifier.allow_networks",
                    address=str(spelled),
                    kind=kind,
                )


def _meanings_of(address: IPAddress) -> tuple[IPAddress, ...]:
    """Return what has to be allowed for an address: itself, or the IPv4 addresses that its IPv6 spelling stands for."""
    if isinstance(address, IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None or address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return (IPv4Address(int(address) & 0xFFFFFFFF),)
    tunnelled = (address.sixtofour, *(address.teredo or ()))
    return (address, *(end for end in tunnelled if end is not None))


def _is_v6(host: str) -> bool:
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True
