"""Memory, CPU, and how the kernel hands out pages."""

import os
import re
from pathlib import Path

from glowplug.checkpoint.huge_pages import host_setting
from glowplug.checkpoint.machine import this_machine
from glowplug.node.doctor.report import Finding, State
from glowplug.node.memory import host_memory

_TELLING = ("avx2", "avx512f", "amx_tile", "f16c", "asimd", "sve")
"""What engines choose their code by; all flags of the CPU go into the identity of a snapshot."""


def memory() -> Finding:
    """Of the machine, or of the container where that is less."""
    found = host_memory()
    summary = f"{found.total / 2**30:.1f} GiB, {found.available / 2**30:.1f} GiB of it free"
    return Finding("memory", State.OK, summary, values={"bytes": found.total, "available_bytes": found.available})


def cpu(cpuinfo: Path = Path("/proc/cpuinfo")) -> Finding:
    """Cores that we may use, and what they can do."""
    machine = this_machine()
    cores = len(os.sched_getaffinity(0))
    match = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.MULTILINE)
    name = match[1].strip() if match else machine.architecture
    telling = [flag for flag in _TELLING if flag in machine.cpu_flags]
    summary = f"{cores} {'core' if cores == 1 else 'cores'}, {name}" + (f" ({', '.join(telling)})" if telling else "")
    return Finding(
        "cpu",
        State.OK,
        summary,
        values={
            "cores": cores,
            "model": name,
            "architecture": machine.architecture,
            "kernel": machine.kernel,
            "flags": sorted(machine.cpu_flags),
        },
    )


def huge_pages(setting: Path | None = None) -> Finding:
    """Transparent huge pages of the size that restores are best done with (`checkpoint.huge_pages.host_setting`)."""
    setting = setting or host_setting()
    try:
        match = re.search(r"\[(\w+)\]", setting.read_text())
    except OSError:
        match = None
    if match is None:
        return Finding("huge pages", State.NONE, "the kernel has no transparent huge pages", values={"mode": None})
    mode = match[1]
    if mode == "always":
        return Finding("huge pages", State.OK, "always", values={"mode": mode})
    if os.access(setting, os.W_OK):
        remedy = "node.huge_pages: true has restores done with `always`, up to twice as fast"
    else:
        remedy = f"for restores up to twice as fast: echo always > {setting} (as root)"
    return Finding("huge pages", State.LIMITED, mode, remedy, {"mode": mode})
