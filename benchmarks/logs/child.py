"""Reads one log in a process of its own and prints what that took, as JSON."""

import json
import sys
import time
from pathlib import Path

from glowplug.profiling.logfile import LogError, read_file


def main() -> None:
    """Read the log that is named by the first argument."""
    begun = time.perf_counter()
    try:
        report = read_file(sys.argv[1])
    except LogError:
        report = None
    seconds = time.perf_counter() - begun
    starts = () if report is None else report.starts
    result = {"seconds": seconds, "starts": len(starts), "outcome": starts[-1].outcome if starts else ""}
    print(json.dumps({**result, "peak_mib": _peak_mib()}))


def _peak_mib() -> float:
    """The most memory this process ever had; `getrusage` would count that of the process which started it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    main()
