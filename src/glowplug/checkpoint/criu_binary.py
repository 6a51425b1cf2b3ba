"""Which CRIU this machine has, how to start it, and whether it may do its work here."""

import os
import re
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

MINIMUM = (4, 2, 0)
"""The oldest version that can be used. Since Linux 6.16 a socket refuses SO_PASSCRED unless it is a UNIX one, and CRIU
before 4.2 cannot dump any TCP socket on such a kernel (`sockets: Can't get 1:16 opt`)."""

VARIABLE = "GLOWPLUG_CRIU"
_INSTALL = "run: glowplug doctor --install-criu"
_VERSION = re.compile(r"^Version:\s*v?(\d[\d.]*)", re.MULTILINE)
_NEEDED_CAPABILITIES = {12: "NET_ADMIN", 19: "SYS_PTRACE", 21: "SYS_ADMIN"}  # numbers: linux/capability.h
_PATIENCE = 10.0  # seconds for `criu --version`, which takes some milliseconds


@dataclass(frozen=True, slots=True)
class Criu:
    """A CRIU that runs. `argv` starts it; what it is to do follows. `origin` says where it was found, for people."""

    argv: tuple[str, ...]
    version: tuple[int, int, int]
    origin: str

    @property
    def version_text(self) -> str:
        """The version as it is written, such as 4.2.1."""
        return ".".join(map(str, self.version))


def prefix() -> Path:
    """The folder of the CRIU that `glowplug doctor --install-criu` fetches for this user."""
    data = os.environ.get("XDG_DATA_HOME", "")
    if data.startswith("/"):
        return Path(data, "glowplug", "criu")
    try:
        return Path.home() / ".local" / "share" / "glowplug" / "criu"
    except RuntimeError:  # a user without a home directory
        return Path("/var/lib/glowplug/criu")


def find() -> Criu | None:
    """The first that runs of: what $GLOWPLUG_CRIU names, the private prefix, `criu` on the PATH. None if there is none.

    Starts it to ask for its version, which takes some milliseconds, if its file is not the one that was asked last. A
    file or prefix that another user could have written is passed over: CRIU runs with all of this process's privileges.
    """
    if (named := os.environ.get(VARIABLE)) and (criu := _ask((named,), VARIABLE)):
        return criu
    if criu := in_prefix(prefix() / "current"):
        return criu
    on_path = shutil.which("criu", path=f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin")
    return _ask((on_path,), "system package" if on_path.startswith("/usr/") else on_path) if on_path else None


def in_prefix(root: Path) -> Criu | None:
    """The CRIU of packages unpacked below `root`, started through the dynamic loader and the C library beside it."""
    try:
        root_is_ours = _only_ours(root.stat())
    except OSError:
        return None
    program = next(
        (file for folder in ("usr/sbin", "sbin", "usr/bin") if (file := root / folder / "criu").exists()), None
    )
    loader = next((file for pattern in _LOADERS for file in sorted(root.glob(pattern))), None)
    folders = [folder for pattern in _LIBRARIES for folder in sorted(root.glob(pattern)) if folder.is_dir()]
    if not (root_is_ours and program and loader):
        return None
    argv = (str(loader), "--library-path", ":".join(map(str, folders)), str(program))
    return _ask(argv, f"private prefix {root.parent}")


def parsed(version: str) -> tuple[int, int, int]:
    """The three numbers of `4.2`, `4.2.1` or of a package's version such as `1:4.2.1-1`; missing ones are 0."""
    numbers = re.match(r"(?:\d+:)?(\d+)(?:\.(\d+))?(?:\.(\d+))?", version)
    major, minor, patch = numbers.groups(default="0") if numbers else ("0", "0", "0")
    return int(major), int(minor), int(patch)


def criu_closed() -> str | None:
    """None if CRIU can be used by this process, else why not and the remedy, in one sentence."""
    criu = find()
    if criu is None:
        return f"CRIU is not installed; {_INSTALL}"
    if criu.version < MINIMUM:
        wanted = ".".join(map(str, MINIMUM[:2]))
        return f"CRIU {criu.version_text} ({criu.origin}) is too old, {wanted} or newer is needed; {_INSTALL}"
    if os.geteuid() != 0:
        return "CRIU needs root; start the server as root, or in a privileged container"
    if missing := _missing_capabilities():
        return f"CRIU needs the capabilities {', '.join(missing)}; start the container with --privileged"
    return None


# Packages of distributions that merged /lib into /usr hold the loader below usr/lib, others below lib or lib64; on
# x86-64, usr/lib64 has only a link to it.
_LOADERS = tuple(
    f"{folder}/{name}"
    for folder in ("usr/lib/*-linux-gnu*", "lib/*-linux-gnu*", "usr/lib", "lib", "usr/lib64", "lib64")
    for name in ("ld-linux*.so.*", "ld64.so.*")
)
_LIBRARIES = ("usr/lib/*-linux-gnu*", "lib/*-linux-gnu*", "usr/lib", "lib")


_known: dict[tuple[str, ...], tuple[tuple[int, ...], str]] = {}
"""By how it is started: the state of the file that was asked, and its answer."""


def _ask(argv: tuple[str, ...], origin: str) -> Criu | None:
    try:
        status = Path(argv[-1]).stat()
        if not _only_ours(status):
            return None
        state = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        known = _known.get(argv)
        answer = known[1] if known is not None and known[0] == state else _version_of(argv)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    match = _VERSION.search(answer)
    if match is None:
        return None
    _known[argv] = (state, answer)
    return Criu(argv, parsed(match[1]), origin)


def _version_of(argv: tuple[str, ...]) -> str:
    """What `criu --version` prints. Raises OSError, SubprocessError, UnicodeDecodeError."""
    return subprocess.run(
        (*argv, "--version"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=True,
    ).stdout


def _only_ours(status: os.stat_result) -> bool:
    return status.st_uid in (0, os.geteuid()) and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _missing_capabilities() -> list[str]:
    text = Path("/proc/self/status").read_text()
    match = re.search(r"^CapEff:\s*([0-9a-f]+)$", text, re.MULTILINE)
    held = int(match[1], 16) if match else 0
    return [name for bit, name in _NEEDED_CAPABILITIES.items() if not held >> bit & 1]
