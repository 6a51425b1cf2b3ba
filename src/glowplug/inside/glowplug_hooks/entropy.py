"""Fresh random bytes for one restored process."""

from __future__ import annotations

import os
from _blake2 import blake2b  # `hashlib` would load OpenSSL into processes that do without


class Entropy:
    """A stream of random bytes that no other process and no other restore has.

    Its key comes from the id of the moment, which Glowplug drew outside of any snapshot, and from the kernel. One alone
    is not enough: all processes of an engine hear the same id; and since glibc 2.41 the bytes that `os.urandom` gives
    can come from a state in the process itself, which a snapshot copies.
    """

    def __init__(self, moment_id: str) -> None:
        self._key = blake2b(bytes.fromhex(moment_id) + os.urandom(32) + str(os.getpid()).encode()).digest()
        self._drawn = 0

    def draw(self, size: int) -> bytes:
        """The next bytes, at most 64."""
        self._drawn += 1
        return blake2b(self._drawn.to_bytes(8, "little"), key=self._key, digest_size=size).digest()

    def draw_integer(self, bits: int) -> int:
        """The next integer from 0 to 2 ** bits - 1; whole bytes, at most 512 bits."""
        return int.from_bytes(self.draw(bits // 8), "little")
