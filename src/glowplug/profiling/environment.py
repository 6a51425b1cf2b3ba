"""What a command and its environment tell of the conditions of a start."""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_WEIGHTS = (".safetensors", ".gguf", ".bin", ".pt", ".pth")
_TELLING = re.compile(
    r"(?:VLLM|SGLANG|SGL|LMDEPLOY|TM|LMCACHE|TORCH|TORCHINDUCTOR|PYTORCH|TRITON|FLASHINFER|CUDA|NVIDIA|NCCL|OMP|MKL|HF|"
    r"HUGGINGFACE|LLAMA|GGML|XDG_CACHE|PYTHON)\w+"
)
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL|AUTH", re.IGNORECASE)
_SECRET_OPTION = re.compile(r"(?i)(--(?:[\w-]*-)?(?:key|token|secret|password))(=.*)?", re.DOTALL)
"""`--api-key` and `--hf-token`, but not `--max-total-tokens`."""


def telling_variables(env: Mapping[str, str]) -> Mapping[str, str]:
    """The environment variables that engines and their libraries go by, without those that hold secrets."""
    return {name: env[name] for name in sorted(env) if _TELLING.fullmatch(name) and not _SECRET.search(name)}


def without_secrets(argv: Sequence[str]) -> Sequence[str]:
    """A command line fit to be shown: the values of options that are named like secrets are replaced by `***`."""
    shown: list[str] = []
    hide_next = False
    for word in argv:
        if hide_next and not word.startswith("-"):
            shown.append("***")
            hide_next = False
            continue
        match = _SECRET_OPTION.fullmatch(word)
        hide_next = match is not None and match[2] is None
        shown.append(f"{match[1]}=***" if match is not None and match[2] is not None else word)
    return shown


def named_weights(argv: Sequence[str]) -> Sequence[Path]:
    """The weight files among, or in the folders among, the words of a command line."""
    words = [word.partition("=")[2] if word.startswith("--") else word for word in argv[1:]]
    return [file for word in words if word for file in _weights_in(Path(word))]


def _weights_in(path: Path) -> Iterable[Path]:
    with suppress(OSError):
        if path.is_file():
            return [path] if path.suffix in _WEIGHTS else []
        if path.is_dir():
            return sorted(file for file in path.iterdir() if file.suffix in _WEIGHTS and file.is_file())
    return []
