"""Control groups that hold one engine's processes, in a version 2 hierarchy or the version 1 freezer hierarchy.

Sources: cgroups(7); Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/freezer-subsystem.rst of the kernel.
"""

import os
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """A mounted cgroup hierarchy. `own` is the directory of the group that this process is in.

    `controller` is empty for version 2.
    """

    controller: str
    mount: Path
    own: Path

    @property
    def version(self) -> int:
        """1 or 2."""
        return 1 if self.controller else 2


def hierarchies(proc: Path = Path("/proc/self")) -> Sequence[Hierarchy]:
    """All hierarchies that are mounted here, version 2 first."""
    own = _own_groups((proc / "cgroup").read_text())
    found: list[Hierarchy] = []
    for mount in _cgroup_mounts((proc / "mountinfo").read_text()):
        controllers = [""] if mount.kind == "cgroup2" else [name for name in mount.options if name in own]
        for controller in controllers:
            if controller in own:
                found.append(Hierarchy(controller, mount.directory, _inside(mount, own[controller])))
    return sorted(found, key=lambda hierarchy: hierarchy.controller)


def freezable(found: Sequence[Hierarchy] | None = None) -> Hierarchy | None:
    """The hierarchy in which this process may make groups that can be frozen, or None.

    Version 2 comes first, because only it can be waited for and killed as a whole. Whether groups can be made is found
    out by making one: mount options, ownership and namespaces all have a say.
    """
    for hierarchy in hierarchies() if found is None else found:
        if hierarchy.controller in ("", "freezer") and _can_make_group(hierarchy):
            return hierarchy
    return None


def _can_make_group(hierarchy: Hierarchy) -> bool:
    probe = hierarchy.own / f"glowplug-probe-{uuid.uuid4().hex[:12]}"
    try:
        probe.mkdir()
    except OSError:
        return False
    try:
        freezer = probe / ("cgroup.freeze" if hierarchy.version == 2 else "freezer.state")
        # To move a process into the group, the list of the common ancestor must be writable too (cgroup-v2.rst).
        return os.access(freezer, os.W_OK) and os.access(hierarchy.own / "cgroup.procs", os.W_OK)
    finally:
        probe.rmdir()


def members(group: Path) -> list[int]:
    """Pids in the group, dead ones not yet collected included; empty if it is gone."""
    try:
        return [int(line) for line in (group / "cgroup.procs").read_text().split()]
    except OSError:
        return []


def kill(group: Path) -> None:
    """Send SIGKILL to every process in the group, frozen or not. They may take a moment to end."""
    try:
        (group / "cgroup.kill").write_text("1")  # version 2 since Linux 5.14
        return
    except OSError:
        pass
    for pid in members(group):
        try:
            os.kill(pid, 9)
        except ProcessLookupError:
            continue
    # In version 1 even SIGKILL waits for the thaw. It is pending already, so the process does no further work.
    state = group / "freezer.state"
    if state.exists():
        state.write_text("THAWED")


def remove(group: Path) -> bool:
    """Delete an empty group; whether it is gone now."""
    try:
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def oom_kills(group: Path) -> int | None:
    """Processes of the group that the kernel ended because memory ran out; None if it does not count them here."""
    for name in ("memory.events", "memory.oom_control"):
        try:
            text = (group / name).read_text()
        except OSError:
            continue
        if match := re.search(r"^oom_kill (\d+)$", text, re.MULTILINE):
            return int(match[1])
    return None


@dataclass(frozen=True, slots=True)
class _Mount:
    kind: str
    directory: Path
    root: str
    options: Sequence[str]


def _cgroup_mounts(mountinfo: str) -> Sequence[_Mount]:
    mounts: list[_Mount] = []
    for line in mountinfo.splitlines():
        place, _, source = line.partition(" - ")
        kind, _, options = source.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            fields = place.split()
            mounts.append(_Mount(kind, Path(_unescape(fields[4])), _unescape(fields[3]), options.split(",")))
    return mounts


def _own_groups(text: str) -> dict[str, str]:
    """Path of this process in every hierarchy, by controller; the key of version 2 is empty."""
    groups: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            groups[controller] = path
    return groups


def _inside(mount: _Mount, path: str) -> Path:
    # In a container the mount may show only a part of the hierarchy, while the path counts from the whole one's root.
    relative = os.path.relpath(path, mount.root)
    return mount.directory if relative.startswith("..") else mount.directory / relative


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
