"""Where an engine in a sandbox may go: everywhere but to this machine itself and to services of its cloud."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_METADATA = tuple(
    ip_network(network)
    for network in (
        "169.254.0.0/16",  # AWS, Azure, Google, Oracle and others; also all of link-local IPv4 (RFC 3927)
        "fd00:ec2::254/128",  # AWS over IPv6 (EC2 User Guide, "Access instance metadata")
        "100.100.100.200/32",  # Alibaba Cloud (ECS User Guide, "Instance metadata")
        "168.63.129.16/32",  # Azure's platform endpoint (Azure Virtual Network, "What is IP address 168.63.129.16?")
    )
)
"""Services that hand out credentials of the machine to whoever asks from it."""

_NAT64 = ip_network("64:ff9b::/96")
"""An IPv4 address in the last 32 bits (RFC 6052)."""


def allowed(address: str) -> bool:
    """Whether a connection to an IP address may be made; raises ValueError if it is none."""
    parsed = _plain(ip_address(address.partition("%")[0]))
    return not (
        parsed.is_loopback
        or parsed.is_link_local
        or parsed.is_unspecified  # leads to this machine as well
        or parsed.is_multicast
        or any(parsed in network for network in _METADATA)
    )


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that is wrapped in an IPv6 one, if so."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
