"""The shim that lets vLLM load its compiled model, in a Python of its own among packages that look like real ones."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import glowplug

INSIDE = Path(glowplug.__file__).parent / "inside"

TORCH = """
class Plain:  # as torch hands back what Inductor compiled as a whole
    pass

class OfVllm:
    finalized = 0
    def finalize_loading(self, vllm_config):
        OfVllm.finalized += 1

class Slotted:
    __slots__ = ()

class Artifacts:
    def __init__(self, compiled_fn):
        self.compiled_fn = compiled_fn

class Loaded:
    def __init__(self, kind):
        if kind != "strange":
            self._artifacts = Artifacts({"plain": Plain, "vllm": OfVllm, "slotted": Slotted, "other": dict}[kind]())
"""

COMPILER = """
from torch._dynamo import Loaded

def load_compiled_function(file, *, f_globals=None):
    if file == "damaged":
        raise EOFError("ran out of input")
    return Loaded(file)
"""

ASKS = """
import torch

def _try_load_aot_compiled_fn(model, path):
    try:
        loaded = torch.compiler.load_compiled_function(path, f_globals={})
        loaded._artifacts.compiled_fn.finalize_loading("config")
        return "loaded"
    except Exception as error:
        return f"compiles again: {type(error).__name__}"
"""

ASKS_NOT = """
import torch

def _try_load_aot_compiled_fn(model, path):
    torch.compiler.load_compiled_function(path, f_globals={})
    return "loaded"
"""


@pytest.fixture
def packages(tmp_path):
    """Writes a vLLM with this module, and a torch."""

    def write(decorators: str) -> Path:
        files = {
            "torch/__init__.py": "import torch.compiler",
            "torch/_dynamo.py": TORCH,
            "torch/compiler.py": COMPILER,
            "vllm/__init__.py": "",
            "vllm/compilation/__init__.py": "",
            "vllm/compilation/decorators.py": decorators,
        }
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content)
        return tmp_path

    return write


def run(folder: Path, program: str, *flags: str):
    """What the program prints as JSON, in a Python in which the shim is installed first."""
    shim = f"import sys; sys.path.insert(0, {str(INSIDE)!r}); import glowplug_shims.vllm_aot as shim; shim.install()\n"
    paths = f"sys.path.insert(0, {str(folder)!r})\n"
    done = subprocess.run(
        [sys.executable, *flags, "-c", f"{shim}{paths}import json\n{program}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


LOAD = "import vllm.compilation.decorators as d; print(json.dumps(d._try_load_aot_compiled_fn(None, {kind!r})))"


def test_a_complete_function_of_torch_is_loaded(packages):
    assert run(packages(ASKS), LOAD.format(kind="plain")) == "loaded"


def test_without_the_shim_it_is_not(packages):
    program = "sys.meta_path.pop(0)\n" + LOAD.format(kind="plain")
    assert run(packages(ASKS), program) == "compiles again: AttributeError"


def test_a_function_that_has_the_method_keeps_its_own(packages):
    program = LOAD.format(kind="vllm").replace(
        "print(", "d._try_load_aot_compiled_fn(None, 'vllm'); import torch._dynamo; print("
    )
    program += "; assert torch._dynamo.OfVllm.finalized == 2"
    assert run(packages(ASKS), program) == "loaded"


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("other", "AttributeError"),
        ("strange", "AttributeError"),
        ("slotted", "AttributeError"),
        ("damaged", "EOFError"),
    ],
)
def test_what_is_not_known_to_be_complete_is_compiled_again_as_ever(packages, kind, error):
    assert run(packages(ASKS), LOAD.format(kind=kind)) == f"compiles again: {error}"


@pytest.mark.parametrize("kind", ["plain", "vllm"])
def test_a_vllm_that_does_not_ask_is_left_alone(packages, kind):
    program = LOAD.format(kind=kind).replace("print(", "torch = d.torch; print(")
    program += "; assert torch.compiler.load_compiled_function.__module__ == 'torch.compiler'"
    assert run(packages(ASKS_NOT), program) == "loaded"


def test_a_vllm_without_that_function_is_left_alone(packages):
    program = "import vllm.compilation.decorators as d; print(json.dumps(d.other))"
    assert run(packages("import torch\nother = 1"), program) == 1


def test_the_module_looks_as_if_nobody_had_been_there(packages):
    folder = packages(ASKS)
    program = """
import inspect, vllm.compilation.decorators as d
print(json.dumps([type(d.__loader__).__name__, d.__spec__.loader is d.__loader__, inspect.getsource(d), d.__file__,
                  [type(finder).__name__ for finder in sys.meta_path if type(finder).__name__ == "_Finder"]]))
"""
    file = folder / "vllm/compilation/decorators.py"
    assert run(folder, program) == ["SourceFileLoader", True, ASKS, str(file), []]


def test_a_program_without_vllm_imports_as_ever(packages, tmp_path):
    program = """
try:
    import vllm.compilation.decorators
except ModuleNotFoundError as error:
    print(json.dumps(error.name))
"""
    assert run(tmp_path, program) == "vllm"
    (tmp_path / "vllm/compilation").mkdir(parents=True)
    assert run(tmp_path, program) == "vllm.compilation.decorators"


def test_nothing_is_imported_for_it():
    program = "print(json.dumps(sorted(set(sys.modules) - before)))"
    shim = f"sys.path.insert(0, {str(INSIDE)!r}); before = set(sys.modules)\n"
    shim += "import glowplug_shims.vllm_aot as shim; shim.install()\n"
    code = f"import json, sys; {shim}{program}"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)) <= {"__future__", "glowplug_shims", "glowplug_shims.vllm_aot"}
