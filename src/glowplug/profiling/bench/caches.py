"""What starts leave for later ones, in a place of the bench's own: empty or filled, as a path wants it."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

_VARIABLES = {
    "XDG_CACHE_HOME": "xdg",  # what has no variable of its own: ~/.cache
    "VLLM_CACHE_ROOT": "vllm",
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "TRITON_CACHE_DIR": "triton",
    "TORCH_EXTENSIONS_DIR": "torch_extensions",
    "FLASHINFER_WORKSPACE_BASE": "flashinfer",
    "TVM_FFI_CACHE_DIR": "tvm_ffi",
    "NUMBA_CACHE_DIR": "numba",
    "OUTLINES_CACHE_DIR": "outlines",
    "CUDA_CACHE_PATH": "cuda",
    "MPLCONFIGDIR": "matplotlib",
}
"""Variables that name a directory for compiled code or the like, of vLLM, PyTorch, Triton, SGLang's libraries and the
CUDA driver. Weights are no such cache: where they were downloaded to stays as it is."""

_FILLED = ".filled"
_DUMPED = ".dumped"


class Caches:
    """One directory: what the engine stores by itself, and the state directory of the servers that start it.

    In `state` are compiled Python and snapshots. So a server with empty caches knows of nothing either.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.state = directory / "state"

    @property
    def filled(self) -> bool:
        """Whether an earlier start has filled them to its end."""
        return (self._directory / _FILLED).exists()

    @property
    def dumped(self) -> bool:
        """Whether a snapshot was made with them."""
        return (self._directory / _DUMPED).exists()

    def image_files(self) -> Sequence[Path]:
        """The files of all process images, as they are stored. Raises OSError."""
        return sorted((self.state / "artifacts" / "chunks").iterdir())

    def empty(self) -> None:
        """Begin anew. Raises OSError."""
        self.remove()
        for name in _VARIABLES.values():
            (self._directory / name).mkdir(parents=True)

    def mark_filled(self) -> None:
        """A start has gone well with them. Raises OSError."""
        (self._directory / _FILLED).touch()

    def mark_dumped(self) -> None:
        """A snapshot was made with them. Raises OSError."""
        (self._directory / _DUMPED).touch()

    def remove(self) -> None:
        """Delete them, if they are there. Raises OSError."""
        if self._directory.exists():
            shutil.rmtree(self._directory)

    def environment(self, configured: Mapping[str, str]) -> Mapping[str, str]:
        """The variables that lead an engine here.

        Downloaded weights are by default below XDG_CACHE_HOME, so their place is named, unless it is configured.
        """
        variables = {name: str(self._directory / folder) for name, folder in _VARIABLES.items()}
        return {"HF_HOME": _weights_home(configured), **variables}


def _weights_home(configured: Mapping[str, str]) -> str:
    outer = {**os.environ, **configured}
    default = Path(outer.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
    return outer.get("HF_HOME") or str(default)
