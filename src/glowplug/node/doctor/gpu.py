"""GPUs, their driver, and whether it can take a process's GPU state out of the GPU and put it back.

Asked through NVML (libnvidia-ml), which comes with every NVIDIA driver and needs neither CUDA nor a context on the GPU.
"""

import ctypes
from dataclasses import dataclass

from glowplug.node.doctor.report import Finding, State

_NAME_SIZE = 96  # NVML_DEVICE_NAME_V2_BUFFER_SIZE
_VERSION_SIZE = 80  # NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE
_FIRST_WITH_CHECKPOINT = 570
"""First major version of the driver with cuCheckpointProcess* in its library, and NVML in use while checkpointing."""


class _Memory(ctypes.Structure):
    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


class _NvmlError(Exception):
    """A call failed; the number is NVML's."""


@dataclass(frozen=True, slots=True)
class Gpus:
    """What NVML says. `memory` is bytes of each GPU; `cuda` is the newest version the driver serves, such as 13.0."""

    driver: str
    cuda: str
    names: tuple[str, ...]
    memory: tuple[int, ...]
    persistent: bool

    @property
    def checkpoint(self) -> bool:
        """Whether the driver is new enough to checkpoint processes."""
        major = self.driver.partition(".")[0]
        return major.isdigit() and int(major) >= _FIRST_WITH_CHECKPOINT


def gpu(library: str = "libnvidia-ml.so.1") -> Finding:
    """The GPUs of this machine, or none."""
    try:
        found = read(library)
    except OSError:
        return Finding("gpu", State.NONE, "none (no NVIDIA driver)", values={"gpus": 0})
    except _NvmlError as error:
        remedy = "give the container its devices (--gpus all), or load the driver"
        return Finding("gpu", State.MISSING, f"an NVIDIA driver is installed but answers {error}", remedy, {"gpus": 0})
    if not found.names:
        return Finding("gpu", State.NONE, f"none (driver {found.driver})", values={"gpus": 0, "driver": found.driver})
    values = {
        "gpus": len(found.names),
        "names": found.names,
        "driver": found.driver,
        "cuda": found.cuda,
        "memory_bytes": sum(found.memory),
        "checkpoint": found.checkpoint,
        "persistence_mode": found.persistent,
    }
    size = f"{sum(found.memory) / 2**30:.0f} GiB"
    can = "can" if found.checkpoint else "cannot"
    summary = (
        f"{len(found.names)} × {found.names[0]} ({size}), driver {found.driver}, CUDA {found.cuda}; "
        f"processes {can} be checkpointed"
    )
    remedy = None
    if not found.checkpoint:
        remedy = f"install driver {_FIRST_WITH_CHECKPOINT} or newer"
    elif not found.persistent:
        remedy = "keep the driver loaded, which saves seconds at each start: nvidia-smi -pm 1"
    return Finding("gpu", State.LIMITED if remedy else State.OK, summary, remedy, values)


def read(library: str) -> Gpus:
    """Ask NVML. Raises OSError if there is no such library, _NvmlError if it does not answer."""
    nvml = ctypes.CDLL(library)
    _call(nvml, "nvmlInit_v2")
    try:
        driver = ctypes.create_string_buffer(_VERSION_SIZE)
        _call(nvml, "nvmlSystemGetDriverVersion", driver, ctypes.c_uint(_VERSION_SIZE))
        cuda = ctypes.c_int()
        _call(nvml, "nvmlSystemGetCudaDriverVersion_v2", ctypes.byref(cuda))
        count = ctypes.c_uint()
        _call(nvml, "nvmlDeviceGetCount_v2", ctypes.byref(count))
        devices = [_device(nvml, index) for index in range(count.value)]
    finally:
        nvml.nvmlShutdown()
    return Gpus(
        driver.value.decode(errors="replace"),
        f"{cuda.value // 1000}.{cuda.value % 1000 // 10}",
        tuple(name for name, _, _ in devices),
        tuple(memory for _, memory, _ in devices),
        all(persistent for _, _, persistent in devices),
    )


def _device(nvml: ctypes.CDLL, index: int) -> tuple[str, int, bool]:
    handle = ctypes.c_void_p()
    _call(nvml, "nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(index), ctypes.byref(handle))
    name = ctypes.create_string_buffer(_NAME_SIZE)
    _call(nvml, "nvmlDeviceGetName", handle, name, ctypes.c_uint(_NAME_SIZE))
    memory = _Memory()
    _call(nvml, "nvmlDeviceGetMemoryInfo", handle, ctypes.byref(memory))
    persistent = ctypes.c_int()
    _call(nvml, "nvmlDeviceGetPersistenceMode", handle, ctypes.byref(persistent))
    return name.value.decode(errors="replace"), memory.total, bool(persistent.value)


def _call(nvml: ctypes.CDLL, name: str, *arguments: object) -> None:
    try:
        result: int = getattr(nvml, name)(*arguments)
    except AttributeError:
        raise _NvmlError(f"without {name}") from None
    if result != 0:  # NVML_SUCCESS
        raise _NvmlError(f"{name} with error {result}")
