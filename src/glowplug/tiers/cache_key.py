"""The key of a folder of compile caches: the same as long as what was compiled can be of use.

Pure: the facts are handed in (`cache_facts.py` gathers them). The key is not what makes a cache safe to use: engines
and compilers look themselves whether what they find fits, by keys of their own over far more, and a cache under the
wrong key costs one compilation. What they do not all look at is the CPU: code for one that can do more ends a process.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_LENGTH = 32
"""Hexadecimal digits, 128 bits."""

_WITHOUT_EFFECT = frozenset(
    {
        "allowed-headers", "allowed-methods", "allowed-origins", "chat-template", "chat-template-content-format",
        "disable-log-requests", "disable-log-stats", "disable-uvicorn-access-log", "enable-auto-tool-choice",
        "enable-log-outputs", "enable-log-requests", "log-config-file", "log-level", "log-level-http", "log-requests",
        "log-requests-level", "max-log-len", "reasoning-parser", "response-role", "root-path", "ssl-ca-certs",
        "ssl-certfile", "ssl-keyfile", "tool-call-parser", "uvicorn-log-level",
    }
)  # fmt: skip
"""Flags about what an engine logs, whom it answers and in which words."""

_PREFIXES = ("CC", "CFLAGS", "CUDA", "CXX", "FLASHINFER_", "OMP_", "PYTORCH_", "SGLANG_", "TORCH", "TRITON_", "VLLM_")
_SECRET = ("KEY", "TOKEN", "SECRET", "PASSWORD")
"""Of variables: those that compilers and engines read, but for what lets somebody in somewhere."""


@dataclass(frozen=True, slots=True)
class CacheFacts:
    """What compiled code depends on.

    Attributes:
        engine: the adapter's name.
        version: the engine's; None if unknown.
        packages: of the engine and of the compilers behind it, each with its version and a digest of its contents.
        machine: architecture, what the CPU can do, the GPU.
        model: as configured, a path or a hub name.
        arguments: `args` of the model.
        environment: `env` of the model.
    """

    engine: str
    version: str | None
    packages: Mapping[str, str]
    machine: Mapping[str, str]
    model: str | None
    arguments: Mapping[str, Any]
    environment: Mapping[str, str]


def cache_key(facts: CacheFacts) -> str:
    """The name of the folder, in hexadecimal digits. It does not depend on the order of anything."""
    arguments = {name.replace("_", "-"): value for name, value in facts.arguments.items()}
    counted = {
        "engine": facts.engine,
        "version": facts.version,
        "packages": dict(facts.packages),
        "machine": dict(facts.machine),
        "model": facts.model,
        "arguments": {name: value for name, value in arguments.items() if name not in _WITHOUT_EFFECT},
        "environment": {name: value for name, value in facts.environment.items() if _counts(name)},
    }
    text = json.dumps(counted, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]


def _counts(variable: str) -> bool:
    return variable.startswith(_PREFIXES) and not variable.endswith(_SECRET)
