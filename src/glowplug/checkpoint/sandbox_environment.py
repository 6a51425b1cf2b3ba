"""What an engine in a sandbox gets from the server's environment."""

from collections.abc import Mapping


def environment_for_sandbox(ours: Mapping[str, str], configured: Mapping[str, str]) -> dict[str, str]:
    """The engine's whole environment."""
    return {**{name: ours[name] for name in ("PATH", "HOME", "LANG") if name in ours}, **configured}
