"""The shim that keeps the garbage collector quiet during imports, in a Python of its own."""

import json
import subprocess
import sys
from pathlib import Path

import glowplug

INSIDE = Path(glowplug.__file__).parent / "inside"

MODULE = """
import gc
before = gc.get_stats()[0]["collections"]
made = [[] for _ in range(200_000)]
collections = gc.get_stats()[0]["collections"] - before
thresholds = gc.get_threshold()
"""


def run(tmp_path: Path, program: str, setup: str = ""):
    (tmp_path / "large.py").write_text(MODULE)
    code = f"import gc, json, sys; sys.path[:0] = [{str(INSIDE)!r}, {str(tmp_path)!r}]\n{setup}\n"
    code += "default = gc.get_threshold()\nfrom glowplug_shims import import_gc; import_gc.install()\n"
    done = subprocess.run([sys.executable, "-c", code + program], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_an_import_is_hardly_interrupted(tmp_path):
    assert run(tmp_path, "import large; print(large.collections)") <= 4  # Python alone: more than 80


def test_the_thresholds_stay_until_the_imports_are_over(tmp_path):
    program = """
import large
after_import = gc.get_threshold()
made = [[] for _ in range(60_000)]
print(json.dumps([large.thresholds == after_import != default, gc.get_threshold() == default, len(gc.callbacks)]))
"""
    assert run(tmp_path, program) == [True, True, 0]


def test_thresholds_that_the_program_sets_meanwhile_are_its_own(tmp_path):
    program = """
gc.set_threshold(123, 4, 5)
made = [[] for _ in range(1_000)]
print(json.dumps([gc.get_threshold(), len(gc.callbacks)]))
"""
    assert run(tmp_path, program) == [[123, 4, 5], 0]


def test_a_collector_that_is_off_stays_off(tmp_path):
    program = "print(json.dumps([gc.isenabled(), gc.get_threshold() == default, len(gc.callbacks)]))"
    assert run(tmp_path, program, setup="gc.disable()") == [False, True, 0]


def test_a_program_with_rare_collections_is_left_alone(tmp_path):
    program = "print(json.dumps([gc.get_threshold()[0], len(gc.callbacks)]))"
    assert run(tmp_path, program, setup="gc.set_threshold(100_000)") == [100_000, 0]


def test_a_program_that_ends_at_once_ends_in_peace(tmp_path):
    assert run(tmp_path, "print(1)") == 1
