"""What a result was measured on."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any


def conditions(load_before: tuple[float, float, float], *packages: str) -> dict[str, Any]:
    """The machine, the time and the versions of `packages`, as they go into the result."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average_before": [round(value, 2) for value in load_before],
        "versions": {name: version(name) for name in packages},
    }


def sentence(found: dict[str, Any]) -> str:
    """The conditions under a table."""
    return (
        f"{found['cpu']}, {found['cores']} cores, Linux {found['kernel']}, Python {found['python']}; "
        f"load average before: {found['load_average_before'][0]}; {found['at']}."
    )


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
