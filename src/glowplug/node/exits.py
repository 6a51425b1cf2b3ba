"""Why an engine ended: exit code, signal, or no memory left."""

import re
from pathlib import Path

from glowplug.checkpoint import cgroups
from glowplug.tiers.base import ExitCause

_SIGKILL = 9


class OomWatch:
    """Tells whether the kernel's out-of-memory killer had a part in an engine's end.

    The counter of the engine's own cgroup is proof. It exists only where the memory controller reaches that group.
    Otherwise a wider counter that rose since the last end of an engine has to do: that of the server's own cgroup for
    any bad end, or, if there is none, that of the whole machine (/proc/vmstat) for an end by SIGKILL.
    """

    def __init__(self) -> None:
        self._group = next(
            (
                hierarchy.own
                for hierarchy in cgroups.hierarchies()
                if hierarchy.controller in ("", "memory") and cgroups.oom_kills(hierarchy.own) is not None
            ),
            None,
        )
        self._seen = self._count()

    def ended(self, cause: ExitCause, group: Path | None) -> ExitCause:
        """The cause with `out_of_memory` filled in. Call once per engine, before its cgroup is deleted."""
        before, self._seen = self._seen, self._count()
        rose = self._seen > before
        exact = cgroups.oom_kills(group) if group is not None else None
        if exact is not None:
            out_of_memory = exact > 0
        elif self._group is not None:
            out_of_memory = rose and cause.code != 0
        else:
            out_of_memory = rose and cause.signal == _SIGKILL
        return ExitCause(cause.code, cause.signal, out_of_memory)

    def _count(self) -> int:
        return _machine_oom_kills() if self._group is None else cgroups.oom_kills(self._group) or 0


def _machine_oom_kills() -> int:
    try:
        match = re.search(r"^oom_kill (\d+)$", Path("/proc/vmstat").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(match[1]) if match else 0
