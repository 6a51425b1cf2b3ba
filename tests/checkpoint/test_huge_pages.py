import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from glowplug.checkpoint import huge_pages
from glowplug.checkpoint.huge_pages import HugePages, host_setting, put_back

_KILLED_INSIDE = """
import os, signal, sys
from pathlib import Path
from glowplug.checkpoint.huge_pages import HugePages
with HugePages(Path(sys.argv[1])).always():
    os.kill(os.getpid(), signal.SIGKILL)
"""

_READ_ONLY = """
import logging, sys
from pathlib import Path
from glowplug.checkpoint.huge_pages import HugePages
logging.basicConfig(stream=sys.stdout, format="%(message)s")
pages = HugePages(Path(sys.argv[1]))
for _ in range(2):
    with pages.always():
        print("inside")
"""


@pytest.fixture
def setting() -> Iterator[Path]:
    """The machine's setting, at `madvise`; put back after the test."""
    file = host_setting()
    if not file.exists():
        pytest.skip("no transparent huge pages")
    before = huge_pages.read(file)
    file.write_text("madvise")
    try:
        yield file
    finally:
        file.write_text(before)


@pytest.mark.root
def test_the_setting_is_always_inside_and_what_it_was_afterwards(setting: Path, tmp_path: Path) -> None:
    with HugePages(tmp_path).always():
        assert huge_pages.read(setting) == "always"

    assert huge_pages.read(setting) == "madvise"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.root
def test_it_is_put_back_after_an_error(setting: Path, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), HugePages(tmp_path).always():
        _ = 1 / 0

    assert huge_pages.read(setting) == "madvise"


@pytest.mark.root
def test_the_last_one_who_leaves_puts_it_back(setting: Path, tmp_path: Path) -> None:
    pages = HugePages(tmp_path)
    entered, leave = threading.Barrier(9, timeout=20), threading.Barrier(9, timeout=20)

    def restore() -> None:
        with pages.always():
            entered.wait()
            leave.wait()

    threads = [threading.Thread(target=restore) for _ in range(8)]
    for thread in threads:
        thread.start()
    with pages.always():
        entered.wait()
        leave.wait()
        for thread in threads:
            thread.join()
        assert huge_pages.read(setting) == "always"
    assert huge_pages.read(setting) == "madvise"
    with pages.always():
        assert huge_pages.read(setting) == "always"
    assert huge_pages.read(setting) == "madvise"


@pytest.mark.root
def test_a_host_that_always_has_them_stays_so(setting: Path, tmp_path: Path) -> None:
    setting.write_text("always")

    with HugePages(tmp_path).always():
        assert list(tmp_path.iterdir()) == []

    assert huge_pages.read(setting) == "always"


@pytest.mark.root
def test_what_somebody_else_sets_meanwhile_stays(setting: Path, tmp_path: Path) -> None:
    with HugePages(tmp_path).always():
        setting.write_text("never")

    assert huge_pages.read(setting) == "never"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.root
def test_the_next_start_puts_back_what_a_killed_server_left(setting: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", _KILLED_INSIDE, str(tmp_path)], check=False)
    assert huge_pages.read(setting) == "always"

    put_back(tmp_path)

    assert huge_pages.read(setting) == "madvise"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.root
def test_the_next_start_leaves_what_somebody_set_since(setting: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", _KILLED_INSIDE, str(tmp_path)], check=False)
    setting.write_text("never")

    put_back(tmp_path)

    assert huge_pages.read(setting) == "never"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.root
def test_a_note_from_before_the_machine_was_started_is_void(setting: Path, tmp_path: Path) -> None:
    setting.write_text("always")
    (tmp_path / "huge-pages.json").write_text(json.dumps({"before": "never", "boot": "another"}))

    put_back(tmp_path)

    assert huge_pages.read(setting) == "always"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.root
@pytest.mark.parametrize("text", ["", "{", "[]", '{"before": "never"}'])
def test_a_damaged_note_changes_nothing(
    setting: Path, tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    setting.write_text("always")
    (tmp_path / "huge-pages.json").write_text(text)

    put_back(tmp_path)

    assert huge_pages.read(setting) == "always"
    assert "cannot be read" in caplog.text


@pytest.mark.root
def test_where_it_cannot_be_changed_that_is_said_once(setting: Path, tmp_path: Path) -> None:
    """With /sys mounted read-only, as in a container."""
    script = 'mount -o remount,bind,ro /sys && exec "$@"'
    program = (sys.executable, "-c", _READ_ONLY, str(tmp_path))
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", *program], capture_output=True, text=True, check=True
    )

    assert done.stdout.count("inside") == 2
    assert done.stdout.count("cannot be switched on") == 1
    assert "Read-only file system" in done.stdout
    assert huge_pages.read(setting) == "madvise"
    assert list(tmp_path.iterdir()) == []


def test_a_kernel_without_them_is_no_failure(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), HugePages(tmp_path, tmp_path / "missing").always():
        pass

    assert "No such file" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_a_start_without_a_note_does_nothing(tmp_path: Path) -> None:
    put_back(tmp_path)

    assert list(tmp_path.iterdir()) == []
