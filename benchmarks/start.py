"""How long a second `make serve` takes until it serves."""

import os
import signal
import subprocess
import time
from typing import Any

from benchmarks.load.processes import percentile


def measure_starts(repeats: int) -> dict[str, Any]:
    """Seconds from the command to the line that names the URL; everything is installed already."""
    seconds: list[float] = []
    for _ in range(repeats):
        began = time.perf_counter()
        make = subprocess.Popen(
            ["make", "--silent", "serve", "PORT=0"], stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert make.stdout is not None
        line = make.stdout.readline()
        seconds.append(time.perf_counter() - began)
        os.killpg(make.pid, signal.SIGINT)
        make.stdout.read()
        make.wait()
        assert line.startswith("Glowplug serves"), line
    return {
        "n": repeats,
        "seconds": {"median": round(percentile(seconds, 0.5), 3), "max": round(max(seconds), 3)},
    }
