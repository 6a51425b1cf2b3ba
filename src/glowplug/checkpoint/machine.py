"""What of this machine a process image depends on."""

import os
from dataclasses import dataclass
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_FLAGS = ("flags", "Features", "features")
"""What the kernel calls them on x86, on Arm, and on s390."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine as processes see it.

    Attributes:
        architecture: such as x86_64.
        cpu_flags: what the CPU can do. Programs choose code by it once, when they start.
        kernel: the release of the kernel.
        page_size: bytes of a page of memory.
        driver: version of the GPU driver; None without one.
        gpu: name and identifier of the GPU; None without one.
    """

    architecture: str
    cpu_flags: frozenset[str]
    kernel: str
    page_size: int
    driver: str | None = None
    gpu: str | None = None


def this_machine() -> Machine:
    """The machine that this process runs on. It is looked at anew each time: virtual machines are moved."""
    names = os.uname()
    return Machine(
        architecture=names.machine,
        cpu_flags=cpu_flags(),
        kernel=names.release,
        page_size=os.sysconf("SC_PAGE_SIZE"),
    )


def cpu_flags(cpuinfo: Path = _CPUINFO) -> frozenset[str]:
    """What the first CPU can do; Linux shows programs the same of all of them. Empty if it does not tell.

    Reading stops there, because the kernel asks every CPU for its speed before it writes its part of the file.
    """
    try:
        with cpuinfo.open() as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if name.strip() in _FLAGS:
                    return frozenset(value.split())
    except OSError:
        pass
    return frozenset()
