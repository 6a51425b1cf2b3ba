"""GPUs through NVML: a library of our own that answers as NVIDIA's does."""

import shutil
import subprocess
from pathlib import Path

import pytest

from glowplug.node.doctor.gpu import gpu
from glowplug.node.doctor.report import State

SOURCE = r"""
#include <string.h>
typedef struct { unsigned long long total, free, used; } memory;
int nvmlInit_v2(void) { return INIT; }
int nvmlShutdown(void) { return 0; }
int nvmlSystemGetDriverVersion(char *to, unsigned size) { strncpy(to, DRIVER, size); return 0; }
int nvmlSystemGetCudaDriverVersion_v2(int *to) { *to = 13010; return 0; }
int nvmlDeviceGetCount_v2(unsigned *to) { *to = COUNT; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **to) { *to = (void *)(0x123456789000ul + index); return 0; }
int nvmlDeviceGetName(void *device, char *to, unsigned size) { strncpy(to, "NVIDIA H100 80GB HBM3", size); return 0; }
int nvmlDeviceGetMemoryInfo(void *device, memory *to) {
    if ((unsigned long)device < 0x123456789000ul) return 2;
    to->total = 80ull << 30; to->free = 79ull << 30; to->used = 1ull << 30; return 0;
}
int nvmlDeviceGetPersistenceMode(void *device, int *to) { *to = PERSISTENT; return 0; }
"""

needs_compiler = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs a C compiler")


def library(folder: Path, *, driver: str = "580.159.03", count: int = 2, persistent: int = 1, init: int = 0) -> str:
    source = folder / "nvml.c"
    source.write_text(SOURCE)
    definitions = [f'-DDRIVER="{driver}"', f"-DCOUNT={count}", f"-DPERSISTENT={persistent}", f"-DINIT={init}"]
    built = folder / "libnvml.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-w", *definitions, "-o", built, source], check=True)
    return str(built)


def test_without_a_driver_there_is_none() -> None:
    finding = gpu("libno-such-library.so.1")
    assert (finding.state, finding.values["gpus"]) == (State.NONE, 0)
    assert finding.remedy is None


@needs_compiler
def test_gpus_are_counted_and_named(tmp_path: Path) -> None:
    finding = gpu(library(tmp_path))
    assert finding.state is State.OK
    assert finding.values["gpus"] == 2
    assert finding.values["memory_bytes"] == 160 << 30
    assert (finding.values["driver"], finding.values["cuda"]) == ("580.159.03", "13.1")
    assert finding.values["checkpoint"] is True
    assert "2 × NVIDIA H100 80GB HBM3 (160 GiB)" in finding.summary


@needs_compiler
def test_an_old_driver_cannot_checkpoint(tmp_path: Path) -> None:
    finding = gpu(library(tmp_path, driver="550.90.07"))
    assert (finding.state, finding.values["checkpoint"]) == (State.LIMITED, False)
    assert finding.remedy == "install driver 570 or newer"


@needs_compiler
def test_a_driver_that_is_unloaded_between_uses_costs_time(tmp_path: Path) -> None:
    finding = gpu(library(tmp_path, persistent=0))
    assert "nvidia-smi -pm 1" in str(finding.remedy)


@needs_compiler
def test_a_driver_without_gpus_and_one_that_does_not_answer(tmp_path: Path) -> None:
    assert gpu(library(tmp_path, count=0)).state is State.NONE
    (tmp_path / "broken").mkdir()
    finding = gpu(library(tmp_path / "broken", init=9))
    assert finding.state is State.MISSING
    assert "nvmlInit_v2 with error 9" in finding.summary
