"""Models in Hugging Face form: where they are on this machine, which files hold the weights, whether any is missing."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from glowplug.config.models import ModelConfig
from glowplug.engines.base import EngineError
from glowplug.engines.gguf import Shape
from glowplug.engines.weights import require_file

_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_PATTERNS = ("model*.safetensors", "*.safetensors", "pytorch_model*.bin", "*.bin")
"""Names of weight files, the ones that engines prefer first."""

_TRUE = {"1", "on", "yes", "true"}


def check(engine: str, model: ModelConfig, cache: Path | None = None, revision: str = "main") -> None:
    """Raise EngineError if the model cannot be loaded from what is here and may not be fetched either.

    What is neither a path nor a hub name, such as an address in an object store, is left to the engine.
    """
    if model.model is None:
        raise EngineError(
            f"{engine} needs `model:`, a directory in Hugging Face form or the name of a model on the hub"
        )
    if (path := _path(model.model)) is not None:
        if path.is_dir() or not path.exists():
            _require_complete(path)
        else:
            require_file(path, "the model file")
    elif _HUB_NAME.fullmatch(model.model) and _is_offline(model):
        if (found := directory(model, cache, revision)) is None:
            raise EngineError(
                f"the model {model.model} is not on this machine, and HF_HUB_OFFLINE forbids to fetch it; "
                f"run: hf download {model.model}, or remove the variable"
            )
        _require_complete(found)


def directory(model: ModelConfig, cache: Path | None = None, revision: str = "main") -> Path | None:
    """The directory that holds the model: the given one, or what was fetched from the hub; None if there is none.

    `cache` is where the engine keeps what it fetches, if not where its environment says.
    """
    if model.model is None:
        return None
    if (path := _path(model.model)) is not None:
        return path if path.is_dir() else None
    if _HUB_NAME.fullmatch(model.model) is None:
        return None
    repository = (cache or _hub_cache(model)) / f"models--{model.model.replace('/', '--')}"
    try:
        commit = (repository / "refs" / revision).read_text().strip()
    except OSError:
        commit = revision
    snapshot = repository / "snapshots" / commit
    return snapshot if snapshot.is_dir() else None


def weight_files(folder: Path) -> Sequence[Path]:
    """Files that an engine reads the weights from, those included that its index names and that are missing."""
    for index in _INDEXES:
        if named := _named_by(folder / index):
            return [folder / name for name in named]
    for pattern in _PATTERNS:
        if files := sorted(folder.glob(pattern)):
            return files
    return ()


def shape(folder: Path) -> Shape | None:
    """What `config.json` says of the KV cache; None if it is not there, or describes another kind of cache."""
    config = _read(folder / "config.json")
    config = cast("Mapping[str, Any]", config.get("text_config") or config)
    try:
        if "kv_lora_rank" in config:  # latent attention: one compressed vector per token instead of keys and values
            return None
        heads = int(config["num_attention_heads"])
        kv_heads = int(config.get("num_key_value_heads") or heads)
        head_size = int(config.get("head_dim") or int(config["hidden_size"]) // heads)
        return Shape(
            context_length=int(config["max_position_embeddings"]),
            kv_values_per_token=int(config["num_hidden_layers"]) * kv_heads * 2 * head_size,
        )
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None


def _path(model: str) -> Path | None:
    """The model as a path, if it is one. What exists is a path to engines too, even if it looks like a hub name."""
    path = Path(model).expanduser()
    return path if model.startswith(("/", "~", "./", "../")) or path.exists() else None


def _require_complete(folder: Path) -> None:
    if not folder.is_dir():
        raise EngineError(f"the model directory {folder} does not exist; correct `model:`, or put the model there")
    if not (folder / "config.json").is_file() and not (folder / "params.json").is_file():
        raise EngineError(
            f"the directory {folder} holds no config.json, so it is no model in Hugging Face form; correct `model:`"
        )
    files = weight_files(folder)
    if not files:
        raise EngineError(f"the model directory {folder} holds no weights; copy or download the model again")
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise EngineError(
            f"the model directory {folder} is incomplete: {missing[0]} is missing"
            f"{f', with {len(missing) - 1} more' if len(missing) > 1 else ''}; copy or download the model again"
        )


def _named_by(index: Path) -> Sequence[str]:
    weight_map = _read(index).get("weight_map")
    return sorted(set(cast("dict[str, str]", weight_map).values())) if isinstance(weight_map, dict) else ()


def _read(file: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return cast("dict[str, Any]", content) if isinstance(content, dict) else {}


def _hub_cache(model: ModelConfig) -> Path:
    """As huggingface_hub finds it (its constants.py): HF_HUB_CACHE, else hub in HF_HOME, else in ~/.cache."""
    variables = {**os.environ, **model.env}
    if cache := variables.get("HF_HUB_CACHE"):
        return Path(cache).expanduser()
    cache_home = Path(variables.get("XDG_CACHE_HOME") or "~/.cache")
    return Path(variables.get("HF_HOME") or cache_home / "huggingface").expanduser() / "hub"


def _is_offline(model: ModelConfig) -> bool:
    variables = {**os.environ, **model.env}
    return any(variables.get(name, "").lower() in _TRUE for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))
