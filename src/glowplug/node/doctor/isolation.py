"""Namespaces, the system call filter, io_uring: what a sandbox is made of."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from glowplug.checkpoint import seccomp
from glowplug.checkpoint.sandbox import sandbox_closed
from glowplug.node.doctor.report import Finding, State, split

_SCRIPT = Path(__file__).with_name("probe_script.py")
_TIMEOUT = 20.0
_NEEDED = ("pid", "mount", "ipc", "net")
_DISABLED = Path("/proc/sys/kernel/io_uring_disabled")
_AS_ROOT = "run Glowplug as root, in a container --privileged"


def isolation() -> Sequence[Finding]:
    """Each kind of namespace, a whole sandbox, the filter and io_uring; each really tried. Takes 0.1 s."""
    argv = [sys.executable, "-I", "-S", str(_SCRIPT), str(Path(seccomp.__file__).parent)]
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT, check=True
        )
        tried: dict[str, Any] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        failed = f"could not be tried: {error}"
        return [Finding(check, State.MISSING, failed) for check in ("namespaces", "sandbox", "filter", "io_uring")]
    return [_namespaces(tried["namespaces"]), _sandbox(), _filter(tried["filter"]), _io_uring(tried)]


def _namespaces(tried: dict[str, str]) -> Finding:
    values = {name: not refused for name, refused in tried.items()}
    refused = [f"{name} ({tried[name]})" for name in _NEEDED if tried[name]]
    if refused:
        return Finding("namespaces", State.MISSING, f"refused: {', '.join(refused)}", _AS_ROOT, values)
    made = [name for name, refusal in tried.items() if not refusal]
    return Finding("namespaces", State.OK, ", ".join(made), values=values)


def _sandbox() -> Finding:
    if (closed := sandbox_closed()) is None:
        return Finding("sandbox", State.OK, "can be made")
    return Finding("sandbox", State.MISSING, *split(closed))


def _filter(refused: str) -> Finding:
    if not refused:
        return Finding("filter", State.OK, "system calls can be filtered: io_uring can be hidden from engines")
    return Finding("filter", State.MISSING, refused, _AS_ROOT)


def _io_uring(tried: dict[str, Any]) -> Finding:
    """CRIU cannot dump a process that has one, so it must be hidden by the filter or not exist."""
    refused: str = tried["io_uring"]
    disabled = _DISABLED.read_text().strip() if _DISABLED.exists() else ""
    values = {"available": not refused, "disabled": int(disabled) if disabled.isdigit() else None}
    if refused:
        return Finding("io_uring", State.OK, f"not available here ({refused}), which suits snapshots", values=values)
    if not tried["filter"]:
        return Finding("io_uring", State.OK, "available; sandboxes hide it", values=values)
    remedy = "switch it off: sysctl kernel.io_uring_disabled=2"
    return Finding("io_uring", State.LIMITED, "available, and it cannot be hidden from engines", remedy, values)
