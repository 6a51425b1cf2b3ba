"""What happens in a process before a snapshot of it is taken, and after it was restored.

All modules that the second moment needs are loaded at the first, and so is what it needs to know: it is on the path
between a request and its answer.
"""

from __future__ import annotations

import gc
import sys
import time

from . import generators, identifiers, libc, openssl, protocol
from .entropy import Entropy

TYPE_CHECKING = False  # the name is what type checkers know; importing `typing` takes milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

_last: protocol.Answer | None = None
_generators: list[tuple[generators.Reseed, Any]] | None = None
_mix_into_openssl: list[Callable[[bytes], None]] = []
_notes: list[str] = []


class _Failure(Exception):
    """What went wrong, as a sentence without its full stop."""


def answer(moment: str, moment_id: str) -> protocol.Answer:
    """Do what the moment asks for, and say what came of it. A question that is repeated gets the same answer again."""
    global _last
    if _last is None or _last.moment_id != moment_id:
        started = time.perf_counter()
        failure = ""
        try:
            if moment == protocol.BEFORE_SNAPSHOT:
                _before_snapshot()
            else:
                _after_restore(Entropy(moment_id))
        except _Failure as error:
            failure = str(error)
        _last = protocol.Answer(moment, moment_id, time.perf_counter() - started, failure, _notes)
    return _last


def _before_snapshot() -> None:
    _run_registered(protocol.BEFORE_SNAPSHOT)
    gc.collect()
    _attempt("random generators cannot be looked for", _find)
    libc.give_back_memory()


def _after_restore(entropy: Entropy) -> None:
    global _generators
    if _generators is None:  # nobody told us of the snapshot
        _attempt("random generators cannot be looked for", _find)
    found, _generators = _generators or [], None
    for mix_in in _mix_into_openssl:
        _attempt("OpenSSL cannot be given a new seed", mix_in, entropy.draw(64))
    for reseed, generator in found:
        _attempt(
            f"a generator of type {type(generator).__qualname__} cannot be given a new seed", reseed, generator, entropy
        )
    _attempt("CUDA's random generators cannot be given new seeds", generators.reseed_cuda, entropy)
    _attempt("the C library cannot be given a new seed", libc.reseed, entropy)
    _attempt("ids and names cannot be renewed", identifiers.renew, entropy)
    _run_registered(protocol.AFTER_RESTORE)


def _find() -> None:
    global _generators, _mix_into_openssl, _notes
    _generators = generators.find()
    _mix_into_openssl, _notes = openssl.find()


def _run_registered(moment: str) -> None:
    """What users registered for the moment; nothing can be if nobody has imported the module for it."""
    registry: Any = sys.modules.get("glowplug_snapshot")
    if registry is None:
        return
    before = moment == protocol.BEFORE_SNAPSHOT
    calls: Sequence[Any] = registry.calls_before_snapshot() if before else registry.calls_after_restore()
    for func, args, kwargs in calls:
        name = getattr(func, "__qualname__", None) or type(func).__qualname__
        result: Any = _attempt(f"the {moment} hook {name} failed", func, *args, **kwargs)
        if hasattr(result, "__await__"):
            raise _Failure(f"the {moment} hook {name} is asynchronous, and there is no event loop to run it in")


def _attempt(what: str, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    try:
        return func(*args, **kwargs)
    except BaseException as error:  # SystemExit too: it would end no more than our thread, without an answer
        detail = f": {error}" if str(error) else ""
        raise _Failure(f"{what}: {type(error).__name__}{detail}") from error
