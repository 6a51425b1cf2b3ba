"""Writes small GGUF files: metadata without any weights."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LLAMA = {
    "general.architecture": "llama",
    "llama.block_count": 4,
    "llama.context_length": 1000,
    "llama.embedding_length": 64,
    "llama.attention.head_count": 8,
    "llama.attention.head_count_kv": 2,
}
"""Per token 4 layers x 2 KV heads x (8 + 8) numbers = 128."""


def gguf(metadata: Mapping[str, Any]) -> bytes:
    pairs = b"".join(_string(key) + _typed(value) for key, value in metadata.items())
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(metadata)) + pairs


def write_gguf(path: Path, metadata: Mapping[str, Any] = LLAMA, size: int = 0) -> Path:
    path.write_bytes(gguf(metadata).ljust(size, b"\0"))
    return path


def _string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _typed(value: Any) -> bytes:
    kind, data = _value(value)
    return struct.pack("<I", kind) + data


def _value(value: Any) -> tuple[int, bytes]:
    match value:
        case bool():
            return 7, struct.pack("<?", value)
        case int():
            return 4, struct.pack("<I", value)
        case float():
            return 6, struct.pack("<f", value)
        case str():
            return 8, _string(value)
        case list():
            items = [_value(item) for item in value]
            return 9, struct.pack("<IQ", items[0][0], len(items)) + b"".join(data for _, data in items)
    raise TypeError(value)
