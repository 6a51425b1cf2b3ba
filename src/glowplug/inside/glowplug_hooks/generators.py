"""Random generators in this process: Python's, NumPy's and PyTorch's, those of the libraries and those of the engine.

They are looked for before the snapshot, which takes tenths of a second in an engine, and get new seeds after a restore
without a search. Libraries that are not loaded have no generators, and are not loaded for this.
"""

from __future__ import annotations

import _thread
import gc
import sys

TYPE_CHECKING = False  # the name is what type checkers know; importing `typing` takes milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .entropy import Entropy

    Reseed = Callable[[Any, Entropy], None]


_HAS_FAST_LOCALS = 1
"""CO_OPTIMIZED: the code of a function. Elsewhere the local variables are a module's or a class's own dictionary."""

_LOCALS = frozenset(("locals", "vars"))


def find() -> list[tuple[Reseed, Any]]:
    """All generators that something in this process refers to, each with the function that gives it a new seed."""
    kinds = _kinds()
    if not kinds:
        return []
    # Some of these types do not take part in garbage collection, so what the others refer to is looked at too.
    objects = _tracked_objects() + _local_variables()
    objects += gc.get_referents(*objects)
    # By exact type: isinstance() would run code of objects that load something as soon as they are asked anything.
    wanted: dict[type, Reseed] = {}
    for found in set(map(type, objects)):
        for kind, reseed in kinds:
            if kind in found.__mro__:
                wanted[found] = reseed
    unique = {id(found): found for found in objects if type(found) in wanted}.values()
    order = [reseed for _, reseed in kinds]
    return sorted(((wanted[type(found)], found) for found in unique), key=lambda pair: order.index(pair[0]))


def reseed_cuda(entropy: Entropy) -> None:
    """New seeds for PyTorch's CUDA generators, and for those it will make when CUDA is first used."""
    torch: Any = sys.modules.get("torch")
    cuda: Any = getattr(torch, "cuda", None)
    if cuda is not None and torch.backends.cuda.is_built() and not cuda._is_in_bad_fork():
        cuda.manual_seed_all(entropy.draw_integer(64))


def _kinds() -> list[tuple[type, Reseed]]:
    """Types of generators in the order in which they are to be given seeds."""
    kinds: list[tuple[type, Reseed]] = []
    python: Any = sys.modules.get("_random")
    if python is not None:
        kinds.append((python.Random, _reseed_python))
    numpy: Any = sys.modules.get("numpy.random")
    if hasattr(numpy, "RandomState"):  # not while another thread is importing it
        kinds.append((numpy.BitGenerator, _reseed_bit_generator))
        kinds.append((numpy.RandomState, _forget_gauss))
    torch: Any = sys.modules.get("torch")
    if hasattr(torch, "Generator"):
        kinds.append((torch.Generator, _reseed_torch))
    return kinds


def _reseed_python(generator: Any, entropy: Entropy) -> None:
    generator.seed(entropy.draw_integer(512))


def _reseed_bit_generator(generator: Any, entropy: Entropy) -> None:
    seeds: Any = generator.seed_seq if hasattr(generator, "seed_seq") else generator._seed_seq
    sequence: Any = sys.modules["numpy.random"].SeedSequence
    fresh: Any = sequence(entropy.draw_integer(256))
    # The generator is as a new one of its type; its own sequence, from which others may be spawned, changes in place.
    state = type(generator)(fresh).state
    with generator.lock:
        generator.state = state
        if type(seeds) is sequence:
            seeds.__init__(entropy.draw_integer(256))


def _forget_gauss(generator: Any, _entropy: Entropy) -> None:
    """A RandomState draws from a bit generator, which has its new seed, but keeps every second normal number."""
    generator.set_state({**generator.get_state(legacy=False), "has_gauss": 0, "gauss": 0.0})


def _reseed_torch(generator: Any, entropy: Entropy) -> None:
    generator.manual_seed(entropy.draw_integer(64))


def _tracked_objects() -> list[Any]:
    """All objects that take part in garbage collection; also those exempted from it with `gc.freeze`."""
    if not gc.get_freeze_count():
        return gc.get_objects()
    gc.unfreeze()
    try:
        return gc.get_objects()
    finally:
        gc.freeze()


def _local_variables() -> list[Any]:
    """Values of the local variables of running functions, which since Python 3.11 no other object refers to.

    Functions that use `locals()` are left out: before Python 3.13, to look at a function's variables changes the
    dictionary that it got from there.
    """
    values: list[Any] = []
    frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage] - documented
    del frames[_thread.get_ident()]  # our own
    for frame in frames.values():
        outer = frame
        while outer is not None:
            code = outer.f_code
            if code.co_flags & _HAS_FAST_LOCALS and _LOCALS.isdisjoint(code.co_names):
                copy: Any = outer.f_locals
                values.extend(copy.values())
                if sys.version_info < (3, 13):  # the copy would stay with the frame and keep the values alive
                    copy.clear()
            outer = outer.f_back
    return values
