"""Reads the few numbers of a GGUF file that tell how much memory its KV cache takes.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (version 2 and 3, little endian).
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

MAGIC = b"GGUF"

_UINT8, _INT8, _UINT16, _INT16, _UINT32, _INT32, _FLOAT32, _BOOL, _STRING, _ARRAY, _UINT64, _INT64, _FLOAT64 = range(13)
_SCALARS = {
    _UINT8: "<B", _INT8: "<b", _UINT16: "<H", _INT16: "<h", _UINT32: "<I", _INT32: "<i", _FLOAT32: "<f", _BOOL: "<?",
    _UINT64: "<Q", _INT64: "<q", _FLOAT64: "<d",
}  # fmt: skip
_LONGEST_STRING = 16 * 1024**2  # chat templates are tens of kilobytes; more than this is a damaged length field
_MOST_ITEMS = 16 * 1024**2


class GgufError(Exception):
    """The file is no GGUF file, or is cut off. The text is one sentence without the path."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides the size of the KV cache. `kv_values_per_token` counts numbers over all layers, keys and values."""

    context_length: int
    kv_values_per_token: int

    def kv_bytes(self, tokens: int, bytes_per_value: float) -> int:
        """Bytes of a KV cache for `tokens` tokens: layers x KV heads x (key length + value length) numbers each."""
        return int(tokens * self.kv_values_per_token * bytes_per_value)


def shape(metadata: Mapping[str, Any]) -> Shape | None:
    """The shape of the model behind `read_metadata`, or None if it has no attention, or describes it otherwise."""
    architecture = metadata.get("general.architecture")
    try:
        heads = _per_layer(metadata[f"{architecture}.attention.head_count"])
        layers = int(metadata[f"{architecture}.block_count"])
        kv_heads = _per_layer(metadata.get(f"{architecture}.attention.head_count_kv", heads))
        head_size = int(metadata[f"{architecture}.embedding_length"]) // max(heads)
        key = int(metadata.get(f"{architecture}.attention.key_length", head_size))
        value = int(metadata.get(f"{architecture}.attention.value_length", head_size))
        context = int(metadata[f"{architecture}.context_length"])
    except (KeyError, ZeroDivisionError):
        return None
    all_kv_heads = sum(kv_heads) if len(kv_heads) > 1 else kv_heads[0] * layers
    return Shape(context_length=context, kv_values_per_token=all_kv_heads * (key + value))


def _per_layer(value: Any) -> list[int]:
    """Some models write one number for all layers, others a list with one per layer."""
    return [int(item) for item in cast("list[Any]", value)] if isinstance(value, list) else [int(value)]


def check_header(path: Path) -> None:
    """Read the first 24 bytes. Raises GgufError if they are not those of a GGUF file, OSError."""
    with path.open("rb") as file:
        _header(file)


def read_metadata(path: Path) -> Mapping[str, Any]:
    """Key-value pairs up to the tokenizer's, which are megabytes long and come last in every writer we know.

    Raises:
        GgufError: no GGUF file, or cut off within the metadata.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        pairs = _header(file)
        metadata: dict[str, Any] = {}
        for _ in range(pairs):
            key = _string(file)
            if key.startswith("tokenizer."):
                break
            metadata[key] = _value(file, _number(file, "<I"))
        return metadata


def _header(file: BinaryIO) -> int:
    """Number of key-value pairs that follow."""
    magic = file.read(4)
    if not magic:
        raise GgufError("it is empty")
    if magic != MAGIC:
        raise GgufError(f"it begins with {magic!r} instead of {MAGIC!r}")
    version = _number(file, "<I")
    if version not in (2, 3):
        raise GgufError(f"it is GGUF version {version}, and only versions 2 and 3 are known")
    _tensors, pairs = _number(file, "<Q"), _number(file, "<Q")
    return pairs


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return _string(file)
    if kind == _ARRAY:
        item_kind, count = _number(file, "<I"), _number(file, "<Q")
        if count > _MOST_ITEMS:
            raise GgufError("its metadata are damaged")
        return [_value(file, item_kind) for _ in range(count)]
    if kind not in _SCALARS:
        raise GgufError("its metadata are damaged")
    return _number(file, _SCALARS[kind])


def _string(file: BinaryIO) -> str:
    length = _number(file, "<Q")
    if length > _LONGEST_STRING:
        raise GgufError("its metadata are damaged")
    return _exactly(file, length).decode("utf-8", "replace")


def _number(file: BinaryIO, form: str) -> Any:
    return struct.unpack(form, _exactly(file, struct.calcsize(form)))[0]


def _exactly(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) != count:
        raise GgufError("it ends in the middle of its metadata; copy or download it again")
    return data
