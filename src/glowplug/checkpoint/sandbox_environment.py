"""What an engine in a sandbox gets from the server's environment, and what may not be in there at all.

All of it ends up in an image of the process, on disk and perhaps in an object store. So only variables that engines and
their libraries are known to read are handed over, and of those none that could be a secret.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

from glowplug.coldstart.secrets import holds_token

ENGINE_PREFIXES = (
    *("VLLM_", "SGLANG_", "SGL_", "GGML_", "LLAMA_", "LMDEPLOY_", "TM_", "LMCACHE_", "TRANSFORMERS_", "TOKENIZERS_"),
    *("TORCH", "PYTORCH_", "TRITON_", "FLASHINFER_", "TVM_", "TILELANG_", "DG_", "NUMBA_", "XLA_"),
    *("CUDA_", "NCCL_", "NVIDIA_", "CUBLAS", "CUDNN", "HIP_", "ROCR_", "HSA_", "RAY_", "GLOO_"),
    *("OMP_", "KMP_", "GOMP_", "MKL_", "OPENBLAS_", "ONEDNN_", "DNNL_", "MALLOC_", "PYTHON"),
)
"""Beginnings of the names that engines, their libraries, their runtimes and the drivers below them read."""

ENGINE_NAMES = (
    "HF_HOME",
    "HF_ENDPOINT",
    "HF_HUB_CACHE",
    "HUGGINGFACE_HUB_CACHE",
    "HF_HUB_OFFLINE",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "TZ",
)
"""The same, by the whole name."""

_PREFIXES = (*ENGINE_PREFIXES, "HF_HUB_", "HF_XET_", "LC_", "XDG_")
_NAMES = (*(*ENGINE_NAMES, "PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "SSL_CERT_FILE", "SSL_CERT_DIR"),)

_TOKEN_FILE = "HF_TOKEN_PATH"  # noqa: S105
"""Where huggingface_hub looks for the token of who is logged in; unless told otherwise it reads it into the process
(its constants.py and utils/_auth.py)."""

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_ALWAYS = {"password", "passwd", "passphrase", "secret", "secrets", "credential", "credentials", "bearer", "apikey"}
_SOMETIMES = {"key", "keys", "token", "auth", "authorization", "pat", "cookie"}
_HARMLESS = {
    *("bos", "eos", "pad", "unk", "sep", "cls", "mask", "stop", "special", "image", "video", "audio", "think"),
    *("max", "min", "num", "per", "id", "ids", "chat", "start", "end", "begin", "tool", "reasoning", "count", "embeds"),
    *("cache", "dtype", "scale", "query", "head", "heads", "dim", "length"),
}
"""Words that tell of a token of text, or of the keys of attention."""

_UNNAMED = "the command line"

_CREDENTIALS_IN_URL = re.compile(r"://[^/\s@:]*:[^/\s@]+@")
_KNOWN_FORMS = re.compile(
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bAIza[\w-]{35}|\bgl(?:pat|dt|rt)-[\w-]{20}|\bgh[ousr]_\w{30}|\bgithub_pat_\w{22}"
    r"|\bnvapi-[\w-]{20}|\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
"""Keys of AWS, Google, GitLab, GitHub and NVIDIA, JSON Web Tokens (RFC 7519), and private keys (RFC 7468)."""


def environment_for_sandbox(ours: Mapping[str, str], configured: Mapping[str, str]) -> dict[str, str]:
    """The engine's whole environment: what it may have of `ours`, the server's, under what is `configured` for it.

    A variable that could be a secret is in neither. If a configured one could be, `secret_in` says so, and an engine
    that needs it has no place in a sandbox.
    """
    handed = {name: value for name, value in ours.items() if name in _NAMES or name.startswith(_PREFIXES)}
    kept = {name: value for name, value in {**handed, **configured}.items() if not _is_secret(name, value)}
    return {**kept, _TOKEN_FILE: "/dev/null"}


def secret_in(env: Mapping[str, str], argv: Sequence[str]) -> str | None:
    """The name of a variable or an option that holds a secret, of what is configured for an engine, or None.

    A name tells (`HF_TOKEN`, `--api-key`), or the value does by its form; an option's value may be JSON. Numbers,
    switches and tokens of a vocabulary (`--eos-token`) are none.
    """
    return next((name for name, value in (*env.items(), *_options(argv)) if _is_secret(name, value)), None)


def _options(argv: Sequence[str]) -> Iterable[tuple[str, str]]:
    """Every value on a command line, each under its nearest name."""
    name = _UNNAMED
    for word in argv:
        if word.startswith("-"):
            name, has_value, value = word.partition("=")
            if not has_value:
                continue
        else:
            value = word
        yield name, value
        if value.lstrip().startswith(("{", "[")):
            with suppress(ValueError):
                yield from _texts(name, json.loads(value))
        name = _UNNAMED


def _texts(name: str, content: Any) -> Iterable[tuple[str, str]]:
    if isinstance(content, str):
        yield name, content
    elif isinstance(content, dict):
        for key, item in cast("dict[str, Any]", content).items():
            yield from _texts(key, item)
    elif isinstance(content, list):
        for item in cast("list[Any]", content):
            yield from _texts(name, item)


def _is_secret(name: str, value: str) -> bool:
    if value.strip().lower() in ("", "true", "false", "none", "null", "auto"):
        return False
    return _named_secret(name, value) or bool(
        holds_token(value) or _CREDENTIALS_IN_URL.search(value) or _KNOWN_FORMS.search(value)
    )


def _named_secret(name: str, value: str) -> bool:
    words = {word.lower() for word in _WORDS.findall(name)}
    if words & _ALWAYS or {"api", "key"} <= words:
        return True
    return bool(words & _SOMETIMES and not words & _HARMLESS and not _is_number(value))


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
