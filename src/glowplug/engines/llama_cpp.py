"""llama.cpp: the server inside the xllamacpp package in a process of its own, or an installed `llama-server`."""

import importlib.metadata
import importlib.util
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, cast

from pydantic import BaseModel, ConfigDict, Field

from glowplug.config.models import ModelConfig
from glowplug.engines import compile_caches
from glowplug.engines import llama_cpp_arguments as flags
from glowplug.engines.accelerators import DUMPED_GPU, has_gpu
from glowplug.engines.arguments import command_line
from glowplug.engines.base import LOOPBACK, Call, CanaryAnswer, EngineError, Launch
from glowplug.engines.gguf import GgufError, Shape, check_header, read_metadata, shape
from glowplug.engines.llama_cpp_flags import DEFAULT_PARALLEL, FLAGS
from glowplug.engines.openai_api import (
    completion_canary,
    completion_warmup,
    embeddings_canary,
    embeddings_warmup,
    read_answer,
    rerank_canary,
)
from glowplug.engines.weights import WORKING_SPACE, require_file, shards, total_size

_EMBEDDED = "xllamacpp"
_INSTALLED = "llama-server"

_OURS = {
    "model": "the weights come from `model:`",
    "host": "engines listen on 127.0.0.1",
    "port": "Glowplug chooses it",
    "alias": "further names come from `aliases:`",
}

_BYTES_PER_VALUE = {
    "f32": 4, "f16": 2, "bf16": 2, "q8_0": 34 / 32, "q5_1": 24 / 32, "q5_0": 22 / 32, "q4_1": 20 / 32,
    "q4_0": 18 / 32, "iq4_nl": 18 / 32,
}  # fmt: skip
"""Of the KV cache, by `cache-type-k/v`. Quantised types hold blocks of 32 values with their scale (ggml-common.h)."""


class LlamaCppOptions(BaseModel):
    """Settings under `options:` of a model with engine llama.cpp."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    server: str = Field(
        default="auto",
        description="xllamacpp, llama-server, the path of a llama-server, or auto: xllamacpp if it is installed.",
    )


class LlamaCpp:
    """Adapter for llama.cpp."""

    name: ClassVar[str] = "llama.cpp"
    options: ClassVar[type[BaseModel]] = LlamaCppOptions

    def check(self, model: ModelConfig) -> None:
        """Look for the server, the weights and the flags."""
        program = _program(model)
        for flag in model.args:
            if (reason := _OURS.get(flags.main_name(flag))) is not None:
                raise EngineError(f'"{flag}" cannot be given in args: {reason}')
        if program is None or model.model is not None:
            for file in self._files(model):
                _require_gguf(file)
        if program is None:
            try:
                flags.read(_words(model))
            except flags.FlagError as error:
                raise EngineError(str(error)) from error

    def launch(self, name: str, model: ModelConfig, port: int, host: str = LOOPBACK) -> Launch:
        """The embedded server, or the installed one, with the same flags."""
        program = _program(model)
        argv = [sys.executable, "-P", "-m", "glowplug.engines.llama_cpp_server"] if program is None else [program]
        if model.model is not None:
            argv += ["--model", str(_path(model))]
        # llama.cpp shows the alphabetically first alias as the model's id, so it gets the one name and no other;
        # it serves requests for any name.
        argv += ["--host", host, "--port", str(port), "--alias", name, *_words(model)]
        return Launch(argv=argv, env=dict(model.env))

    def version(self, model: ModelConfig) -> str | None:
        """The version of the embedded package; an installed llama-server tells its build when it starts."""
        return importlib.metadata.version(_EMBEDDED) if _program(model) is None else None

    def memory(self, model: ModelConfig) -> int:
        """Weights, KV cache as the model's own metadata give it, and working space."""
        weights = total_size(self.weights(model))
        outline = _outline(model)
        cache = weights // 5 if outline is None else _cache_bytes(model, outline)
        return weights + cache + WORKING_SPACE

    def weights(self, model: ModelConfig) -> Sequence[Path]:
        """The GGUF file with all its shards, the multimodal projector and the LoRA adapters."""
        files = [*self._files(model)] if model.model is not None else []
        for flag in ("mmproj", "lora"):
            for given in _given(model, flag):
                files += [Path(path).expanduser() for path in str(given).split(",")]
        return tuple(file for file in files if file.is_file())

    def caches(self, model: ModelConfig, folder: Path) -> Mapping[str, str]:
        """PTX that the CUDA driver compiles for a GPU newer than the build."""
        return compile_caches.below(folder, {"CUDA_CACHE_PATH": "cuda"}, model.env)

    def health(self, model: ModelConfig) -> Call:
        """503 until the model is loaded."""
        return Call("GET", "/health")

    def canary(self, name: str, model: ModelConfig) -> Call:
        """A completion without the prompt cache; an embedding or a ranking if that is what the model is for."""
        if _is_on(model, "reranking") or "rank" in _given(model, "pooling"):
            return rerank_canary(name)
        if _is_on(model, "embeddings"):
            return embeddings_canary(name)
        return completion_canary(name, cache_prompt=False, ignore_eos=True)

    def read_canary(self, answer: Any) -> CanaryAnswer:
        """Tokens and log-probabilities, or the numbers of an embedding."""
        return read_answer(answer)

    def warmup(self, name: str, model: ModelConfig) -> Sequence[Call]:
        """Completions, or embeddings."""
        if _is_on(model, "embeddings"):
            return embeddings_warmup(name, model.warmup)
        return completion_warmup(name, model.warmup)

    def alive(self, name: str, model: ModelConfig, port: int) -> Call | None:
        """Answered by the HTTP threads, also while all slots are busy."""
        return Call("GET", "/health")

    def sleep(self, name: str, model: ModelConfig, port: int) -> Sequence[Call]:
        """llama.cpp has no sleep call."""
        return ()

    def wake(self, name: str, model: ModelConfig, port: int) -> Sequence[Call]:
        """llama.cpp has no wake call."""
        return ()

    def snapshottable(self, model: ModelConfig) -> str | None:
        """One process with no peers: dumping it is safe on a CPU."""
        return DUMPED_GPU if has_gpu() else None

    def parkable(self, model: ModelConfig) -> str | None:
        """One process with no peers: freezing it is safe."""
        return None

    def _files(self, model: ModelConfig) -> Sequence[Path]:
        if model.model is None:
            raise EngineError("llama.cpp needs `model:`, the path of a GGUF file")
        return shards(_path(model))


def _require_gguf(file: Path) -> None:
    require_file(file, "the model file")
    try:
        check_header(file)
    except (OSError, GgufError) as error:
        raise EngineError(
            f"the model file {file} is no GGUF file that can be read: {error}; "
            "correct `model:`, or put another file there"
        ) from error


def _program(model: ModelConfig) -> str | None:
    """The llama-server to start, or None for the embedded server."""
    server = LlamaCppOptions.model_validate(model.options).server
    embedded = importlib.util.find_spec(_EMBEDDED) is not None
    if server in ("auto", _EMBEDDED) and embedded:
        return None
    if server == _EMBEDDED:
        raise EngineError("the package xllamacpp is not installed; run: pip install 'glowplug[llamacpp]'")
    if server == "auto":
        if (found := shutil.which(_INSTALLED)) is None:
            raise EngineError(
                "llama.cpp is not installed; run: pip install 'glowplug[llamacpp]', or put llama-server on the PATH"
            )
        return found
    if (found := shutil.which(str(Path(server).expanduser()))) is None:
        raise EngineError(f"the program {server} was not found; install it, or correct options.server")
    return found


def _path(model: ModelConfig) -> Path:
    return Path(model.model or "").expanduser().absolute()


def _words(model: ModelConfig) -> list[str]:
    """`args:` as words. YAML reads `flash-attn: on` as true; flags that take on and off get those words back."""
    spelled: dict[str, Any] = {}
    for flag, value in model.args.items():
        known = FLAGS.get(flags.main_name(flag))
        takes_word = isinstance(value, bool) and known is not None and not known.switch
        spelled[flags.long_name(flag)] = ("on" if value else "off") if takes_word else value
    return command_line(spelled)


def _given(model: ModelConfig, name: str) -> Sequence[Any]:
    """The values of a flag under any of its names; a list in the configuration counts as several."""
    given: list[Any] = []
    for flag, value in model.args.items():
        if flags.main_name(flag) == name and value is not None:
            given += cast("list[Any]", value) if isinstance(value, list) else [value]
    return given


def _is_on(model: ModelConfig, name: str) -> bool:
    return True in _given(model, name)


def _outline(model: ModelConfig) -> Shape | None:
    try:
        return shape(read_metadata(_path(model)))
    except (OSError, GgufError):
        return None


def _cache_bytes(model: ModelConfig, outline: Shape) -> int:
    """Size of the KV cache: `ctx-size` is shared by all slots; without it llama.cpp takes the trained length, for each
    slot if the number of slots was chosen and the cache is not unified."""
    separate = _given(model, "parallel") and not _is_on(model, "kv-unified")
    slots = _number(model, "parallel", DEFAULT_PARALLEL) if separate else 1
    tokens = _number(model, "ctx-size", 0) or outline.context_length * slots
    types = [next(iter(_given(model, flag)), "f16") for flag in ("cache-type-k", "cache-type-v")]
    bytes_per_value = sum(_BYTES_PER_VALUE.get(str(kind), 2) for kind in types) / 2
    return outline.kv_bytes(tokens, bytes_per_value)


def _number(model: ModelConfig, name: str, default: int) -> int:
    try:
        return int(next(iter(_given(model, name)), default))
    except (TypeError, ValueError):
        return default
