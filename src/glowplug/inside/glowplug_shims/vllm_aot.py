"""Lets vLLM load the compiled model that it saved itself.

vLLM 0.32 asks every function that it has loaded from its compile cache for a method `finalize_loading`
(compilation/decorators.py, `_try_load_aot_compiled_fn`). Only functions of vLLM's own backend have it. Where vLLM
leaves the whole model to Inductor, as on a CPU, it is a function of torch's, which is complete as it was loaded; the
missing method counts as a damaged cache then, and the model is compiled again at every start.

This module gives such a function a method of that name that does nothing. No file is changed, and nothing is done at
all for a vLLM that does not ask, or for a function that has the method. vLLM and torch are not imported here, nor
anything that is not loaded in every Python: what is to be done waits until vLLM has imported its module itself.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # the name is what type checkers look for; importing `typing` takes milliseconds
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

_MODULE = "vllm.compilation.decorators"
_LOADER = "_try_load_aot_compiled_fn"
_METHOD = "finalize_loading"


def install() -> None:
    """Wait for the import of vLLM's module. To be called once in each interpreter."""
    sys.meta_path.insert(0, _Finder())


class _Finder:
    """Finds the one module as the other finders do, with a loader that mends it once it is executed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != _MODULE:
            return None
        sys.meta_path.remove(self)
        for finder in sys.meta_path:
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _MendingLoader(spec.loader)  # pyright: ignore[reportAttributeAccessIssue]
                return spec
        return None


class _MendingLoader:
    """Executes a module as its own loader does, then mends it."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        module.__spec__.loader = module.__loader__ = self._loader  # who reads the source, as torch does, asks these
        self._loader.exec_module(module)
        _mend(module)


def _mend(module: Any) -> None:
    code = getattr(getattr(module, _LOADER, None), "__code__", None)
    if _METHOD not in getattr(code, "co_names", ()):
        return  # this version does not ask for it
    compiler = module.torch.compiler
    load_compiled = compiler.load_compiled_function

    def load_compiled_function(*args: Any, **kwargs: Any) -> Any:
        loaded = load_compiled(*args, **kwargs)
        compiled = getattr(getattr(loaded, "_artifacts", None), "compiled_fn", None)
        if type(compiled).__module__.startswith("torch.") and not hasattr(compiled, _METHOD):
            setattr(compiled, _METHOD, _complete_already)  # an error here is to vLLM what the missing method was
        return loaded

    compiler.load_compiled_function = load_compiled_function


def _complete_already(_vllm_config: object) -> None:
    """Torch has loaded everything."""
