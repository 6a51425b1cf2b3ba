"""Lets SGLang start on a machine without a GPU: stands in for the GPU packages that it imports and, there, never calls.

SGLang 0.5 imports its CUDA kernels and torchvision at the top of modules that every model needs. Neither has a build
for a CPU that SGLang could use. `scripts/engine.sh` puts this file, and a .pth file that imports it, into the virtual
environment of SGLang, so that each of its processes has it. A package that is really installed is never replaced.
"""

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import FrameType, ModuleType
from typing import Any

STANDS_IN_FOR = frozenset({"cutlass", "deep_gemm", "flashinfer", "quack", "sgl_kernel", "tilelang", "torchvision"})

ASKS_WHETHER = "import_utils.py"
"""transformers looks there which optional packages exist. It must not find torchvision, which it would then call."""

_DEPTH = 6
"""Frames between the finder and whoever asks: importlib's own."""


class Nothing:
    """Whatever is looked for in a package that is not there: a function, a class, a decorator, a constant."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As a decorator it returns what it decorates."""
        return args[0] if args and callable(args[0]) else self

    def __getattr__(self, name: str) -> "Nothing":
        if name.startswith("__"):
            raise AttributeError(name)
        return Nothing()

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return (object,)

    def __iter__(self) -> Any:
        return iter(())

    def __or__(self, other: object) -> "Nothing":
        return self

    __ror__ = __or__


class EmptyModule(ModuleType):
    """A module that has every name."""

    __path__: Sequence[str] = ()
    __version__ = "0.0.0"

    def __getattr__(self, name: str) -> Nothing:
        if name.startswith("__"):
            raise AttributeError(name)
        return Nothing()


class StandIn(MetaPathFinder, Loader):
    """Finds the packages in STANDS_IN_FOR after every other finder has failed to."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in STANDS_IN_FOR or _asked_whether(sys._getframe(1)):
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return EmptyModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


def _asked_whether(frame: FrameType | None) -> bool:
    for _ in range(_DEPTH):
        if frame is None:
            return False
        if frame.f_code.co_filename.endswith(ASKS_WHETHER):
            return True
        frame = frame.f_back
    return False


sys.meta_path.append(StandIn())
