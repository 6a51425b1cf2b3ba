"""Standing still: what parked replicas are made of."""

import subprocess
import sys
import uuid
from pathlib import Path

from glowplug.checkpoint import cgroups, processes
from glowplug.checkpoint.freeze_error import FreezeError
from glowplug.checkpoint.freezer import freezer_closed, freezer_for
from glowplug.node.doctor.report import Finding, State, split

_TIMEOUT = 5.0
_PROGRAM = "import time\nprint(flush=True)\ntime.sleep(60)"


def freezer() -> Finding:
    """Freeze and thaw a process of our own, with the kernel's freezer where we may make cgroups, else with signals."""
    if (closed := freezer_closed()) is not None:
        return Finding("freezer", State.MISSING, *split(closed))
    hierarchy = cgroups.freezable()
    kind = f"cgroup v{hierarchy.version}" if hierarchy else "signals"
    group = hierarchy.own / f"glowplug-doctor-{uuid.uuid4().hex[:12]}" if hierarchy else None
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", _PROGRAM], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            _freeze_and_thaw(process.pid, group)
        except (FreezeError, OSError) as error:
            return Finding("freezer", State.MISSING, f"{kind}: {error}", values={"kind": kind})
        finally:
            process.kill()
            process.wait()
            if group is not None:
                cgroups.remove(group)
    if group is not None:
        return Finding("freezer", State.OK, kind, values={"kind": kind})
    remedy = "allow cgroups below ours (root, or Delegate=yes under systemd) for the kernel's freezer"
    return Finding("freezer", State.LIMITED, "signals to each process", remedy, {"kind": kind})


def _freeze_and_thaw(pid: int, group: Path | None) -> None:
    """Raises FreezeError, OSError."""
    if group is not None:
        group.mkdir()
        (group / "cgroup.procs").write_text(str(pid))
    freezer = freezer_for(lambda: [pid] if processes.alive(pid) else [], group)
    freezer.freeze(_TIMEOUT)
    freezer.thaw(_TIMEOUT)
