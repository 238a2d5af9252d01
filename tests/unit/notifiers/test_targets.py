# SPDX-License-Identifier: Apache-2.0
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alarmd.errors import TargetRefused
from alarmd.notifiers.target_policy import TargetPolicy, TargetRules
from alarmd.notifiers.targets import parse

STRICT = TargetPolicy()
LOOPBACK = TargetPolicy(allow_loopback=True)

SIGNED = (
    "http://HEAT:8000/v1/signal/arn%3Aopenstack%3Aheat%3A%3APROJECT_ID%3Astacks/STACK/STACK_ID/resources/up"
    "?SignatureMethod=HmacSHA256&SignatureVersion=2&AWSAccessKeyId=ACCESS"
    "&Signature=pPGKSDvJBk1kju%2F%2BZfzZ89eDpijG3UP%2FCO9YesJ4i14%3D"
)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1.2.3",
        "2130706433",
        "0x7f000001",
        "0x7F.1",
        "0177.0.0.1",
        "127.1",
        "127.0.1",
        "017700000001",
        "127.0.0.1.",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "evil.localhost",
        "localhost.localdomain",
        "ip6-localhost",
    ],
)
def test_loopback_is_refused_in_every_spelling(host: str) -> None:
    """No way of writing this machine's own address gets past the policy, and the refusal names the setting."""
    with pytest.raises(TargetRefused, match=r"notifier\.allow_networks") as refusal:
        STRICT.check_url(f"http://{host}:8080/secret?token=secret")

    assert "secret" not in refusal.value.message


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "localhost", "2130706433", "[::ffff:127.0.0.1]", "sub.localhost"]
)
def test_loopback_is_allowed_while_alarmd_is_bound_to_it(host: str) -> None:
    """On a machine where only its own users reach alarmd, its own receivers may be reached."""
    LOOPBACK.check_url(f"http://{host}/")


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("169.254.169.254", "metadata"),
        ("0xa9fea9fe", "metadata"),
        ("[::ffff:169.254.169.254]", "metadata"),
        ("[fd00:ec2::254]", "metadata"),
        ("[fd20:ce::254]", "metadata"),
        ("[FD20:00CE:0:0:0:0:0:0254]", "metadata"),
        ("100.100.100.200", "metadata"),
        ("0x646464c8", "metadata"),
        ("[64:ff9b::100.100.100.200]", "metadata"),
        ("168.63.129.16", "metadata"),
        ("2822734096", "metadata"),
        ("0250.077.0201.020", "metadata"),
        ("[::ffff:168.63.129.16]", "metadata"),
        ("192.0.0.192", "metadata"),
        ("192.192", "metadata"),
        ("[::ffff:c000:c0]", "metadata"),
        ("[2002:c000:c0::1]", "metadata"),
        ("169.254.1.1", "link-local"),
        ("[fe80::1]", "link-local"),
        ("0.0.0.0", "unspecified"),
        ("0", "unspecified"),
        ("[::]", "unspecified"),
        ("224.0.0.1", "multicast"),
        ("[ff02::1]", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("[fec0::1]", "reserved"),
        ("[64:ff9b:1::1]", "reserved"),
        ("[2002:a9fe:a9fe::1]", "metadata"),
    ],
)
@pytest.mark.parametrize("policy", [STRICT, LOOPBACK])
def test_addresses_that_no_receiver_has_are_refused(host: str, kind: str, policy: TargetPolicy) -> None:
    """Metadata services, neighbours on the link and addresses that mean nobody or everybody are refused."""
    with pytest.raises(TargetRefused, match=kind):
        policy.check_url(f"https://{host}/")


@pytest.mark.parametrize(
    "host",
    [
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "[fd12::1]",
        "8.8.8.8",
        "[2001:4860:4860::8888]",
        "[2001:db8::1]",
        "heat.example",
        "heat_api",
        "127.0.0.1.example.com",
        "localhost.example.com",
        "xn--mller-kva.example",
    ],
)
def test_receivers_in_public_and_private_networks_are_allowed(host: str) -> None:
    """Real receivers are reached, those of a private cloud too; names are judged when they are looked up."""
    STRICT.check_url(f"https://{host}:8443/x")


def test_an_operator_can_allow_networks() -> None:
    """What the operator lists is allowed, in each spelling, and nothing else with it."""
    policy = TargetPolicy(TargetRules(allow_networks=[ip_network("127.0.0.0/28"), ip_network("169.254.0.0/16")]))

    for host in ("127.0.0.1", "[::ffff:127.0.0.9]", "2130706433", "169.254.169.254", "localhost"):
        policy.check_url(f"http://{host}/")
    for host in ("127.0.0.16", "[::1]", "0.0.0.0"):
        with pytest.raises(TargetRefused):
            policy.check_url(f"http://{host}/")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http:",
        "http://",
        "http:///path",
        "http:/host/path",
        "//host/path",
        "ftp://host/",
        "http://user@host/",
        "http://user:password@host/",
        "http://@host/",
        "http://host:0/",
        "http://host:65536/",
        "http://host:123456/",
        "http://host:port/",
        "http://ho st/",
        "http://host/pa th",
        "http://host/\r\nX-Evil: 1",
        "http://host/\x00",
        "http://host\\@evil/",
        "http://%31%32%37.0.0.1/",
        "http://[::1/",
        "http://[v1.x]/",
        "http://[fe80::1%25eth0]/",
        "http://::1/",
        "http://./",
        "http://１２７.0.0.1/",
        "http://host/é",
        "http://host,other/",
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(url: str) -> None:
    """A URL that parsers disagree on, or that is none, is refused when the alarm is written."""
    with pytest.raises(TargetRefused):
        LOOPBACK.check_url(url)


@pytest.mark.parametrize(
    ("url", "authority", "port", "path"),
    [
        (SIGNED, "HEAT:8000", 8000, SIGNED.removeprefix("http://HEAT:8000")),
        ("http://h", "h", 80, "/"),
        ("https://h", "h", 443, "/"),
        ("http://h?", "h", 80, "/?"),
        ("http://h/?a=b#part", "h", 80, "/?a=b"),
        ("HTTP://h:/x", "h:", 80, "/x"),
        ("http://h:0080//a/../b/./%7e;c=d?%zz|{}", "h:0080", 80, "//a/../b/./%7e;c=d?%zz|{}"),
        ("https://[2001:db8::1]:8443/x", "[2001:db8::1]:8443", 8443, "/x"),
    ],
)
def test_what_goes_on_the_wire_is_kept_byte_for_byte(url: str, authority: str, port: int, path: str) -> None:
    """The `Host` header and the request's path are the URL's own bytes."""
    target = parse(url)

    assert (authority, port, path) == (target.authority, target.port, target.path)


def _is_forbidden(address: IPv4Address | IPv6Address) -> bool:
    """Tell slowly and with the standard library's own tables whether an address may not be used."""
    if isinstance(address, IPv6Address):
        for embedded in (address.ipv4_mapped, address.sixtofour, *(address.teredo or ())):
            if embedded is not None and _is_forbidden(embedded):
                return True
        if address.ipv4_mapped is not None:
            return False
        if address in ip_network("64:ff9b::/96") or (address in ip_network("::/96") and int(address) > 1):
            return _is_forbidden(IPv4Address(int(address) & 0xFFFFFFFF))
    return (
        address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or address.is_multicast
        or address.is_reserved
        or (isinstance(address, IPv6Address) and address.is_site_local)
        or str(address) in {"100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"}
        or (isinstance(address, IPv4Address) and address in ip_network("0.0.0.0/8"))
    )


@given(
    st.ip_addresses()
    | st.ip_addresses(v=6).map(lambda address: IPv6Address(int(address) & 0xFFFFFFFF))
    | st.ip_addresses(v=4).map(lambda address: IPv6Address(f"::ffff:{address}"))
    | st.sampled_from(["2002::/16", "2001::/32", "64:ff9b::/96", "fe80::/10", "fc00::/7", "fec0::/10"]).flatmap(
        lambda network: st.ip_addresses(network=network)
    )
)
def test_the_policy_agrees_with_the_standard_library(address: IPv4Address | IPv6Address) -> None:
    """Over all addresses the policy refuses what the standard library's tables call special, and nothing else."""
    try:
        STRICT.check_address(address)
    except TargetRefused:
        refused = True
    else:
        refused = False

    assert _is_forbidden(address) == refused


@given(st.ip_addresses(v=4), st.sampled_from(["{0}", "{0:#x}", "0{0:o}"]))
def test_numbers_mean_the_addresses_that_resolvers_take_them_for(address: IPv4Address, spelling: str) -> None:
    """An IPv4 address written as one number, in any base, is recognised."""
    assert ip_address(address) == parse(f"http://{spelling.format(int(address))}/").address
