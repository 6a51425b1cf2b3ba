"""The trial of snapshots, with the real CRIU and with ones that fail in ways of their own."""

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from glowplug.checkpoint import criu_binary, processes, trial
from glowplug.checkpoint.criu_binary import Criu
from glowplug.checkpoint.sandbox import sandbox_closed
from glowplug.checkpoint.trial import TrialFailed, try_snapshot
from tests.checkpoint.dumps import usable_criu

pytestmark = [pytest.mark.criu, pytest.mark.root]


@pytest.fixture
def real() -> Criu:
    usable_criu()
    if reason := sandbox_closed():
        pytest.skip(reason)
    found = criu_binary.find()
    assert found is not None
    return found


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    def held() -> tuple[set[Path], set[int]]:
        return set(Path(tempfile.gettempdir()).glob("glowplug-trial-*")), set(processes.children(os.getpid()))

    before = held()
    yield
    assert held() == before


def wrapper(folder: Path, real: Criu, job: str, first: str) -> Criu:
    """A CRIU that does something else first for one job, or instead of it; `$WORK` is where its log goes."""
    script = folder / "criu"
    script.write_text(
        f"""#!/bin/sh
if [ "$1" = {job} ]; then
    WORK=$(while [ "$1" != --work-dir ]; do shift; done; echo "$2")
    {first}
fi
exec {shlex.join(real.argv)} "$@"
"""
    )
    script.chmod(0o755)
    return Criu((str(script),), real.version, "a test")


def test_a_small_process_comes_back_whole(real: Criu) -> None:
    made = try_snapshot(real)
    assert made.image_bytes > 1_000_000
    assert 0 < made.dump_seconds < trial.TIMEOUT
    assert 0 < made.restore_seconds < trial.TIMEOUT


def test_a_dump_that_fails_is_explained(real: Criu, tmp_path: Path) -> None:
    log = "echo '(00.1) Error (criu/sockets.c:545): sockets: Can'\\''t get 1:16 opt: Not supported' > $WORK/dump.log"
    with pytest.raises(TrialFailed, match=r"cannot dump: this CRIU is too old .* --install-criu"):
        try_snapshot(wrapper(tmp_path, real, "dump", f"{log}; exit 1"))


def test_a_restore_that_fails_is_explained(real: Criu, tmp_path: Path) -> None:
    log = "echo '(00.1) Error (criu/x.c:1): cpu: CPU capabilities do not match run time' > $WORK/restore.log"
    with pytest.raises(TrialFailed, match="cannot restore: this CPU lacks features"):
        try_snapshot(wrapper(tmp_path, real, "restore", f"{log}; exit 1"))


@pytest.mark.slow
@pytest.mark.parametrize("job", ["dump", "restore"])
def test_a_criu_that_hangs_is_ended(real: Criu, tmp_path: Path, job: str) -> None:
    with pytest.raises(TrialFailed, match="not dumped and restored within 2 s"):
        try_snapshot(wrapper(tmp_path, real, job, "exec sleep 1000"), timeout=2)


def test_an_image_that_lost_something_is_noticed(real: Criu, tmp_path: Path) -> None:
    spoil = "printf X | dd of=/dev/shm/glowplug-trial bs=1 conv=notrunc 2>/dev/null"
    with pytest.raises(TrialFailed, match="not whole: lost the file in /dev/shm"):
        try_snapshot(wrapper(tmp_path, real, "restore", spoil))


def test_without_the_privilege_it_says_so(real: Criu) -> None:
    program = (
        "from glowplug.checkpoint import trial\nfrom glowplug.checkpoint.criu_binary import Criu\n"
        "try: trial.try_snapshot(Criu(('/bin/false',), (4, 2, 1), 'x'))\nexcept trial.TrialFailed as e: print(e)"
    )
    said = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd="/",
        check=False,
    )
    if "ModuleNotFoundError" in said.stderr or "Permission" in said.stderr:
        pytest.skip("nobody cannot read this installation")
    assert said.stdout.startswith("a small process could not be tried: "), said.stderr
