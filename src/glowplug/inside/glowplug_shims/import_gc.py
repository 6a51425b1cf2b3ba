"""Keeps the garbage collector from running hundreds of times while an engine imports its libraries.

Importing vLLM makes some 5,000 modules, all of which stay. The collector still looks through them after every 700 new
objects, which takes a fifth of the time that the imports take (6.4 s instead of 5.0, in each of three processes).

Here it waits for many more new objects instead. The first time that it runs outside of an import, the imports of the
start are over, and it goes back to what it was.
"""

from __future__ import annotations

import gc
import sys

TYPE_CHECKING = False  # as in vllm_aot
if TYPE_CHECKING:
    from collections.abc import Mapping

THRESHOLD = 50_000
"""New objects between two collections while modules are imported; Python's own number is 700 (2,000 since 3.14). With
ten times as many it is no faster, and what one collection could have freed stays below some megabytes."""

_IMPORT = "<frozen importlib._bootstrap>"


def install() -> None:
    """Begin to wait, unless the program's thresholds are not Python's own or the collector is off."""
    before = gc.get_threshold()
    if not gc.isenabled() or not 0 < before[0] < THRESHOLD:
        return

    def look(phase: str, _info: Mapping[str, int]) -> None:
        if phase == "start" and not _is_importing():
            gc.callbacks.remove(look)
            if gc.get_threshold()[0] == THRESHOLD:  # else the program has set its own since
                gc.set_threshold(*before)

    gc.callbacks.append(look)
    gc.set_threshold(THRESHOLD, *before[1:])


def _is_importing() -> bool:
    frame = sys._getframe(1).f_back  # pyright: ignore[reportPrivateUsage]  # of who made the object too many; none at exit
    while frame is not None:
        if frame.f_code.co_filename == _IMPORT:
            return True
        frame = frame.f_back
    return False
