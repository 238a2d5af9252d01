# SPDX-License-Identifier: Apache-2.0
"""What operators say about targets, and every way of writing an address."""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from alarmd.errors import TargetRefused
from alarmd.notifiers.target_policy import TargetPolicy, TargetRules
from alarmd.notifiers.targets import parse


def may(policy: TargetPolicy, host: str, *, found: str | None = None) -> bool:
    """Return whether a URL with this host is taken, and then the address that it is found to have."""
    try:
        target = policy.check_url(f"http://{host}/x")
        if found is not None:
            policy.check_address(ip_address(found), name=target.host)
    except TargetRefused:
        return False
    return True


def rules(**said: Any) -> TargetRules:
    networks = {key: [ip_network(one) for one in said.get(key, ())] for key in ("allow_networks", "deny_networks")}
    return TargetRules(**{**said, **networks})


@pytest.mark.parametrize(
    ("said", "host", "found", "expected"),
    [
        ({"allow_hosts": ["in.example"]}, "in.example", "127.0.0.1", True),
        ({"allow_hosts": ["in.example"]}, "IN.EXAMPLE.", "127.0.0.1", True),
        ({"allow_hosts": ["in.example"]}, "a.in.example", "127.0.0.1", False),
        ({"allow_hosts": ["*.in.example"]}, "a.b.in.example", "127.0.0.1", True),
        ({"allow_hosts": ["*.in.example"]}, "in.example", "127.0.0.1", False),
        ({"allow_hosts": ["*.in.example"]}, "evilin.example", "127.0.0.1", False),
        ({"allow_hosts": ["localhost"]}, "localhost", "127.0.0.1", True),
        ({"allow_hosts": ["*"]}, "127.0.0.1", None, False),
        ({"allow_hosts": ["*"]}, "any.example", "169.254.169.254", False),
        ({"allow_hosts": ["*"], "allow_networks": ["169.254.169.254/32"]}, "any.example", "169.254.169.254", True),
        ({"deny_hosts": ["out.example"]}, "out.example", None, False),
        ({"deny_hosts": ["*.out.example"]}, "a.out.example", None, False),
        ({"deny_hosts": ["out.example"]}, "other.example", "10.0.0.1", True),
        ({"deny_hosts": ["*"]}, "10.0.0.1", None, True),
        ({"deny_hosts": ["*"], "allow_hosts": ["in.example"]}, "in.example", "10.0.0.1", True),
        ({"deny_networks": ["10.0.0.0/8"]}, "10.0.0.1", None, False),
        ({"deny_networks": ["10.0.0.0/8"]}, "[::ffff:10.0.0.1]", None, False),
        ({"deny_networks": ["10.0.0.0/8"]}, "[2002:a00:1::]", None, False),
        ({"deny_networks": ["10.0.0.0/8"]}, "a.example", "10.0.0.1", False),
        ({"deny_networks": ["10.0.0.0/8"], "allow_networks": ["10.1.0.0/16"]}, "10.1.2.3", None, True),
        ({"deny_networks": ["10.0.0.0/8"], "allow_networks": ["10.1.0.0/16"]}, "10.2.2.3", None, False),
        ({"deny_networks": ["0.0.0.0/0", "::/0"], "allow_hosts": ["in.example"]}, "in.example", "10.0.0.1", True),
        ({"deny_networks": ["0.0.0.0/0", "::/0"], "allow_hosts": ["in.example"]}, "a.example", "10.0.0.1", False),
        ({"deny_networks": ["0.0.0.0/0", "::/0"], "allow_hosts": ["in.example"]}, "a.example", "2001:db8::1", False),
    ],
)
def test_operators_allow_and_deny_hosts_and_networks(
    said: dict[str, Any], host: str, found: str | None, expected: bool
) -> None:
    """Names count before networks and what is allowed before what is denied; an address in a URL is no name."""
    assert expected is may(TargetPolicy(rules(**said)), host, found=found)


def test_what_is_said_of_a_project_counts_first() -> None:
    """In both directions, and for that project alone."""
    policy = TargetPolicy(
        rules(allow_networks=["127.0.0.1/32"], deny_hosts=["*.out.example"]),
        projects={"strict": rules(deny_networks=["127.0.0.0/8"]), "free": rules(allow_hosts=["a.out.example"])},
    )

    assert [True, False, True] == [may(policy.for_project(one), "127.0.0.1") for one in ("any", "strict", "free")]
    assert [False, False, True] == [may(policy.for_project(one), "a.out.example") for one in ("any", "strict", "free")]
    assert not may(policy.for_project("free"), "b.out.example")
    assert policy.for_project("any") is policy.for_project("other"), "so that they share connections"


def test_what_the_operator_denies_is_said_without_the_url() -> None:
    """The refusal names the setting."""
    policy = TargetPolicy(rules(deny_hosts=["out.example"], deny_networks=["10.0.0.0/8"]))

    with pytest.raises(TargetRefused, match=r"notifier\.deny_hosts") as by_name:
        policy.check_url("http://out.example/secret")
    with pytest.raises(TargetRefused, match=r"notifier\.deny_networks"):
        policy.check_url("http://10.0.0.1/secret")
    assert "secret" not in by_name.value.message


#: A number as C reads it.
BASES = ("{0}", "{0:#x}", "{0:#X}", "0{0:o}", "0x00{0:x}", "000{0:o}")


@st.composite
def spelled_v4(draw: st.DrawFn, address: IPv4Address) -> str:
    """Return an IPv4 address in one to four parts, each in a base of its own, perhaps with dots at the end."""
    octets = address.packed
    count = draw(st.integers(1, 4))
    parts = [*octets[: count - 1], int.from_bytes(octets[count - 1 :], "big")]
    spelled = ".".join(draw(st.sampled_from(BASES)).format(part) for part in parts)
    return spelled + draw(st.sampled_from(["", "."]))


@st.composite
def spelled_v6(draw: st.DrawFn, address: IPv4Address) -> str:
    """Return an IPv6 address that stands for an IPv4 address, in one of its ways of being written."""
    number = int(address)
    embedded = draw(
        st.sampled_from(
            [
                IPv6Address(0xFFFF << 32 | number),
                IPv6Address((0x64FF9B << 96) | number),
                IPv6Address((0x2002 << 112) | (number << 80) | 1),
                # Teredo: the address of the client is written inverted.
                IPv6Address((0x20010000 << 96) | (0x0808_0808 << 64) | (number ^ 0xFFFFFFFF)),
            ]
        )
    )
    texts = [str(embedded), embedded.exploded, embedded.exploded.upper()]
    tail = IPv4Address(int(embedded) & 0xFFFFFFFF)
    texts.append(embedded.exploded.rpartition(":")[0].rpartition(":")[0] + f":{tail}")
    return f"[{draw(st.sampled_from(texts))}]"


METADATA = ("169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254")


@pytest.mark.parametrize("address", METADATA)
def test_no_name_may_lead_to_a_metadata_address(address: str) -> None:
    """A host that is allowed wherever it points is not allowed there: only whoever lists the address means it."""
    assert not may(TargetPolicy(), "any.example", found=address)
    assert not may(TargetPolicy(rules(allow_hosts=["*"])), "any.example", found=address)
    assert may(TargetPolicy(rules(allow_hosts=["*"], allow_networks=[address])), "any.example", found=address)


FORBIDDEN = ("127.0.0.0/8", "169.254.0.0/16", "0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", *METADATA[:4])
forbidden = st.sampled_from(FORBIDDEN).flatmap(lambda network: st.ip_addresses(network=network))


@given(st.data(), st.ip_addresses(v=4) | forbidden)
def test_every_spelling_of_an_address_means_the_same(data: st.DataObject, address: IPv4Address) -> None:
    """However it is written, it is refused exactly when the plain address is; and as the system's resolver reads it."""
    spelled = data.draw(spelled_v4(address))

    assert may(TargetPolicy(), str(address)) is may(TargetPolicy(), spelled)
    assert address == parse(f"http://{spelled}/").address
    assume(not spelled.endswith("."))
    found = socket.getaddrinfo(spelled, 80, family=socket.AF_INET, flags=socket.AI_NUMERICHOST)
    assert str(address) == found[0][4][0]


@given(st.data(), forbidden)
def test_no_address_hides_within_another(data: st.DataObject, address: IPv4Address) -> None:
    """Mapped, translated and tunnelled forms of what is refused are refused, and open up with it."""
    spelled = data.draw(spelled_v6(address))

    assert not may(TargetPolicy(), spelled)
    assert may(TargetPolicy(rules(allow_networks=[f"{address}/32", "2001::/16", "8.8.8.8/32"])), spelled)


@given(
    st.sampled_from(
        [
            "http://{0}@10.0.0.1/",
            "http://10.0.0.1@{0}/",
            "http://user:pass@{0}/",
            "http://10.0.0.1%40{0}/",
            "http://10.0.0.1\\@{0}/",
            "http://10.0.0.1#@{0}\\/",
            "http://%31{0}/",
            "http://{0}%00.example/",
            "http://{0}%2eexample/",
            "http://[::ffff:{0}%25eth0]/",
            "http://[::ffff:{0}%eth0]/",
            "http://[{0}]/",
            "http://{0}:80:80/",
            "http://{0}\t/",
            "http:// {0}/",
            "http:\\\\{0}/",
            "http:{0}/",
            "http://\u2460{0}/",
            "http://\uff11{0}/",
            "http://{0}\u3002example/",
            "http://{0}\u2024/",
        ]
    ),
    forbidden,
)
def test_no_trick_with_a_url_leads_to_an_address_that_is_refused(form: str, address: IPv4Address) -> None:
    """Users, percent-encoding, zones, brackets, other scripts: refused, or read as the harmless host that it names."""
    try:
        target = TargetPolicy().check_url(form.format(address))
    except TargetRefused:
        return

    assert ip_address("10.0.0.1") == target.address
