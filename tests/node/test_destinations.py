"""Where engines in sandboxes may go."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowplug.node.destinations import allowed


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.64.0.1", "::1", "0.0.0.0", "::", "169.254.169.254", "169.254.0.1"),
        *("fe80::1", "fe80::1%eth0", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "224.0.0.1", "ff02::1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::"),
    ],
)
def test_this_machine_and_services_of_its_cloud_are_refused(address):
    assert not allowed(address)


@pytest.mark.parametrize(
    "address",
    [
        *("198.51.100.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "169.253.255.255", "169.255.0.0"),
        *("2606:4700::1111", "fd12:3456::1", "64:ff9b::c633:6401", "::ffff:198.51.100.1", "2002:c633:6401::"),
    ],
)
def test_other_machines_are_allowed_also_those_of_private_networks(address):
    assert allowed(address)


@given(st.ip_addresses(v=4))
def test_an_address_is_judged_the_same_however_it_is_wrapped(address: IPv4Address):
    value = int(address)
    wrapped = (
        IPv6Address(0xFFFF << 32 | value),
        IPv6Address(0x64FF9B << 96 | value),
        IPv6Address(0x2002 << 112 | value << 80),
    )
    assert {allowed(str(form)) for form in wrapped} == {allowed(str(address))}


def test_what_is_no_address_is_not_judged():
    with pytest.raises(ValueError, match="does not appear to be"):
        allowed("example.com")
