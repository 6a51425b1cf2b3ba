"""vLLM: an installed `vllm`, started with `vllm serve`."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from glowplug.config.models import ModelConfig
from glowplug.engines import bytecode, compile_caches, hugging_face
from glowplug.engines.accelerators import DUMPED_GPU, FROZEN_GPU, has_gpu, installed_ram
from glowplug.engines.arguments import OURS, argparse_line, given, refuse
from glowplug.engines.base import LOOPBACK, Call, CanaryAnswer, Launch
from glowplug.engines.compile_caches import torch_headers
from glowplug.engines.installed import SERVER_DESCRIPTION, environment, find, version_of
from glowplug.engines.openai_api import (
    completion_canary,
    completion_warmup,
    embeddings_canary,
    embeddings_warmup,
    read_answer,
)
from glowplug.engines.weights import local_weights, total_size

RUNTIME = 2 * 2**30
"""Bytes of RAM beside weights and KV cache (1.8 GiB measured): API server, engine core and one worker, each a Python
with torch.
"""

_UTILIZATION = 0.92
"""Part of the memory that vLLM takes for itself without being told (its CacheConfig)."""

_INSTALL = "pip install vllm (without a GPU: make engine-vllm)"

_OURS: Mapping[str, str] = {
    **OURS,
    "model": "the weights come from `model:`",
    "served-model-name": "the names are the model's and its `aliases:`",
    "uds": "engines listen on 127.0.0.1",
}

_SHIMS = ("vllm_aot", "import_gc")

_CACHES = {"VLLM_CACHE_ROOT": "vllm", **compile_caches.TORCH, **compile_caches.KERNELS}

_FACTORS = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
"""Of sizes on vLLM's command line."""


class VllmOptions(BaseModel):
    """Settings under `options:` of a model with engine vllm."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    server: str = Field(default="auto", description=SERVER_DESCRIPTION)


class Vllm:
    """Adapter for vLLM."""

    name: ClassVar[str] = "vllm"
    options: ClassVar[type[BaseModel]] = VllmOptions

    def check(self, model: ModelConfig) -> None:
        """Look for the program, the weights and the flags."""
        refuse(model.args, _OURS)
        _program(model)
        hugging_face.check("vLLM", model, _downloads(model), _revision(model))

    def launch(self, name: str, model: ModelConfig, port: int, host: str = LOOPBACK) -> Launch:
        """`vllm serve`, with the name and its aliases as served model names."""
        program = _program(model)
        argv = [
            *(str(program), "serve", model.model or ""),
            *("--served-model-name", name, *model.aliases),
            *("--host", host, "--port", str(port)),
        ]
        return Launch(
            argv=[*argv, *argparse_line(model.args)],
            env=environment(program, model, _SHIMS),
            kept_tmp=(torch_headers(),),
        )

    def version(self, model: ModelConfig) -> str | None:
        """The version of the package."""
        return version_of(_program(model), "vllm")

    def memory(self, model: ModelConfig) -> int:
        """On a GPU what the processes need themselves; on a CPU weights and KV cache as well."""
        if has_gpu():
            return RUNTIME
        if (cache := _cache_bytes(model)) is None:
            return int(installed_ram() * float(given(model.args, "gpu-memory-utilization") or _UTILIZATION)) + RUNTIME
        return total_size(self.weights(model)) + cache + RUNTIME

    def weights(self, model: ModelConfig) -> Sequence[Path]:
        """The files of the model's directory, or of what was fetched from the hub."""
        folder = hugging_face.directory(model, _downloads(model), _revision(model))
        return local_weights(model.model) if folder is None else hugging_face.weight_files(folder)

    def caches(self, model: ModelConfig, folder: Path) -> Mapping[str, str]:
        """vLLM's own (compiled models, what it knows of model classes), PyTorch's and those of kernel libraries."""
        compiled_python = bytecode.below(folder, _program(model), "vllm", model.env)
        return {**compile_caches.below(folder, _CACHES, model.env), **compiled_python}

    def health(self, model: ModelConfig) -> Call:
        """Answered once the engine is initialised; 503 when it died."""
        return Call("GET", "/health")

    def canary(self, name: str, model: ModelConfig) -> Call:
        """A completion, which is shorter than a block of the prefix cache and so neither in it nor from it; an
        embedding if that is what the model is started for."""
        return embeddings_canary(name) if _is_pooling(model) else completion_canary(name, ignore_eos=True)

    def read_canary(self, answer: Any) -> CanaryAnswer:
        """Tokens and log-probabilities, or the numbers of an embedding."""
        return read_answer(answer)

    def warmup(self, name: str, model: ModelConfig) -> Sequence[Call]:
        """Completions, or embeddings."""
        return (embeddings_warmup if _is_pooling(model) else completion_warmup)(name, model.warmup)

    def alive(self, name: str, model: ModelConfig, port: int) -> Call | None:
        """The API server asks the engine core for its state, not for work."""
        return Call("GET", "/health")

    def sleep(self, name: str, model: ModelConfig, port: int) -> Sequence[Call]:
        """Nothing yet: vLLM's own sleep needs a GPU."""
        return ()

    def wake(self, name: str, model: ModelConfig, port: int) -> Sequence[Call]:
        """Nothing yet, as `sleep`."""
        return ()

    def snapshottable(self, model: ModelConfig) -> str | None:
        """On a CPU everything that its processes share is private to them."""
        return DUMPED_GPU if has_gpu() else None

    def parkable(self, model: ModelConfig) -> str | None:
        """On a CPU its processes talk to each other only when there is a request: freezing them together is safe."""
        return FROZEN_GPU if has_gpu() else None


def _program(model: ModelConfig) -> Path:
    return find("vllm", VllmOptions.model_validate(model.options).server, model, _INSTALL)


def _is_pooling(model: ModelConfig) -> bool:
    return given(model.args, "runner") == "pooling" or given(model.args, "task") in ("embed", "embedding")


def _downloads(model: ModelConfig) -> Path | None:
    folder = given(model.args, "download-dir")
    return None if folder is None else Path(str(folder)).expanduser()


def _revision(model: ModelConfig) -> str:
    return str(given(model.args, "revision") or "main")


def _cache_bytes(model: ModelConfig) -> int | None:
    """The KV cache on a CPU, if it is given: by the older variable, which counts in GiB and wins, or by the flag."""
    space = model.env.get("VLLM_CPU_KVCACHE_SPACE") or os.environ.get("VLLM_CPU_KVCACHE_SPACE")
    text = f"{space}G" if space else str(given(model.args, "kv-cache-memory-bytes") or "")
    number = text.rstrip("".join(_FACTORS))
    try:
        return int(float(number) * _FACTORS.get(text[len(number) :], 1))
    except ValueError:
        return None
