"""Under which conditions numbers were taken: the machine and its software for a whole run, the moment for a repeat."""

import hashlib
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glowplug import __version__
from glowplug.node.memory import host_memory
from glowplug.node.pagecache import cached_share

_NOTABLE_FLAGS = (
    "sse4_2",
    "avx",
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512_bf16",
    "avx512_vnni",
    "amx_bf16",
    "amx_tile",
)
"""What the kernels of engines choose by; ARM's names are shown as they are."""

_GPU_TIMEOUT = 20.0
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
_HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@dataclass(frozen=True, slots=True)
class Conditions:
    """What holds for a whole run.

    Attributes:
        machine: the hardware and the kernel.
        software: what runs the bench; versions of engines come with their cold starts.
        settings: what an administrator may have set.
    """

    machine: Mapping[str, Any]
    software: Mapping[str, Any]
    settings: Mapping[str, Any]


def conditions() -> Conditions:
    """Those of this machine. Two runs may be compared if machine and software are equal."""
    return Conditions(_machine(), _software(), _settings())


def moment(weights: Sequence[Path]) -> Mapping[str, Any]:
    """What is different from repeat to repeat: load, free memory, and how much of the weights is in the page cache."""
    return {
        "load": [round(value, 2) for value in os.getloadavg()],
        "memory_available": host_memory().available,
        "weights_cached": share_cached(weights),
    }


def share_cached(files: Sequence[Path]) -> float | None:
    """Part of files that is in the page cache, by size; None if there are none or the kernel does not say."""
    held = total = 0.0
    for path in files:
        share = cached_share(path)
        if share is None:
            return None
        size = path.stat().st_size
        held, total = held + share * size, total + size
    return round(held / total, 4) if total else None


def _machine() -> Mapping[str, Any]:
    text = _read(Path("/proc/cpuinfo"))
    flags = sorted(set((_field(text, "flags") or _field(text, "Features") or "").split()))
    return {
        "host": socket.gethostname(),
        "cpu": _field(text, "model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "flags": [flag for flag in _NOTABLE_FLAGS if flag in flags] or flags[:20],
        "flags_digest": hashlib.sha256(" ".join(flags).encode()).hexdigest()[:12],
        "memory_gib": round(host_memory().total / 1024**3),
        "kernel": platform.release(),
        "gpus": _gpus(),
    }


def _software() -> Mapping[str, Any]:
    return {"glowplug": __version__, "python": platform.python_version(), "implementation": sys.implementation.name}


def _settings() -> Mapping[str, Any]:
    return {
        "governor": _read(_GOVERNOR).strip() or None,
        "transparent_huge_pages": next(iter(re.findall(r"\[(\w+)\]", _read(_HUGE_PAGES))), None),
        "swap": f"{_swap() / 1024**3:.1f} GiB",
        "bytecode": "not kept (PYTHONDONTWRITEBYTECODE)" if os.environ.get("PYTHONDONTWRITEBYTECODE") else "kept",
    }


def _gpus() -> Sequence[Mapping[str, str]]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = [program, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=_GPU_TIMEOUT, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [line.split(", ") for line in done.stdout.splitlines()]
    return [{"name": row[0], "memory": row[1], "driver": row[2]} for row in rows if len(row) == 3]


def _swap() -> int:
    found = re.search(r"^SwapTotal:\s+(\d+) kB", _read(Path("/proc/meminfo")), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _field(text: str, name: str) -> str | None:
    found = re.search(rf"^{name}\s*: (.*)$", text, re.MULTILINE)
    return found[1].strip() if found else None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
