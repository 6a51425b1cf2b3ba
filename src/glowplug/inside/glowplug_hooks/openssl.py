"""OpenSSL's random generators in this process, of every copy of it that can be reached.

OpenSSL has one primary generator, and for each thread two that draw from it. To give bytes to the primary one makes it
take new entropy from the kernel, and the others take theirs from it before they are used again (RAND_add(3),
EVP_RAND(7)). Only RAND_poll does that up to OpenSSL 1.1.1, where RAND_add merely mixes the bytes in.
"""

from __future__ import annotations

import ctypes
import os
import sys

TYPE_CHECKING = False  # the name is what type checkers know; importing `typing` takes milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def find() -> tuple[list[Callable[[bytes], None]], list[str]]:
    """Functions that mix bytes into a copy of OpenSSL, and sentences on copies that cannot be reached."""
    ways: list[Callable[[bytes], None]] = []
    notes: list[str] = []
    interpreters: Any = sys.modules.get("_ssl")
    if interpreters is not None:
        ways.append(lambda fresh: interpreters.RAND_add(fresh, 0.0))
    for path in _shared_libraries():
        try:
            ways.append(_way_into(path))
        except (OSError, AttributeError):
            notes.append(f"{path} is loaded, but its random generator cannot be given a new seed.")
    bindings: Any = sys.modules.get("cryptography.hazmat.bindings._rust")
    if bindings is not None:  # brings its own OpenSSL, whose symbols are hidden
        library: Any = getattr(getattr(bindings, "_openssl", None), "lib", None)
        if hasattr(library, "RAND_add"):
            ways.append(lambda fresh: library.RAND_add(fresh, len(fresh), 0.0))
        else:
            notes.append("The OpenSSL in the package cryptography cannot be given a new seed.")
    return ways, notes


def _shared_libraries() -> list[str]:
    """Files of libcrypto that are mapped into this process."""
    with open("/proc/self/maps", "rb") as maps:  # noqa: PTH123
        paths = {line.split(maxsplit=5)[5].strip() for line in maps if b"libcrypto" in line}
    return sorted(map(os.fsdecode, paths))


def _way_into(path: str) -> Callable[[bytes], None]:
    library = ctypes.CDLL(path, os.RTLD_NOLOAD | os.RTLD_LAZY)
    add, poll = library.RAND_add, library.RAND_poll
    add.argtypes, add.restype = (ctypes.c_char_p, ctypes.c_int, ctypes.c_double), None

    def mix_in(fresh: bytes) -> None:
        add(fresh, len(fresh), 0.0)
        poll()

    return mix_in
