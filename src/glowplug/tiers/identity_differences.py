"""In which fields two identities differ, in plain sentences that name the field and both values."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from glowplug.tiers.identity import Identity, IdentityError

_MOST = 4
"""Sentences about one field. An upgrade changes a hundred packages, and a few of them tell what happened."""

_SCALARS = {
    "format": "format of sandboxes",
    "model": "model",
    "engine": "engine",
    "engine_version": "engine version",
    "directory": "working directory",
    "architecture": "architecture",
    "kernel": "kernel",
    "page_size": "page size",
    "criu": "CRIU",
    "driver": "GPU driver",
    "gpu": "GPU",
}


def differences(recorded: Mapping[str, Any], now: Identity) -> list[str]:
    """What differs between the identity in a manifest and the one of now; empty if it may be restored.

    An identity that cannot be read differs, and the one sentence says why.
    """
    if isinstance(recorded.get("format"), int) and recorded["format"] != now.format:
        return [_changed(_SCALARS["format"], recorded["format"], now.format)]
    try:
        then = Identity.from_json(recorded)
    except IdentityError as error:
        return [str(error)]
    return [
        *(
            _changed(label, getattr(then, name), getattr(now, name))
            for name, label in _SCALARS.items()
            if getattr(then, name) != getattr(now, name)
        ),
        *_few(list(_packages(then.packages, now.packages)), "packages"),
        *_few(list(_files("program", then.programs, now.programs)), "programs"),
        *_few(list(_files("file", then.files, now.files)), "files"),
        *_arguments(then.arguments, now.arguments),
        *_few(list(_environment(then.environment, now.environment)), "variables"),
        *_flags(set(then.cpu_flags), set(now.cpu_flags)),
    ]


def _changed(label: str, then: Any, now: Any) -> str:
    return f"{label}: {_shown(then)} then, {_shown(now)} now"


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)


def _few(sentences: Sequence[str], what: str) -> Sequence[str]:
    if len(sentences) <= _MOST:
        return sentences
    shown = _MOST - 1
    return [*sentences[:shown], f"{what}: {len(sentences) - shown} more differ"]


def _files(label: str, then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for path in sorted({*then, *now}):
        if path not in now:
            yield f"{label} {path}: there then, missing now"
        elif path not in then:
            yield f"{label} {path}: missing then, there now"
        elif then[path] != now[path]:
            yield f"{label} {path}: its content was {_short(then[path])} then, is {_short(now[path])} now"


def _short(digest: str) -> str:
    algorithm, _, number = digest.rpartition(":")
    return f"{algorithm} {number[:12]}"


def _packages(then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    versions_then, versions_now = _versions(then), _versions(now)
    for name in sorted({*versions_then, *versions_now}):
        before, after = versions_then.get(name, []), versions_now.get(name, [])
        if before != after:
            yield f"package {name}: {_listed(before) or 'missing'} then, {_listed(after) or 'missing'} now"
        for version in before:
            package = f"{name}-{version}"
            if package in now and then[package] != now[package]:
                yield (
                    f"package {name} {version}: its record was {_short(then[package])} then, "
                    f"is {_short(now[package])} now"
                )


def _versions(packages: Collection[str]) -> Mapping[str, Sequence[str]]:
    """Versions by name. Names of distributions have no dash in metadata folders (PEP 376 and its successors)."""
    versions: dict[str, list[str]] = {}
    for package in sorted(packages):
        name, _, version = package.partition("-")
        versions.setdefault(name, []).append(version)
    return versions


def _arguments(then: Sequence[str], now: Sequence[str]) -> Iterator[str]:
    """The part in which the command lines differ, from the option that it belongs to."""
    if then == now:
        return
    shorter = min(len(then), len(now))
    first = next((index for index in range(shorter) if then[index] != now[index]), shorter)
    last = next((index for index in range(shorter - first) if then[-1 - index] != now[-1 - index]), shorter - first)
    if first and then[first - 1].startswith("-"):
        first -= 1
    before, after = then[first : len(then) - last], now[first : len(now) - last]
    yield _changed("arguments", " ".join(before) or None, " ".join(after) or None)


def _environment(then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*then, *now}):
        if then.get(name) != now.get(name):
            yield f"variable {name}: {_value(then, name)} then, {_value(now, name)} now"


def _value(env: Mapping[str, str], name: str) -> str:
    return f'"{env[name]}"' if name in env else "not set"


def _flags(then: set[str], now: set[str]) -> Iterator[str]:
    if gone := sorted(then - now):
        yield f"CPU flags: {_listed(gone)} there then, missing now"
    if new := sorted(now - then):
        yield f"CPU flags: {_listed(new)} missing then, there now"


def _listed(items: Sequence[str]) -> str:
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)
