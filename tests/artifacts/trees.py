"""File trees to store, and what is compared of them."""

import os
import random
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MIB = 1 << 20


def small_tree(folder: Path, seed: int = 0) -> Path:
    """A little of everything: text, noise, an empty file, directories, links, a sparse file, odd modes and times."""
    noise = random.Random(seed)
    (folder / "images/deep").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "images/pages-1.img").write_bytes(noise.randbytes(3 * MIB + 17))
    (folder / "images/text.log").write_bytes(b"a line that repeats\n" * 200_000)
    (folder / "images/deep/nothing").touch()
    (folder / "images/script").write_bytes(b"#!/bin/sh\n")
    (folder / "images/script").chmod(0o750)
    (folder / "images/deep/up").symlink_to("../text.log")
    (folder / "beside").symlink_to("images")
    sparse_file(folder / "sparse", 16 * MIB, {8 * MIB: b"in the middle", 16 * MIB - 5: b"close"})
    (folder / "images").chmod(0o711)
    for index, path in enumerate(sorted(folder.rglob("*"), reverse=True)):
        os.utime(path, ns=(0, 1_600_000_000_123_456_789 + index), follow_symlinks=False)
    return folder


def sparse_file(path: Path, size: int, contents: Mapping[int, bytes]) -> None:
    with path.open("wb") as file:
        file.truncate(size)
        for offset, data in contents.items():
            file.seek(offset)
            file.write(data)


def described(folder: Path) -> dict[str, Any]:
    """Everything about a tree that an artifact keeps."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        state = path.lstat()
        contents = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(folder))] = (stat.filemode(state.st_mode), state.st_mtime_ns, contents)
    return found


def files_of(store: Path) -> list[str]:
    """The files that an artifact could have left in a store."""
    return sorted(
        str(path.relative_to(store))
        for part in ("chunks", "manifests", "quarantine", "writing")
        for path in (store / part).rglob("*")
    )
