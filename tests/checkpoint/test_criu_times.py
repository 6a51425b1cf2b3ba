"""When CRIU did what, out of the files that it leaves."""

import os
import struct
import time
from pathlib import Path

import pytest

from glowplug.checkpoint.criu import RESTORE_LOG, RESTORE_STATISTICS
from glowplug.checkpoint.criu_images import write_messages
from glowplug.checkpoint.criu_times import restore_times
from glowplug.checkpoint.protobuf_wire import numeric_field

STATISTICS = 0x57093306
TICK = 0.02
"""Seconds by which the times of files may be behind: more than a tick of any kernel's clock."""


def leave(folder: Path, *, forking: int, restoring: int, later: float) -> None:
    """The files of a restore that ended `later` seconds from now; CRIU's own times are in microseconds."""
    (folder / RESTORE_LOG).write_text("")
    part = numeric_field(3, forking) + numeric_field(4, restoring)
    write_messages(folder / RESTORE_STATISTICS, STATISTICS, [b"\x12" + struct.pack("B", len(part)) + part])
    at = time.time() + later
    os.utime(folder / RESTORE_STATISTICS, (at, at))


def test_it_began_with_its_log_and_ended_with_its_statistics(tmp_path):
    before = time.monotonic()
    leave(tmp_path, forking=100_000, restoring=500_000, later=3.0)
    after = time.monotonic()
    times = restore_times(tmp_path)
    assert times is not None
    assert before - TICK <= times.began <= after
    assert before + 3 - TICK <= times.ended <= after + 3
    assert times.ended - times.processes == pytest.approx(0.6)


def test_a_log_that_was_written_to_since_is_as_old_as_it_is(tmp_path):
    leave(tmp_path, forking=0, restoring=0, later=0.0)
    os.utime(tmp_path / RESTORE_LOG, (2e9, 2e9))
    times = restore_times(tmp_path)
    assert times is not None and times.began <= times.ended + TICK


@pytest.mark.parametrize("missing", [RESTORE_LOG, RESTORE_STATISTICS])
def test_nothing_is_known_if_a_file_is_missing(tmp_path, missing):
    leave(tmp_path, forking=1, restoring=1, later=0.0)
    (tmp_path / missing).unlink()
    assert restore_times(tmp_path) is None


def test_nothing_is_known_from_damaged_statistics(tmp_path):
    leave(tmp_path, forking=1, restoring=1, later=0.0)
    whole = (tmp_path / RESTORE_STATISTICS).read_bytes()
    for end in range(len(whole)):
        (tmp_path / RESTORE_STATISTICS).write_bytes(whole[:end])
        assert restore_times(tmp_path) is None, end
