"""What only the C library can do."""

from __future__ import annotations

import ctypes

TYPE_CHECKING = False  # the name is what type checkers know; importing `typing` takes milliseconds
if TYPE_CHECKING:
    from .entropy import Entropy

_libc = ctypes.CDLL(None)


def give_back_memory() -> None:
    """Return to the kernel what was freed but kept, so that it is not in the image. Only glibc needs to be asked."""
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(ctypes.c_size_t(0))


def reseed(entropy: Entropy) -> None:
    """New seeds for rand(3), random(3) and drand48(3)."""
    _libc.srandom(ctypes.c_uint(entropy.draw_integer(32)))
    _libc.srand48(ctypes.c_long(entropy.draw_integer(32)))
