"""The stand-ins for GPU packages, each test in a Python of its own: they stay in force once they are imported."""

import subprocess
import sys

from tests.docs.examples import ROOT


def python(code: str, *folders) -> str:
    """What the code prints when the stand-ins are there, and these folders to import from."""
    path = [str(ROOT / "scripts"), *map(str, folders)]
    program = f"import sys; sys.path[:0] = {path}; import sglang_cpu\n{code}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_what_is_missing_has_every_name_at_every_depth():
    code = "import sgl_kernel.kvcacheio as k; from flashinfer.comm import anything; print(k.transfer(1), anything.x)"
    assert python(code).count("Nothing object") == 2


def test_it_can_be_decorated_with_derived_from_united_and_iterated():
    code = """
import tilelang
from cutlass import jit, Base
@jit
def double(x): return 2 * x
@tilelang.jit(fast=True)
def triple(x): return 3 * x
class Kernel(Base): pass
Optional = Base | None
print(double(2), triple(2), Kernel().__class__.__mro__[1:], list(Base))
"""
    assert python(code) == "4 6 (<class 'object'>,) []"


def test_what_is_installed_is_not_replaced(tmp_path):
    (tmp_path / "torchvision.py").write_text("real = True")
    assert python("import torchvision; print(torchvision.real)", tmp_path) == "True"


def test_other_packages_are_still_missing():
    code = "import importlib.util as u; print(u.find_spec('torchcodec'), u.find_spec('sgl_kernel') is not None)"
    assert python(code) == "None True"


def test_who_asks_whether_it_is_there_is_told_no(tmp_path):
    (tmp_path / "import_utils.py").write_text(
        "import importlib.util\ndef has(name):\n    return importlib.util.find_spec(name) is not None\n"
    )
    assert python("import import_utils; print(import_utils.has('torchvision'))", tmp_path) == "False"
