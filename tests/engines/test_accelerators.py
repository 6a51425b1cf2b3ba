import os
from pathlib import Path

from glowplug.engines import accelerators


def test_a_gpu_is_there_when_its_driver_is(tmp_path, monkeypatch):
    monkeypatch.setattr(accelerators, "DRIVER_FILES", (tmp_path / "nvidiactl", tmp_path / "kfd"))
    assert not accelerators.has_gpu()
    (tmp_path / "kfd").touch()
    assert accelerators.has_gpu()


def test_the_ram_is_what_the_kernel_tells():
    told = next(line for line in Path("/proc/meminfo").read_text().splitlines() if "MemTotal" in line).split()[1]
    assert abs(accelerators.installed_ram() - int(told) * 1024) < os.sysconf("SC_PAGE_SIZE")
