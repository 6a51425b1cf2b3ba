"""The program `python -m glowplug.engines.llama_cpp_server`: llama.cpp's own HTTP server out of the xllamacpp package.

It takes the flags of `llama-server`. Nothing but xllamacpp and the standard library is loaded, so that a cold start
pays only for the model. Until the model is loaded, the port listens and /health answers 503.
"""

import importlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from glowplug.engines.gguf import GgufError, read_metadata
from glowplug.engines.llama_cpp_arguments import FlagError, Setting, apply, read
from glowplug.engines.llama_cpp_flags import DEFAULT_PARALLEL

DEFAULT_CACHE_RAM_MIB = 256
"""Host RAM for prompts that have left their slot. llama-server's 8192 would let every idle replica grow by 8 GiB that
nobody has planned for, and make each park and snapshot as much larger."""

_FAILED, _USAGE = 1, 2


def main(words: Sequence[str]) -> int:
    """Serve until SIGTERM or SIGINT; returns an exit code only if the server could not start.

    The model is loaded beside the main thread, which waits for signals, so that a stop is obeyed at once in the middle
    of a long load. There is nothing to save: the process just ends.
    """
    stop = {signal.SIGTERM, signal.SIGINT}
    failed = signal.SIGUSR1
    # Blocked before any other thread exists, so that every thread inherits it and only sigwait() takes them.
    signal.pthread_sigmask(signal.SIG_BLOCK, {*stop, failed})
    try:
        settings = read(words)
        _check(settings)
    except FlagError as error:
        return _say(f"error: {error}", _USAGE)
    except _StartError as error:
        return _say(f"error: {error}", _FAILED)
    server = _Server(settings, on_failure=lambda: signal.pthread_kill(threading.main_thread().ident or 0, failed))
    threading.Thread(target=server.start, daemon=True).start()
    if signal.sigwait({*stop, failed}) == failed:
        return _say(f"error: {server.failure}", _FAILED)
    _say("stopped by signal", 0)
    os._exit(0)


class _StartError(Exception):
    """The server cannot start. The text is one sentence for the user, with the remedy."""


class _Server:
    def __init__(self, settings: Sequence[Setting], on_failure: Callable[[], None]) -> None:
        self._settings = settings
        self._on_failure = on_failure
        self._running: Any = None  # the native server lives as long as this reference
        self.failure = ""

    def start(self) -> None:
        try:
            xllamacpp = importlib.import_module("xllamacpp")
            self._running = xllamacpp.Server(_parameters(self._settings, xllamacpp))
        except Exception as error:
            self.failure = _explain(error, _value(self._settings, "model.path"))
            self._on_failure()


def _parameters(settings: Sequence[Setting], xllamacpp: Any) -> Any:
    given = {setting.name for setting in settings}
    params = xllamacpp.CommonParams()
    params.ui = False
    params.cache_ram_mib = DEFAULT_CACHE_RAM_MIB
    if "parallel" not in given:
        params.n_parallel = DEFAULT_PARALLEL
        params.kv_unified = True
    # Fitting loads the model's outline twice more (0.15 s for 135M parameters) to choose how many layers go to a GPU
    # and how long the context is; without a GPU and with a given context there is nothing to choose.
    params.fit_params = "ctx-size" not in given or _has_gpu(xllamacpp)
    apply(settings, params, xllamacpp)
    return params


def _has_gpu(xllamacpp: Any) -> bool:
    cpu = xllamacpp.ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_CPU
    return any(device["type"] != cpu for device in xllamacpp.get_device_info())


def _check(settings: Sequence[Setting]) -> None:
    """Find the mistakes that llama.cpp would only report as a failure to initialise."""
    model, port = _value(settings, "model.path"), _value(settings, "port")
    if not isinstance(model, str) or not isinstance(port, int):
        raise FlagError("--model and --port are needed")
    try:
        read_metadata(Path(model))
    except GgufError as error:
        raise _StartError(f"{model} is not a GGUF file that can be loaded: {error}") from error
    except OSError as error:
        raise _StartError(f"{model} cannot be read ({error.strerror}); correct its permissions") from error
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise _StartError(f"port {port} cannot be used ({error.strerror}); choose another one") from error


def _explain(error: Exception, model: object) -> str:
    if isinstance(error, ImportError) and ".so" in str(error):
        library = str(error).partition(":")[0]
        return f"llama.cpp needs the system library {library}; install it (on Debian: apt-get install libgomp1)"
    return (
        f"llama.cpp could not load {model}; its lines above say why ({error}). "
        "If they say that the file is damaged, copy or download it again"
    )


def _value(settings: Sequence[Setting], path: str) -> object:
    return next((setting.assignments[path] for setting in settings if path in setting.assignments), None)


def _say(line: str, code: int) -> int:
    print(line, file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
