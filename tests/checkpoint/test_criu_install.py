"""CRIU from a package archive: real apt, an archive of our own in a folder, signed by a key of our own."""

import dataclasses
import multiprocessing
import os
import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from glowplug.checkpoint import criu_binary
from glowplug.checkpoint.criu_install import CannotInstall, distribution_releases, install
from glowplug.checkpoint.private_apt import Release
from tests.checkpoint import archive as archives
from tests.checkpoint.archive import Archive

pytestmark = pytest.mark.slow

needs_apt = pytest.mark.skipif(
    bool(archives.missing) or platform.machine() != "x86_64", reason=f"needs {', '.join(archives.PROGRAMS)} on x86-64"
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.delenv(criu_binary.VARIABLE, raising=False)
    return tmp_path


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that apt's own user can read; pytest's are for their owner alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def archive(public: Path) -> Iterator[Archive]:
    made = Archive(public / "archive")
    yield made
    made.close()


def release(archive: Archive) -> Release:
    return Release(archive.address, "testing", "main", archive.keyring)


def installed(archive: Archive) -> criu_binary.Criu:
    return install(lambda step: None, [release(archive)])


def left() -> list[str]:
    """What lies in the prefix besides the lock."""
    return sorted(entry.name for entry in criu_binary.prefix().iterdir() if entry.name != ".lock")


@needs_apt
def test_an_installed_criu_is_found_and_started_through_its_own_loader(archive: Archive) -> None:
    steps: list[str] = []
    criu = install(steps.append, [release(archive)])
    assert criu == criu_binary.find()
    assert criu.version == (4, 2, 1)
    assert criu.argv[0].endswith("/current/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")
    assert criu.argv[-1].endswith("/current/usr/sbin/criu")
    assert str(criu_binary.prefix()) in criu.origin
    assert any("4.2.1-1" in step for step in steps)


@needs_apt
def test_a_second_installation_replaces_the_first_under_the_same_path(archive: Archive) -> None:
    first = installed(archive)
    before = (criu_binary.prefix() / "current").readlink()
    assert installed(archive).argv == first.argv
    after = (criu_binary.prefix() / "current").readlink()
    assert before != after
    assert left() == sorted(["current", str(after)])


@needs_apt
def test_a_package_changed_after_the_list_was_signed_is_refused(archive: Archive) -> None:
    content = bytearray(archive.packages[0].read_bytes())
    content[-1] ^= 1
    archive.packages[0].write_bytes(content)
    with pytest.raises(CannotInstall, match="Hash Sum mismatch"):
        installed(archive)
    assert left() == []


@needs_apt
def test_a_list_changed_after_it_was_signed_is_refused(archive: Archive) -> None:
    index = archive.folder / "dists/testing/main/binary-amd64/Packages.gz"
    content = bytearray(index.read_bytes())
    content[-1] ^= 1
    index.write_bytes(content)
    with pytest.raises(CannotInstall, match="Hash Sum mismatch"):
        installed(archive)
    assert left() == []


@needs_apt
def test_an_archive_signed_by_a_stranger_is_refused(archive: Archive) -> None:
    archive.new_key("stranger")
    archive.sign("stranger")
    with pytest.raises(CannotInstall, match="NO_PUBKEY"):
        installed(archive)
    assert left() == []


@needs_apt
def test_a_release_file_changed_after_signing_is_refused(archive: Archive) -> None:
    signed = archive.folder / "dists/testing/InRelease"
    signed.write_text(signed.read_text().replace("Label: Test", "Label: Best"))
    with pytest.raises(CannotInstall, match=r"(?i)signature|BADSIG|not signed"):
        installed(archive)
    assert left() == []


@needs_apt
def test_an_unsigned_archive_is_refused(archive: Archive) -> None:
    (archive.folder / "dists/testing/InRelease").unlink()
    (archive.folder / "dists/testing/Release").write_text(archive.release)
    with pytest.raises(CannotInstall, match="not signed"):
        installed(archive)
    assert left() == []


@needs_apt
def test_a_refused_update_leaves_what_was_installed(archive: Archive) -> None:
    first = installed(archive)
    archive.new_key("stranger")
    archive.sign("stranger")
    with pytest.raises(CannotInstall):
        installed(archive)
    assert criu_binary.find() == first


@needs_apt
def test_a_release_with_an_old_criu_is_passed_over(archive: Archive, public: Path) -> None:
    old = Archive(public / "old", version="3.17.1-2")
    try:
        assert install(lambda step: None, [release(old), release(archive)]).version == (4, 2, 1)
        with pytest.raises(CannotInstall, match=r"testing has CRIU 3\.17\.1-2, 4\.2 is needed"):
            installed(old)
    finally:
        old.close()


@needs_apt
def test_a_package_that_does_not_run_here_is_not_kept(public: Path) -> None:
    broken = Archive(public / "broken", says="no such instruction")
    try:
        with pytest.raises(CannotInstall, match="does not run on this machine"):
            installed(broken)
    finally:
        broken.close()
    assert left() == []


@needs_apt
@pytest.mark.slow
def test_offline_is_one_sentence(archive: Archive) -> None:
    nowhere = dataclasses.replace(release(archive), mirror="http://127.0.0.1:9/debian")
    with pytest.raises(CannotInstall) as raised:
        install(lambda step: None, [nowhere])
    assert "testing at http://127.0.0.1:9/debian" in str(raised.value)
    assert "\n" not in str(raised.value)


@needs_apt
def test_leftovers_of_a_killed_installation_go_with_the_next(archive: Archive) -> None:
    prefix = criu_binary.prefix()
    (prefix / "4.2.1-1.half" / "usr").mkdir(parents=True)
    (prefix / ".current").symlink_to("4.2.1-1.half")
    installed(archive)
    assert len(left()) == 2
    assert "4.2.1-1.half" not in left()


def _install(address: str, keyring: str) -> None:
    install(lambda step: None, [Release(address, "testing", "main", Path(keyring))])


@needs_apt
@pytest.mark.slow
def test_two_installations_at_once_end_with_one_whole(archive: Archive) -> None:
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=_install, args=(archive.address, str(archive.keyring))) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [0, 0]
    assert criu_binary.find() is not None
    assert len(left()) == 2


def test_another_system_is_told_its_own_command(tmp_path: Path) -> None:
    facts = tmp_path / "os-release"
    facts.write_text('ID=nobara\nID_LIKE="rhel fedora"\nPRETTY_NAME="Nobara Linux 44"\n')
    with pytest.raises(CannotInstall, match="On Nobara Linux 44, run: sudo dnf install criu"):
        distribution_releases(facts)
    facts.write_text("ID=plan9\n")
    with pytest.raises(CannotInstall, match="package manager"):
        distribution_releases(facts)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_prefix_that_cannot_be_written_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/proc")
    with pytest.raises(CannotInstall, match="cannot be written"):
        install(lambda step: None, [])
