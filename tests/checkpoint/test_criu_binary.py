"""Which CRIU is found: small programs that answer `--version` as CRIU does."""

import os
import shutil
from pathlib import Path

import pytest

from glowplug.checkpoint import criu_binary

LOADER = "current/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv(criu_binary.VARIABLE, raising=False)
    return tmp_path


def program(path: Path, says: str, code: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\nexit {code}\n")
    path.chmod(0o755)
    return path


def private(says: str) -> Path:
    program(criu_binary.prefix() / LOADER, says)
    return program(criu_binary.prefix() / "current/usr/sbin/criu", "not called directly")


needs_no_criu = pytest.mark.skipif(
    shutil.which("criu", path="/usr/local/sbin:/usr/sbin:/sbin") is not None,
    reason="this machine has a CRIU of its own",
)


@needs_no_criu
def test_without_any_criu_the_sentence_names_the_installation() -> None:
    assert criu_binary.find() is None
    assert criu_binary.criu_closed() == "CRIU is not installed; run: glowplug doctor --install-criu"


def test_the_variable_goes_before_the_prefix_and_the_prefix_before_the_path(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path = program(folder / "bin" / "criu", "Version: 4.2")
    found = criu_binary.find()
    assert found is not None
    assert (found.argv, found.version, found.origin) == ((str(on_path),), (4, 2, 0), str(on_path))

    inside = private("Version: 4.2.1\nGitID: v4.2.1")
    found = criu_binary.find()
    assert found is not None
    libraries = f"{criu_binary.prefix()}/current/usr/lib/x86_64-linux-gnu:{criu_binary.prefix()}/current/usr/lib"
    assert found.argv == (str(criu_binary.prefix() / LOADER), "--library-path", libraries, str(inside))
    assert found.origin == f"private prefix {criu_binary.prefix()}"

    named = program(folder / "mine" / "criu", "Version: 5.0.7")
    monkeypatch.setenv(criu_binary.VARIABLE, str(named))
    found = criu_binary.find()
    assert found is not None
    assert (found.argv, found.version_text, found.origin) == ((str(named),), "5.0.7", "GLOWPLUG_CRIU")


@pytest.mark.parametrize(("says", "code"), [("Version: 4.2.1", 1), ("criu: error while loading libnet.so.9", 0)])
def test_one_that_does_not_run_is_passed_over(folder: Path, says: str, code: int) -> None:
    program(criu_binary.prefix() / LOADER, says, code)
    program(criu_binary.prefix() / "current/usr/sbin/criu", "")
    on_path = program(folder / "bin" / "criu", "Version: 4.3.0")
    found = criu_binary.find()
    assert found is not None
    assert found.argv == (str(on_path),)


@needs_no_criu
def test_a_file_that_others_may_write_is_never_started(folder: Path) -> None:
    trace = folder / "started"
    on_path = program(folder / "bin" / "criu", "Version: 4.2.1")
    on_path.write_text(f"#!/bin/sh\n: > {trace}\necho Version: 4.2.1\n")
    on_path.chmod(0o777)
    assert criu_binary.find() is None
    on_path.chmod(0o755)
    if os.geteuid() == 0:
        os.chown(on_path, 65534, 65534)
        assert criu_binary.find() is None
        os.chown(on_path, 0, 0)
    assert not trace.exists()
    assert criu_binary.find() is not None
    assert trace.exists()


@needs_no_criu
def test_a_prefix_that_others_may_write_is_not_used() -> None:
    private("Version: 4.2.1")
    (criu_binary.prefix() / "current").chmod(0o775)
    assert criu_binary.find() is None


def test_an_old_one_is_named_with_version_origin_and_remedy(folder: Path) -> None:
    on_path = program(folder / "bin" / "criu", "Version: 4.1.1")
    closed = criu_binary.criu_closed()
    assert closed is not None
    assert f"CRIU 4.1.1 ({on_path}) is too old, 4.2 or newer is needed" in closed
    assert "glowplug doctor --install-criu" in closed


def test_whether_root_is_needed_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(folder / "bin" / "criu", "Version: 4.2.1")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    (folder / "bin" / "criu").chmod(0o755)
    if os.getuid() == 0:
        closed = criu_binary.criu_closed()
        assert closed is not None
        assert closed.startswith("CRIU needs root")


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("4.2", (4, 2, 0)), ("4.2.1-1", (4, 2, 1)), ("1:10.0.3~rc1", (10, 0, 3)), ("5", (5, 0, 0)), ("git", (0, 0, 0))],
)
def test_versions_are_read_as_numbers(text: str, numbers: tuple[int, int, int]) -> None:
    assert criu_binary.parsed(text) == numbers
    assert criu_binary.parsed("4.10") > criu_binary.parsed("4.9.9")


def test_a_user_without_a_home_directory_has_a_prefix_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    assert criu_binary.prefix().is_absolute()


def test_a_file_is_asked_for_its_version_once_and_again_when_it_was_replaced(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = folder / "asked"
    named = program(folder / "mine" / "criu", f"Version: 4.2'; echo asked >> {trace}; echo '")
    monkeypatch.setenv(criu_binary.VARIABLE, str(named))
    found = [criu_binary.find() for _ in range(3)]
    assert [criu and criu.version for criu in found] == [(4, 2, 0)] * 3
    assert trace.read_text() == "asked\n"

    program(folder / "mine" / "newer", "Version: 4.3.1").replace(named)
    newer = criu_binary.find()
    assert newer is not None
    assert newer.version == (4, 3, 1)

    named.chmod(0o777)
    changed = criu_binary.find()
    assert changed is None or changed.origin != criu_binary.VARIABLE
