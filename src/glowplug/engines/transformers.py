"""transformers: an installed `transformers`, started with `transformers serve`."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from glowplug.config.models import ModelConfig
from glowplug.engines import bytecode, compile_caches, hugging_face
from glowplug.engines.accelerators import DUMPED_GPU, FROZEN_GPU, has_gpu
from glowplug.engines.arguments import OURS, command_line, given, refuse
from glowplug.engines.base import LOOPBACK, Call, CanaryAnswer, EngineError, Launch
from glowplug.engines.compile_caches import torch_headers
from glowplug.engines.installed import SERVER_DESCRIPTION, environment, find, version_of
from glowplug.engines.openai_api import CANARY_PROMPT, completion_warmup, read_answer
from glowplug.engines.weights import total_size

RUNTIME = 2**29
"""Bytes of RAM beside weights and KV cache: one Python with torch (0.45 GiB measured)."""

CANARY_TOKENS = 8
"""It tells no log-probabilities, so damage shows only where it turns one token into another: more of them are asked
for (0.25 s with 135M parameters on two cores)."""

_INSTALL = "pip install 'transformers[serving]' (without a GPU: make engine-transformers)"

_OURS: Mapping[str, str] = {**OURS, "force-model": "the weights come from `model:`"}


class TransformersOptions(BaseModel):
    """Settings under `options:` of a model with engine transformers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    server: str = Field(default="auto", description=SERVER_DESCRIPTION)


class Transformers:
    """Adapter for transformers serve.

    The server takes the `model` of a request for a directory or a hub name, as its library does everywhere. So it is
    started in a folder where the configured names are links to the model's directory. It can be pinned to one name,
    and then loads before it listens; with aliases it cannot, and loads the weights once for each name that is used.
    """

    name: ClassVar[str] = "transformers"
    options: ClassVar[type[BaseModel]] = TransformersOptions

    def check(self, model: ModelConfig) -> None:
        """Look for the program, the weights and the flags."""
        refuse(model.args, _OURS)
        _program(model)
        hugging_face.check("transformers", model)
        if model.model is not None and Path(model.model).expanduser().is_file():
            raise EngineError(
                f"transformers needs a directory in Hugging Face form, and {model.model} is a file; "
                "give the directory, or use engine: llama.cpp for a GGUF file"
            )

    def launch(self, name: str, model: ModelConfig, port: int, host: str = LOOPBACK) -> Launch:
        """`transformers serve` among links with the names of the model. Raises EngineError if there can be none."""
        program = _program(model)
        names = [name, *model.aliases]
        folder = hugging_face.directory(model)
        if folder is None and names != [model.model]:
            raise EngineError(
                f"transformers cannot serve {model.model} under another name before it is on this machine; "
                f"run: hf download {model.model}"
            )
        pinned = [name] if len(names) == 1 else []
        unpinned = {} if pinned or given(model.args, "model-timeout") is not None else {"model-timeout": -1}
        argv = [str(program), "serve", *pinned, "--host", host, "--port", str(port)]
        return Launch(
            argv=[*argv, *command_line({**unpinned, **model.args})],
            env=environment(program, model, ("import_gc",)),
            kept_tmp=(torch_headers(),),
            cwd=None if folder is None else _links(names, folder.absolute()),
        )

    def version(self, model: ModelConfig) -> str | None:
        """The version of the package."""
        return version_of(_program(model), "transformers")

    def memory(self, model: ModelConfig) -> int:
        """On a CPU the weights for each name, with a fifth for the KV cache, which grows with the conversations."""
        if not _on_cpu(model):
            return RUNTIME
        return total_size(self.weights(model)) * (1 + len(model.aliases)) * 6 // 5 + RUNTIME

    def weights(self, model: ModelConfig) -> Sequence[Path]:
        """The files of the model's directory, or of what was fetched from the hub."""
        folder = hugging_face.directory(model)
        return () if folder is None else hugging_face.weight_files(folder)

    def caches(self, model: ModelConfig, folder: Path) -> Mapping[str, str]:
        """PyTorch's; used with `compile: true`."""
        compiled_python = bytecode.below(folder, _program(model), "transformers", model.env)
        return {**compile_caches.below(folder, compile_caches.TORCH, model.env), **compiled_python}

    def health(self, model: ModelConfig) -> Call:
        """Answered once a pinned model is loaded; without one, the canary loads it."""
        return Call("GET", "/health")

    def canary(self, name: str, model: ModelConfig) -> Call:
        """A completion. There is no prompt cache."""
        body = {"model": name, "prompt": CANARY_PROMPT, "max_tokens": CANARY_TOKENS, "temperature": 0, "stream": False}
        return Call("POST", "/v1/completions", body)

    def read_canary(self, answer: Any) -> CanaryAnswer:
        """The text."""
        return read_answer(answer)

    def warmup(self, name: str, model: ModelConfig) -> Sequence[Call]:
        """Completions."""
        return completion_warmup(name, model.warmup)

    def alive(self, name: str, model: ModelConfig, port: int) -> Call | None:
        """Answered by a thread of its own, also while a request is worked on."""
        return Call("GET", "/health")

    def sleep(self, name: str, model: ModelConfig, port: int) -> Sequence[Call]:
        """It has no sleep call."""
        return ()

    def wake(self, name: str, model: ModelConfig, port: int) -> Sequence[Call]:
        """It has no wake call."""
        return ()

    def snapshottable(self, model: ModelConfig) -> str | None:
        """One process with no peers: dumping it is safe on a CPU."""
        return None if _on_cpu(model) else DUMPED_GPU

    def parkable(self, model: ModelConfig) -> str | None:
        """One process with no peers: freezing it is safe on a CPU."""
        return None if _on_cpu(model) else FROZEN_GPU


def _program(model: ModelConfig) -> Path:
    return find("transformers", TransformersOptions.model_validate(model.options).server, model, _INSTALL)


def _on_cpu(model: ModelConfig) -> bool:
    return given(model.args, "device") == "cpu" or not has_gpu()


def _links(names: Sequence[str], target: Path) -> Path:
    """A folder in which each name leads to the model's directory.

    It is named after its content, so nothing in it ever changes and several servers may use it. What follows an @ in a
    name is a revision to the library and not part of the path.
    """
    paths = [name.partition("@")[0] for name in names]
    for path in paths:
        if any(part in ("", ".", "..") for part in path.split("/")) or any(
            other.startswith(f"{path}/") for other in paths
        ):
            raise EngineError(
                f'transformers looks up names as paths, and "{path}" cannot be one beside the others; choose another'
            )
    content = "\n".join([str(target), *paths])
    folder = _cache() / hashlib.sha256(content.encode()).hexdigest()[:16]
    try:
        for path in paths:
            link = folder / path
            link.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                link.symlink_to(target, target_is_directory=True)
    except OSError as error:
        raise EngineError(
            f"the folder {folder} of links to the model could not be made ({error.strerror}); correct its permissions"
        ) from error
    return folder


def _cache() -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return home / "glowplug" / "transformers"
