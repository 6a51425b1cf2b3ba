"""Directories that look like models in Hugging Face form, and programs that look like engines. Nothing is loaded."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LLAMA = {
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "hidden_size": 576,
    "max_position_embeddings": 8192,
}
"""SmolLM2-135M: 30 x 3 x 2 x 64 = 11520 numbers of KV cache for each token."""


def write_model(folder: Path, weights: Mapping[str, int], config: Mapping[str, Any] | None = None) -> Path:
    """A model directory with weight files of these sizes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(LLAMA if config is None else config))
    for name, size in weights.items():
        (folder / name).write_bytes(bytes(size))
    return folder


def write_index(folder: Path, *names: str) -> None:
    """The index of a model whose weights are in several files."""
    weight_map = {f"layer.{number}": name for number, name in enumerate(names)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def write_snapshot(hub: Path, name: str, revision: str = "main", **weights: int) -> Path:
    """A model as huggingface_hub leaves it in its cache."""
    repository = hub / f"models--{name.replace('/', '--')}"
    commit = "0123456789abcdef0123456789abcdef01234567"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / revision).write_text(commit)
    return write_model(repository / "snapshots" / commit, {"model.safetensors": 100, **weights})


def write_program(path: Path) -> Path:
    """A file that can be executed and does nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path
