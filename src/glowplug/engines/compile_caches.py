"""Where engines and their libraries keep compiled code, led into one folder."""

import getpass
import os
import re
from collections.abc import Mapping
from pathlib import Path

TORCH: Mapping[str, str] = {
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "TRITON_CACHE_DIR": "triton",
    "TORCH_EXTENSIONS_DIR": "torch_extensions",
    "CUDA_CACHE_PATH": "cuda",
}
"""Variables of PyTorch, its compilers and the CUDA driver, each with a name for its folder."""

KERNELS: Mapping[str, str] = {
    "FLASHINFER_WORKSPACE_BASE": "flashinfer",
    "TVM_FFI_CACHE_DIR": "tvm_ffi",
    "TILELANG_CACHE_DIR": "tilelang",
    "DG_JIT_CACHE_DIR": "deep_gemm",
    "NUMBA_CACHE_DIR": "numba",
}
"""The same of libraries that compile kernels for vLLM and SGLang. FlashInfer makes `.cache/flashinfer` in its own."""


def below(folder: Path, variables: Mapping[str, str], model_env: Mapping[str, str]) -> Mapping[str, str]:
    """The environment that leads these variables below `folder`, but for what the user has set.

    The user sets variables in `env` of the model, or in the environment that the server runs in.
    """
    return {
        name: str(folder / subfolder)
        for name, subfolder in variables.items()
        if name not in model_env and name not in os.environ
    }


def torch_headers() -> str:
    """The directory of /tmp where Inductor keeps precompiled headers of the C++ compiler, 150 MB of them.

    They serve every cache directory, so no variable of its own moves them (torch's codecache.py, cache_dir_utils.py).
    """
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid_{os.getuid()}"
    return "torchinductor_" + re.sub(r'[\\/:*?"<>|]', "_", user)
