# SPDX-License-Identifier: Apache-2.0
"""What the settings say about where webhooks may go."""

import re
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BeforeValidator

from alarmd.settings.section import Section, words

_HOST = re.compile(r"\*|(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
#: What resolvers take for an address: its last part is a number.
_ADDRESS = re.compile(r"(.*\.)?(0x[0-9a-f]*|[0-9]+)")


def _host_pattern(value: str) -> str:
    """Check the name of a host, or what stands for several."""
    pattern = value.lower().rstrip(".")
    if not _HOST.fullmatch(pattern) or _ADDRESS.fullmatch(pattern):
        raise ValueError(
            'must be a name ("heat.example"), "*.example" for every name below it, or "*" for every name; names beyond '
            "ASCII in their xn-- form, and addresses among the networks"
        )
    return pattern


Networks: TypeAlias = Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(words)]
HostPatterns: TypeAlias = Annotated[
    tuple[Annotated[str, AfterValidator(_host_pattern)], ...],
    BeforeValidator(words),
]


class ProjectTargets(Section):
    """Where the webhooks of one project may go; counts before what is said for all."""

    allow_networks: Networks = ()
    allow_hosts: HostPatterns = ()
    deny_networks: Networks = ()
    deny_hosts: HostPatterns = ()
