"""What CRIU writes when it fails, and what that means to whoever runs the engine.

The texts on the left are CRIU's (4.2, its source file is named where that helps); `{0}` in a cause is the first group.
The first entry that fits a line is taken, so special ones come before general ones.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NEW_SNAPSHOT = "a new snapshot must be made"
_NEWER_CRIU = "install a newer one with: glowplug doctor --install-criu"
_FRESH_SANDBOX = "restore in a fresh sandbox"


@dataclass(frozen=True, slots=True)
class Cause:
    """One known failure. `of_process`: whether it helps to know which of the engine's processes it is."""

    pattern: re.Pattern[str]
    cause: str
    remedy: str
    of_process: bool


def _cause(pattern: str, cause: str, remedy: str, *, of_process: bool = True) -> Cause:
    return Cause(re.compile(pattern), cause, remedy, of_process)


CAUSES: Sequence[Cause] = (
    # Since Linux 6.7 the descriptor of an io_uring cannot be sent to another process, so CRIU's own code within the
    # process (parasite.c) fails before anybody can name it.
    _cause(
        r"io_uring|send_fds failed \(-22\)",
        "the process has an io_uring",
        "start it in a sandbox, where a system call filter hides io_uring, or set UV_USE_IO_URING=0",
    ),
    _cause(
        r"Can't lookup mount=\S+ for fd=(-?\d+) path=(\S+)",
        "descriptor {0} ({1}) was opened outside the sandbox",
        "close it before the engine starts; standard input must be opened inside",
    ),
    _cause(
        r"inet: (?:Connected TCP socket, consider|Connected TCP socket in image)",
        "a TCP connection is established",
        "close connections before the snapshot, or allow those within the sandbox with --tcp-established",
    ),
    _cause(
        r"inet: In-flight connection",
        "a TCP connection waits to be accepted",
        "make the snapshot while no client connects",
    ),
    _cause(
        r"unix: Can't dump half of stream unix connection\. name: (.*?); peer name: (.*)",
        "a UNIX socket ({0}) is connected to a process outside the sandbox ({1})",
        "close the connection before the snapshot",
    ),
    _cause(
        r"unix: (?:External socket|Can't dump name-less external|Unix socket \S+ with(?:out| unreachable) peer)",
        "a UNIX socket is connected to a process outside the sandbox",
        "close the connection before the snapshot",
    ),
    _cause(
        r"sockets: Can't get 1:16 opt",
        "this CRIU is too old for the kernel, which refuses SO_PASSCRED on network sockets",
        _NEWER_CRIU,
        of_process=False,
    ),
    _cause(
        r"Unexpected rt vDSO area bounds|vdso: ",
        "this CRIU does not know the kernel's vDSO",
        _NEWER_CRIU,
        of_process=False,
    ),
    _cause(
        r"sockets: BUG! Unknown socket collected \(family (\d+)\)|sockets: Unknown pair family (\d+)",
        "the process has a socket of a kind that CRIU cannot dump (address family {0})",
        "close it before the snapshot",
    ),
    _cause(
        r"File (\S+) has bad size (\d+) \(expect (\d+)\)",
        "the file /{0} has {1} bytes and had {2} when the snapshot was made",
        f"{_NEW_SNAPSHOT}; let the engine write its log to its output instead of a file",
        of_process=False,
    ),
    _cause(
        r"Can't open file (dev/shm/\S+)",
        "the shared memory /{0} is missing",
        "restore the contents of /dev/shm that belong to the image first",
        of_process=False,
    ),
    _cause(
        r"Can't open file (\S+)(?: on restore)?: No such file",
        "/{0}, which was in use when the snapshot was made, is gone",
        f"put it back, or {_NEW_SNAPSHOT}",
        of_process=False,
    ),
    _cause(
        r"Can't fork for (\d+): File exists|Pid (\d+) do not match expected",
        "the process id {0} is taken",
        _FRESH_SANDBOX,
        of_process=False,
    ),
    _cause(r"Can't bind .*Address already in use", "a port of the engine is in use", _FRESH_SANDBOX, of_process=False),
    _cause(
        r"Iptables configuration failed|iptables-restore|(?:network|connection) failed using nftables|ip6?tables",
        "neither iptables nor nftables works here",
        "install iptables, or use --network-lock skip in a private network namespace",
        of_process=False,
    ),
    _cause(
        r"kerndat_tcp_repair failed",
        "the loopback interface of the sandbox is down",
        "set it up with: ip link set lo up",
        of_process=False,
    ),
    _cause(
        r"No space left on device|Disk quota exceeded",
        "there is no room left for the image",
        "free memory or disk space, or give snapshots more (node.snapshot_memory, node.disk)",
        of_process=False,
    ),
    _cause(
        r"Cannot allocate memory",
        "there is not enough memory",
        "free memory, or raise the limit of the container",
        of_process=False,
    ),
    _cause(
        r"cpu: (?:CPU .*(?:do not match|mismatch)|FPU feature required|missing support)|x86: .*xsave",
        "this CPU lacks features of the one on which the snapshot was made",
        f"{_NEW_SNAPSHOT} on this machine",
        of_process=False,
    ),
    _cause(
        r"seccomp: |suspend seccomp|SUSPEND_SECCOMP|Dumping seccomp filters",
        "the kernel does not let CRIU handle the process's system call filter",
        "use a kernel with CONFIG_CHECKPOINT_RESTORE and CONFIG_SECCOMP_FILTER, and a container without its own filter",
    ),
    _cause(
        r"Unseizable non-zombie (\d+) found",
        "another program traces the process, or ptrace is forbidden",
        "end debuggers, strace and profilers; in a container allow SYS_PTRACE",
    ),
    _cause(
        r"Can't dump ghost file (\S+) of (\d+) size",
        "the deleted file {0} of {1} bytes is still open",
        "close it before the snapshot, or raise --ghost-limit",
    ),
    _cause(
        r"The \d+ mount is not found for ghost",
        "a deleted file of an unknown mount is still open",
        "close it before the snapshot",
    ),
    _cause(
        r"Can't create link remap for (\S+)\. Use",
        "the file {0} was deleted under this name and lives on under another",
        "allow --link-remap",
    ),
    _cause(r"Some file locks are hold", "the engine holds file locks", "allow --file-locks", of_process=False),
    _cause(
        r"Can't dump file (\d+) of that type \[\d+\] \(chr 195:",
        "the process still uses a GPU",
        "its GPU state must be checkpointed first, which needs an NVIDIA driver of at least version 570",
    ),
    _cause(
        r"Can't dump file \d+ of that type \[\d+\] \((?:anon )?(.*)\)|Unknown shit \d+ \((.*)\)",
        "the process uses {0}, which CRIU cannot dump",
        "have the engine do without it",
    ),
    _cause(
        r"A session leader of (?:zombie process )?\d+\(\d+\) is outside of its pid namespace",
        "the process belongs to a session that began outside the sandbox",
        "start the engine in a session of its own",
    ),
    _cause(r"tty: ", "the process holds a terminal", "start the engine without a terminal"),
    _cause(
        r"mnt(?:-v2)?: (.*)",
        "the mounts of the sandbox cannot be handled ({0})",
        "dump from inside the sandbox's mount namespace, without it",
        of_process=False,
    ),
    _cause(
        r"Head magic doesn't match for (\S+)|Unexpected EOF on (\S+)|[Ii]mages? (?:file )?(?:was )?(?:corrupt|truncat)"
        r"|Reached EOF unexpectedly|image corruption|Corrupted|Can't open core data",
        "the image is damaged",
        f"it must be removed; {_NEW_SNAPSHOT}",
        of_process=False,
    ),
    _cause(
        r"killed by signal (\d+)",
        "CRIU itself ended by signal {0} while restoring a process",
        f"the image is damaged or the memory ran out; {_NEW_SNAPSHOT}",
        of_process=False,
    ),
    _cause(
        r"Can't open dir (\S+?): ",
        "the folder {0} cannot be opened",
        "make it before CRIU starts, where the sandbox can see it",
        of_process=False,
    ),
    _cause(
        r"(?:Unable to detach from|Unable to interrupt task:) (\d+)\b.*No such process",
        "the process {0} does not exist",
        "the engine ended meanwhile; see its output",
        of_process=False,
    ),
    _cause(
        r"You need to be root|CRIU needs to have the CAP_|Operation not permitted|Permission denied",
        "a privilege is missing",
        "run Glowplug as root, in a container --privileged",
        of_process=False,
    ),
)
