"""How much memory the host has, and how much a process tree holds."""

import mmap
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from glowplug.checkpoint import cgroups
from glowplug.config.models import NodeConfig
from glowplug.scheduler.values import UNLIMITED, Resources

AUTO_SHARE = 0.9
"""Part of the host's memory that replicas may hold with `memory: auto`; the rest is for the system and Glowplug."""

_PAGE = mmap.PAGESIZE
_UNLIMITED = 1 << 60
"""Version 1 writes "no limit" as the largest multiple of the page size, about 2**63; anything so large is none."""


@dataclass(frozen=True, slots=True)
class HostMemory:
    """Bytes of RAM of the machine, or of the container whose cgroup limits us if that is less."""

    total: int
    available: int


def host_memory(proc: Path = Path("/proc"), groups: Iterable[cgroups.Hierarchy] | None = None) -> HostMemory:
    """Total and available memory, the limits of our cgroup and all above it honoured."""
    fields = _kilobytes((proc / "meminfo").read_text())
    total, available = fields["MemTotal"], fields["MemAvailable"]
    for group in cgroups.hierarchies() if groups is None else groups:
        if group.controller not in ("", "memory"):
            continue
        for directory in _upwards(group):
            limit, used = _limit_and_use(directory, group.version)
            if limit is not None and limit < _UNLIMITED:
                total = min(total, limit)
                available = min(available, max(0, limit - used))
    return HostMemory(total, available)


def capacity(node: NodeConfig) -> Resources:
    """What the replicas of this node may hold together. GPU memory is limited only if that is configured: nothing here
    can tell how much there is."""
    ram = int(host_memory().total * AUTO_SHARE) if node.memory == "auto" else node.memory
    return Resources(ram=ram, gpu=UNLIMITED if node.gpu_memory == "auto" else node.gpu_memory, disk=node.disk)


def tree_memory(pids: Iterable[int]) -> Resources:
    """What processes hold together, memory that they share counted once. Works on frozen processes; gone ones hold 0.

    The sum of proportional set sizes (proc_pid_smaps(5)): private pages and the process's share of shared ones, page
    cache that it has mapped included. Where the kernel does not tell it, resident memory that is not shared.
    """
    return Resources(ram=sum(_proportional(pid) for pid in pids))


def _proportional(pid: int) -> int:
    with suppress(OSError):
        if (rollup := _kilobytes(Path(f"/proc/{pid}/smaps_rollup").read_text())) and "Pss" in rollup:
            return rollup["Pss"]
    with suppress(OSError):
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text().split()
        return (int(resident) - int(shared)) * _PAGE
    return 0


def _kilobytes(text: str) -> dict[str, int]:
    return {name: int(number) * 1024 for name, number in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)}


def _upwards(group: cgroups.Hierarchy) -> Iterable[Path]:
    directory = group.own
    yield directory
    while directory != group.mount and group.mount in directory.parents:
        directory = directory.parent
        yield directory


def _limit_and_use(directory: Path, version: int) -> tuple[int | None, int]:
    names = ("memory.max", "memory.current") if version == 2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    try:
        limit, used = [(directory / name).read_text().strip() for name in names]
    except OSError:
        return None, 0
    if limit == "max":
        return None, 0
    # Page cache counts as used but is given back when memory is asked for; the inactive part goes without loss.
    return int(limit), int(used) - _inactive_file(directory)


def _inactive_file(directory: Path) -> int:
    with suppress(OSError):
        if match := re.search(
            r"^(?:total_)?inactive_file (\d+)$", (directory / "memory.stat").read_text(), re.MULTILINE
        ):
            return int(match[1])
    return 0
