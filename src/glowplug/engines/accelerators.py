"""Whether engines on this machine compute on a GPU, and how much RAM they share if not."""

import os
from pathlib import Path

DRIVER_FILES = (Path("/dev/nvidiactl"), Path("/dev/kfd"), Path("/dev/dxg"))
"""What the drivers of NVIDIA and AMD GPUs put there, and that of Windows for Linux guests."""


def has_gpu() -> bool:
    """Whether the driver of a GPU that engines can use is loaded."""
    return any(file.exists() for file in DRIVER_FILES)


def installed_ram() -> int:
    """Bytes of RAM of the machine, which is what engines take a part of; a container's limit is none of theirs."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


DUMPED_GPU = "an image of the process does not hold its GPU memory"
"""Why the processes of an engine that computes on a GPU are not dumped."""

FROZEN_GPU = "a frozen process keeps its GPU memory"
"""Why an engine that computes on a GPU is not parked by freezing it."""
