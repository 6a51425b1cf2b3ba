"""Who this process is, and what the kernel lets it do."""

import os
import re
from pathlib import Path

from glowplug.node.doctor.report import Finding, State

_NEEDED = {"NET_ADMIN": 12, "SYS_PTRACE": 19, "SYS_ADMIN": 21}  # numbers: linux/capability.h


def privileges(status: Path = Path("/proc/self/status")) -> Finding:
    """User and capabilities. Only snapshots need any."""
    user = os.geteuid()
    match = re.search(r"^CapEff:\s*([0-9a-f]+)$", status.read_text(), re.MULTILINE)
    held = int(match[1], 16) if match else 0
    missing = [name for name, bit in _NEEDED.items() if not held >> bit & 1]
    who = "root" if user == 0 else f"user {user}"
    values = {"user": user, "missing_capabilities": missing}
    if not missing:
        return Finding("privileges", State.OK, f"{who}, with all capabilities that snapshots need", values=values)
    without = f"{who}, without {', '.join(missing)}"
    remedy = "start the container with --privileged" if user == 0 else "for snapshots, run Glowplug as root"
    return Finding("privileges", State.LIMITED, without, remedy, values)
