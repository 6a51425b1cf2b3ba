"""Fetch CRIU with all its libraries from the distribution into a private prefix. Nothing of the system changes.

Stable releases carry a CRIU that is too old for later kernels, so a newer release's package is taken, together with its
own C library and dynamic loader: they start it, and no other program ever sees them.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from glowplug.checkpoint import criu_binary
from glowplug.checkpoint.criu_binary import MINIMUM, Criu
from glowplug.checkpoint.private_apt import AptError, PrivateApt, Release, machine_mirrors, unpack

_KEYRINGS = Path("/usr/share/keyrings")
_NEWER_SUITES = {"debian": ("testing", "unstable"), "ubuntu": ("devel",)}
_COMPONENTS = {"debian": "main", "ubuntu": "main universe"}
_COMMANDS = {
    "fedora": "dnf install criu",
    "rhel": "dnf install criu",
    "arch": "pacman -S criu",
    "suse": "zypper install criu",
    "alpine": "apk add criu",
    "gentoo": "emerge sys-process/criu",
}


class CannotInstall(Exception):
    """CRIU could not be installed; says why in one sentence, with the remedy."""


def install(told: Callable[[str], None], releases: Sequence[Release] | None = None) -> Criu:
    """Install the first CRIU that is new enough, from `releases` or from this machine's distribution.

    Blocking, some seconds. `told` is given each step as it begins. What was installed before stays in use until the new
    one has shown that it runs, and stays if anything fails; servers that run may go on using the same path.

    Raises:
        CannotInstall: another system, offline, a signature that is not good, no release with a new enough CRIU.
    """
    with _locked(criu_binary.prefix()) as prefix:
        reasons: list[str] = []
        for release in distribution_releases() if releases is None else releases:
            told(f"looking for CRIU in {release.suite} at {release.mirror}")
            _clear(prefix)
            try:
                return _install_from(release, prefix, told)
            except AptError as error:
                reasons.append(str(error))
            finally:
                _clear(prefix)
        raise CannotInstall(f"CRIU was not installed: {'; '.join(reasons)}")


def distribution_releases(os_release: Path = Path("/etc/os-release")) -> Sequence[Release]:
    """Where this machine's distribution offers CRIU: its own release first, then the ones in the making.

    Raises:
        CannotInstall: the distribution is neither Debian nor Ubuntu nor made from them; names its own command.
    """
    facts = _os_release(os_release)
    likes = [facts.get("ID", ""), *facts.get("ID_LIKE", "").split()]
    name = next((like for like in likes if like in _NEWER_SUITES), None)
    if name is None:
        command = next((_COMMANDS[like] for like in likes if like in _COMMANDS), None)
        how = f"run: sudo {command}" if command else "install CRIU 4.2 or newer with its package manager"
        raise CannotInstall(f"On {facts.get('PRETTY_NAME', 'this system')}, {how}")
    keyring = _keyring(name)
    try:
        archives = machine_mirrors()
    except AptError as error:
        raise CannotInstall(f"CRIU was not installed: the mirrors of this machine are not known: {error}") from None
    codename = facts.get("VERSION_CODENAME", "")
    own = [(mirror, suite) for mirror, suite in archives if suite in (codename, *_NEWER_SUITES[name], "sid")]
    # An archive of somebody else may use the same names; the one of the distribution mostly bears its name.
    own.sort(key=lambda archive: name not in archive[0])
    if not own:
        raise CannotInstall(f"CRIU was not installed: no mirror of {name.title()} is in the configuration of apt")
    suites = list(dict.fromkeys((own[0][1], *_NEWER_SUITES[name])))
    return [Release(own[0][0], suite, _COMPONENTS[name], keyring) for suite in suites]


def _install_from(release: Release, prefix: Path, told: Callable[[str], None]) -> Criu:
    with tempfile.TemporaryDirectory(prefix="glowplug-apt-") as folder:
        # When root calls apt, it downloads as the user _apt, who must get at the folder.
        Path(folder).chmod(0o755)
        apt = PrivateApt(Path(folder), release)
        apt.update()
        version = apt.candidate("criu")
        if version is None or criu_binary.parsed(version) < MINIMUM:
            wanted = ".".join(map(str, MINIMUM[:2]))
            raise AptError(f"{release.suite} has {f'CRIU {version}' if version else 'no CRIU'}, {wanted} is needed")
        told(f"fetching CRIU {version}")
        packages = apt.download("criu")
        fresh = Path(tempfile.mkdtemp(prefix=f"{version.replace(':', '-')}.", dir=prefix))
        fresh.chmod(0o755)
        told(f"unpacking {len(packages)} packages to {fresh}")
        for package in packages:
            unpack(package, fresh)
    criu = criu_binary.in_prefix(fresh)
    if criu is None or criu.version < MINIMUM:
        raise AptError(f"CRIU {version} of {release.suite} does not run on this machine")
    _publish(fresh, prefix)
    published = criu_binary.in_prefix(prefix / "current")
    assert published is not None, "what ran a moment ago runs under its other name"
    return published


def _publish(fresh: Path, prefix: Path) -> None:
    link = prefix / ".current"
    link.symlink_to(fresh.name)
    link.replace(prefix / "current")


def _clear(prefix: Path) -> None:
    """Remove what is neither in use nor the lock: earlier versions, and what a killed installation left."""
    link = prefix / "current"
    kept = {"current", ".lock"}
    if link.is_symlink():
        kept.add(link.readlink().name)
    for entry in prefix.iterdir():
        if entry.name in kept:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


@contextmanager
def _locked(prefix: Path) -> Generator[Path]:
    try:
        prefix.mkdir(parents=True, exist_ok=True)
        prefix.chmod(0o755)
        descriptor = os.open(prefix / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CannotInstall(f"CRIU was not installed: {prefix} cannot be written ({error.strerror})") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield prefix
    except OSError as error:
        raise CannotInstall(f"CRIU was not installed: {error.strerror} ({error.filename or prefix})") from None
    finally:
        os.close(descriptor)


def _keyring(name: str) -> Path:
    for suffix in ("pgp", "gpg"):
        keyring = _KEYRINGS / f"{name}-archive-keyring.{suffix}"
        if keyring.exists():
            return keyring
    raise CannotInstall(
        f"CRIU was not installed: the keys of {name.title()} are missing; run: apt-get install {name}-archive-keyring"
    )


def _os_release(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {key.strip(): value.strip().strip("\"'") for key, _, value in pairs}
