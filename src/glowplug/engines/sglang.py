"""SGLang: an installed `sglang`, started with `sglang serve`."""

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from glowplug.config.models import ModelConfig
from glowplug.engines import bytecode, compile_caches, hugging_face
from glowplug.engines.accelerators import DUMPED_GPU, FROZEN_GPU, has_gpu, installed_ram
from glowplug.engines.arguments import OURS, argparse_line, given, refuse
from glowplug.engines.base import LOOPBACK, Call, CanaryAnswer, EngineError, Launch
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
"""Bytes of RAM beside weights and KV cache (1.9 GiB measured): HTTP server, scheduler and detokenizer, each a
Python with torch.
"""

_STATIC_FRACTION = 0.88
"""Part of the memory that SGLang takes for weights and KV cache if it is not told (its server arguments; it takes
somewhat less for large models)."""

_INSTALL = "pip install sglang (without a GPU: make engine-sglang)"

_OURS: Mapping[str, str] = {
    **OURS,
    "model-path": "the weights come from `model:`",
    "model": "the weights come from `model:`",
    "served-model-name": "it is the model's name",
}

_CACHES = {
    "SGLANG_CACHE_DIR": "sglang",
    "SGLANG_JIT_CACHE_DIR": "sglang_jit",
    **compile_caches.TORCH,
    **compile_caches.KERNELS,
}


class SglangOptions(BaseModel):
    """Settings under `options:` of a model with engine sglang."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    server: str = Field(default="auto", description=SERVER_DESCRIPTION)


class Sglang:
    """Adapter for SGLang."""

    name: ClassVar[str] = "sglang"
    options: ClassVar[type[BaseModel]] = SglangOptions

    def check(self, model: ModelConfig) -> None:
        """Look for the program, the weights, the flags and the names."""
        refuse(model.args, _OURS)
        _require_plain_names(model.aliases)
        _program(model)
        hugging_face.check("SGLang", model, _downloads(model), _revision(model))

    def launch(self, name: str, model: ModelConfig, port: int, host: str = LOOPBACK) -> Launch:
        """`sglang serve` with one served name; chats and completions are answered under any other as well."""
        _require_plain_names([name])
        program = _program(model)
        argv = [
            *(str(program), "serve", "--model-path", model.model or "", "--served-model-name", name),
            *("--host", host, "--port", str(port)),
        ]
        return Launch(
            argv=[*argv, *argparse_line(model.args)],
            env=environment(program, model, ("import_gc",)),
            kept_tmp=(torch_headers(),),
        )

    def version(self, model: ModelConfig) -> str | None:
        """The version of the package."""
        return version_of(_program(model), "sglang")

    def memory(self, model: ModelConfig) -> int:
        """On a GPU what the processes need themselves; on a CPU weights and KV cache as well."""
        if not _on_cpu(model):
            return RUNTIME
        folder = hugging_face.directory(model, _downloads(model), _revision(model))
        shape = hugging_face.shape(folder) if folder is not None else None
        tokens = given(model.args, "max-total-tokens")
        if shape is None or not isinstance(tokens, int):
            fraction = given(model.args, "mem-fraction-static") or _STATIC_FRACTION
            return int(installed_ram() * float(fraction)) + RUNTIME
        return total_size(self.weights(model)) + shape.kv_bytes(tokens, 2) + RUNTIME

    def weights(self, model: ModelConfig) -> Sequence[Path]:
        """The files of the model's directory, or of what was fetched from the hub."""
        folder = hugging_face.directory(model, _downloads(model), _revision(model))
        return local_weights(model.model) if folder is None else hugging_face.weight_files(folder)

    def caches(self, model: ModelConfig, folder: Path) -> Mapping[str, str]:
        """SGLang's own, PyTorch's and those of kernel libraries."""
        compiled_python = bytecode.below(folder, _program(model), "sglang", model.env)
        return {**compile_caches.below(folder, _CACHES, model.env), **compiled_python}

    def health(self, model: ModelConfig) -> Call:
        """503 until SGLang has answered a request of its own; /health would generate a token and take a second."""
        return Call("GET", "/ping")

    def canary(self, name: str, model: ModelConfig) -> Call:
        """A completion; an embedding if that is what the model is started for.

        SGLang's prefix cache knows single tokens, so the completion carries a salt that no other request has. What it
        leaves in the cache (seven tokens) is never hit again and is the first to go.
        """
        if given(model.args, "is-embedding"):
            return embeddings_canary(name)
        return completion_canary(name, ignore_eos=True, cache_salt=uuid.uuid4().hex)

    def read_canary(self, answer: Any) -> CanaryAnswer:
        """Tokens and log-probabilities, or the numbers of an embedding."""
        return read_answer(answer)

    def warmup(self, name: str, model: ModelConfig) -> Sequence[Call]:
        """Completions, or embeddings."""
        return (embeddings_warmup if given(model.args, "is-embedding") else completion_warmup)(name, model.warmup)

    def alive(self, name: str, model: ModelConfig, port: int) -> Call | None:
        """Answered by the HTTP server; a scheduler that hangs is ended by SGLang's own watchdog."""
        return Call("GET", "/ping")

    def sleep(self, name: str, model: ModelConfig, port: int) -> Sequence[Call]:
        """Nothing yet: releasing memory needs a GPU."""
        return ()

    def wake(self, name: str, model: ModelConfig, port: int) -> Sequence[Call]:
        """Nothing yet, as `sleep`."""
        return ()

    def snapshottable(self, model: ModelConfig) -> str | None:
        """On a CPU everything that its processes share is private to them."""
        return None if _on_cpu(model) else DUMPED_GPU

    def parkable(self, model: ModelConfig) -> str | None:
        """On a CPU its processes talk to each other only when there is a request: freezing them together is safe."""
        return None if _on_cpu(model) else FROZEN_GPU


def _program(model: ModelConfig) -> Path:
    return find("sglang", SglangOptions.model_validate(model.options).server, model, _INSTALL)


def _require_plain_names(names: Sequence[str]) -> None:
    for name in names:
        if ":" in name:
            raise EngineError(
                f'SGLang takes what follows the colon in "{name}" for the name of a LoRA adapter; '
                "use a name without a colon"
            )


def _on_cpu(model: ModelConfig) -> bool:
    return given(model.args, "device") == "cpu" or not has_gpu()


def _downloads(model: ModelConfig) -> Path | None:
    folder = given(model.args, "download-dir")
    return None if folder is None else Path(str(folder)).expanduser()


def _revision(model: ModelConfig) -> str:
    return str(given(model.args, "revision") or "main")
