"""The weight files behind the `model:` key, if it names something on this machine."""

import re
from collections.abc import Sequence
from pathlib import Path

from glowplug.engines.base import EngineError

_SUFFIXES = (".safetensors", ".gguf", ".bin", ".pt", ".pth")
_SHARD = re.compile(r"(?P<stem>.+)-(?P<index>\d{5})-of-(?P<count>\d{5})\.gguf")

WORKING_SPACE = 256 * 1024**2
"""Bytes that an engine is believed to need beside its weights when nothing better is known: code, activations, a
small KV cache. The node measures the truth after the first start."""


def local_weights(model: str | None) -> Sequence[Path]:
    """Files to read for a model given as a file, a shard of a split GGUF or a directory; empty for a hub name."""
    if model is None:
        return ()
    path = Path(model).expanduser()
    if path.is_dir():
        return tuple(sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES))
    return tuple(shards(path)) if path.is_file() else ()


def shards(path: Path) -> Sequence[Path]:
    """All files of a split GGUF (`name-00001-of-00003.gguf`), whether they exist or not; the file itself if whole."""
    match = _SHARD.fullmatch(path.name)
    if match is None:
        return (path,)
    count = int(match["count"])
    return tuple(path.with_name(f"{match['stem']}-{index:05}-of-{count:05}.gguf") for index in range(1, count + 1))


def require_file(path: Path, what: str) -> None:
    """Raise EngineError unless `path` is a file that can be read."""
    if path.is_dir():
        raise EngineError(f"{what} {path} is a directory; give the path of a file in it")
    if not path.is_file():
        raise EngineError(f"{what} {path} does not exist; correct the path, or put the file there")
    try:
        path.open("rb").close()
    except OSError as error:
        raise EngineError(f"{what} {path} cannot be read ({error.strerror}); correct its permissions") from error


def total_size(files: Sequence[Path]) -> int:
    """Bytes of those files that exist."""
    return sum(file.stat().st_size for file in files if file.is_file())
