"""Packages of a Debian or Ubuntu archive, fetched with apt but without touching the system's packages.

Everything that apt keeps (lists, downloads, the database of what is installed) lies in a folder of our own, where
nothing is installed, so that the answer is a package with all its dependencies down to the C library. Only the
machine's way to the archive is used as it is: mirror, proxy, certificates, passwords. See apt.conf(5), sources.list(5).
"""

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_FETCH_TIME = 600.0
"""Seconds for one call of apt. A release's list is 10 MB, CRIU with its libraries 9 MB; apt itself gives up
earlier when nothing arrives at all."""

_SETTINGS = """\
Dir::State "{folder}/state";
Dir::State::lists "{folder}/lists";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
Dir::Cache::archives "{folder}/archives";
Dir::Log "{folder}/log";
Dir::Etc::sourcelist "{sources}";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear DPkg::Pre-Install-Pkgs;
#clear APT::Default-Release;
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Get::AllowUnauthenticated "false";
APT::Get::Assume-Yes "true";
APT::Update::Error-Mode "any";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::Languages "none";
Acquire::Retries "1";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
"""
# The hooks would tell the desktop that the system's lists changed, which they did not.


class AptError(Exception):
    """Packages could not be had; says why in one sentence."""


@dataclass(frozen=True, slots=True)
class Release:
    """One release in an archive, such as `testing` at a mirror, with the keyring whose keys must have signed it."""

    mirror: str
    suite: str
    components: str
    keyring: Path


def machine_mirrors() -> Sequence[tuple[str, str]]:
    """Mirror and suite of every archive in the machine's apt configuration, in its order.

    `apt-get indextargets` knows only what was fetched before, which in a fresh container is nothing. So apt is asked
    what it would fetch; nothing is fetched. Raises AptError.
    """
    # A lists folder that is no folder: otherwise apt offers only what has changed since.
    printed = _run(("apt-get", "update", "--print-uris", "-o", "Dir::State::lists=/dev/null/none"))
    found = re.findall(r"^'(\S+?)/+dists/(\S+?)/InRelease'", printed, re.MULTILINE)
    return list(dict.fromkeys(found))


class PrivateApt:
    """apt over one release, with everything it writes below `folder` (which must exist)."""

    def __init__(self, folder: Path, release: Release) -> None:
        self._folder = folder
        self._release = release
        for name in ("state", "lists/partial", "cache", "archives/partial", "log"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        # Of an archive in a folder, apt would leave the packages where they are; `copy:` is the same archive, fetched.
        mirror = re.sub(r"^file:", "copy:", release.mirror)
        sources = folder / "sources.list"
        sources.write_text(f"deb [signed-by={release.keyring}] {mirror} {release.suite} {release.components}\n")
        self._settings = folder / "apt.conf"
        self._settings.write_text(_SETTINGS.format(folder=folder, sources=sources))

    def update(self) -> None:
        """Fetch the release's list of packages and check its signature. Raises AptError."""
        self._apt("apt-get", "update")

    def candidate(self, package: str) -> str | None:
        """The version of a package in the release, None if it has none. Raises AptError."""
        match = re.search(r"^  Candidate: (\d\S*)$", self._apt("apt-cache", "policy", package), re.MULTILINE)
        return match[1] if match else None

    def download(self, package: str) -> Sequence[Path]:
        """Fetch a package and all that it depends on, every file checked against the signed list. Raises AptError."""
        self._apt("apt-get", "install", "--download-only", package)
        return sorted((self._folder / "archives").glob("*.deb"))

    def _apt(self, program: str, *arguments: str) -> str:
        try:
            return _run((program, "-c", str(self._settings), *arguments))
        except AptError as error:
            raise AptError(f"{self._release.suite} at {self._release.mirror}: {error}") from None


def unpack(package: Path, root: Path) -> None:
    """Unpack the files of a .deb below `root`; none of its scripts runs. Raises AptError."""
    _run(("dpkg", "-x", str(package), str(root)))


def _run(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            command,
            env=os.environ | {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_FETCH_TIME,
        )
    except FileNotFoundError:
        raise AptError(f"the program {command[0]} is missing") from None
    except subprocess.TimeoutExpired:
        raise AptError(f"{command[0]} did not finish within {_FETCH_TIME:.0f} s") from None
    if done.returncode != 0:
        raise AptError(_reason(done.stderr) or f"{command[0]} ended with code {done.returncode}")
    return done.stdout


def _reason(errors: str) -> str:
    """apt's first error; a cause that it only warns of (a signature that is not good) goes before its consequence."""
    lines = errors.splitlines()
    signature = [line for line in lines if re.search(r"GPG error|is not signed|Hash Sum mismatch|NO_PUBKEY", line)]
    chosen = signature or [line for line in lines if line.startswith("E: ")] or [line for line in lines if line.strip()]
    return re.sub(r"^[EW]: ", "", chosen[0]).strip().rstrip(".") if chosen else ""
