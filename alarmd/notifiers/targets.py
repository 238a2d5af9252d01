# SPDX-License-Identifier: Apache-2.0
"""What a target's URL may look like, and whose host it names.

One parser for everybody who looks at a URL, so that they never disagree about it.
"""

import re
import socket
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeAlias

from alarmd.errors import TargetRefused

IPAddress: TypeAlias = IPv4Address | IPv6Address

_VISIBLE = re.compile(r"[!-~]*")
_URL = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<rest>[^#]*)(?:#.*)?", re.IGNORECASE)
_AUTHORITY = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{0,5}))?")
_PORTS = {"http": 80, "https": 443}


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
        return _address_of(self.host)


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


@lru_cache(maxsize=4_096)  # thousands of targets name the same few hosts
def _address_of(host: str) -> IPAddress | None:
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        # Also reads 2130706433, 0x7f.1 and 0177.0.0.1, as resolvers do.
        return IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def _is_v6(host: str) -> bool:
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True
