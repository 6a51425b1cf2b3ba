import os
import platform
from pathlib import Path

from glowplug.checkpoint.machine import cpu_flags, this_machine


def test_the_machine_is_described_as_the_system_does() -> None:
    machine = this_machine()
    assert machine.architecture == platform.machine()
    assert machine.kernel == platform.release()
    assert machine.page_size == os.sysconf("SC_PAGE_SIZE")


def test_flags_are_those_of_the_kernel() -> None:
    flags = cpu_flags()
    assert flags <= set(Path("/proc/cpuinfo").read_text().split())
    assert flags & {"sse2", "asimd", "vx"}


def test_flags_of_an_arm_cpu_and_of_an_s390(tmp_path: Path) -> None:
    arm, s390, silent = tmp_path / "arm", tmp_path / "s390", tmp_path / "silent"
    arm.write_text("processor\t: 0\nBogoMIPS\t: 2100.00\nFeatures\t: fp asimd sve\nCPU part\t: 0xd4f\n")
    s390.write_text("vendor_id       : IBM/S390\nfeatures\t: esan3 zarch vx\n")
    silent.write_text("processor\t: 0\nbug flags: no\n")
    assert cpu_flags(arm) == {"fp", "asimd", "sve"}
    assert cpu_flags(s390) == {"esan3", "zarch", "vx"}
    assert cpu_flags(silent) == frozenset()
    assert cpu_flags(tmp_path / "missing") == frozenset()


def test_only_the_first_cpu_is_read(tmp_path: Path) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text("flags\t\t: sse2 avx\n\nflags\t\t: sse2\n")
    assert cpu_flags(path) == {"sse2", "avx"}
