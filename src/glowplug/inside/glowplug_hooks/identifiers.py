"""Ids and names that the standard library derives from what it remembers."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # the name is what type checkers know; importing `typing` takes milliseconds
if TYPE_CHECKING:
    from typing import Any

    from .entropy import Entropy

_MULTICAST = 1 << 40
"""Marks a node id that is no hardware address (RFC 9562, section 6.10)."""


def renew(entropy: Entropy) -> None:
    """UUIDs of version 1 and 6 get another node id, those of version 7 another counter, temporary files other names."""
    uuid: Any = sys.modules.get("uuid")
    if uuid is not None:
        uuid._node = entropy.draw_integer(48) | _MULTICAST
        uuid._generate_time_safe = None  # the system's library, which remembers a node and a clock sequence of its own
        for remembered in ("_last_timestamp", "_last_timestamp_v6", "_last_timestamp_v7"):
            if hasattr(uuid, remembered):
                setattr(uuid, remembered, None)
    tempfile: Any = sys.modules.get("tempfile")
    if tempfile is not None:
        tempfile._name_sequence = None  # made anew at the next use
