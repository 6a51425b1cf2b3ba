"""What runs at the start of every Python process of an engine, and the one that it hides."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from glowplug import inside


def run_python(code: str, *options: str, folders: tuple[Path, ...] = (), **variables: str):
    env = {"PATH": os.environ["PATH"], **variables}
    env["PYTHONPATH"] = ":".join(map(str, (inside.FOLDER, *folders)))
    return subprocess.run([sys.executable, *options, "-c", code], env=env, capture_output=True, text=True, timeout=60)


def site_folder(path: Path, text: str) -> Path:
    path.mkdir()
    (path / "sitecustomize.py").write_text(text)
    return path


def test_without_another_one_the_process_starts_silently():
    done = run_python("print('on')", "-X", "dev", "-W", "error", GLOWPLUG_HOOKS="1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "on\n", "")


def test_the_hidden_one_runs_and_takes_its_place(tmp_path):
    other = site_folder(tmp_path / "other", "import sys\nsys.hidden = True\nvalue = 7\n")
    done = run_python(
        "import sys, sitecustomize as s; print(sys.hidden, s.value, s.__file__, s.__spec__.name)", folders=(other,)
    )
    assert done.stdout.split() == ["True", "7", str(other / "sitecustomize.py"), "sitecustomize"]


def test_a_package_of_that_name_runs_too(tmp_path):
    (tmp_path / "sitecustomize").mkdir()
    (tmp_path / "sitecustomize/__init__.py").write_text("from sitecustomize.part import value\n")
    (tmp_path / "sitecustomize/part.py").write_text("value = 8\n")
    assert run_python("import sitecustomize; print(sitecustomize.value)", folders=(tmp_path,)).stdout == "8\n"


def test_only_the_first_hidden_one_runs(tmp_path):
    first = site_folder(tmp_path / "first", "print('first')\n")
    second = site_folder(tmp_path / "second", "print('second')\n")
    assert run_python("pass", folders=(first, second)).stdout == "first\n"


def test_our_folder_under_another_name_is_not_taken_for_a_hidden_one(tmp_path):
    (tmp_path / "link").symlink_to(inside.FOLDER)
    other = site_folder(tmp_path / "other", "print('other')\n")
    done = run_python("pass", folders=(inside.FOLDER, tmp_path / "link", other), GLOWPLUG_HOOKS="1")
    assert (done.stdout, done.stderr) == ("other\n", "")


def test_an_error_of_the_hidden_one_is_reported_as_if_it_were_the_first(tmp_path):
    broken = site_folder(tmp_path / "broken", "raise ValueError('broken here')\n")
    alone = subprocess.run(
        [sys.executable, "-c", "print('on')"], env={"PYTHONPATH": str(broken)}, capture_output=True, text=True
    )
    behind = run_python("print('on')", folders=(broken,), GLOWPLUG_HOOKS="1")
    assert "broken here" in alone.stderr
    assert (behind.returncode, behind.stdout, behind.stderr) == (alone.returncode, alone.stdout, alone.stderr)


def test_a_hidden_one_that_needs_a_missing_module_is_reported_too(tmp_path):
    broken = site_folder(tmp_path / "broken", "import no_such_module\n")
    done = run_python("print('on')", folders=(broken,))
    assert done.stdout == "on\n"
    assert "no_such_module" in done.stderr


def test_shims_are_installed_in_their_order(tmp_path):
    shims = tmp_path / "glowplug_shims"
    shims.mkdir()
    for name in ("one", "two"):
        (shims / f"{name}.py").write_text(f"def install():\n    print('{name}')\n")
    done = run_python("print('on')", folders=(tmp_path,), GLOWPLUG_SHIMS="two,one,")
    assert done.stdout == "two\none\non\n"


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("absent", None, "No module named 'glowplug_shims.absent'"),
        ("wrong", "def install():\n    raise KeyError('x')\n", "KeyError: 'x'"),
        ("garbled", "def install(:\n", "SyntaxError"),
        ("empty", "", "no attribute 'install'"),
    ],
)
def test_a_shim_that_fails_costs_one_line_and_nothing_else(tmp_path, name, text, complaint):
    (tmp_path / "glowplug_shims").mkdir()
    if text is not None:
        (tmp_path / "glowplug_shims" / f"{name}.py").write_text(text)
    (tmp_path / "glowplug_shims/good.py").write_text("def install():\n    print('good')\n")
    done = run_python("print('on')", folders=(tmp_path,), GLOWPLUG_SHIMS=f"{name},good")
    assert (done.returncode, done.stdout) == (0, "good\non\n")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"glowplug: the shim {name} is not installed: ")
    assert complaint in done.stderr


def test_nothing_is_loaded_that_was_not_asked_for():
    done = run_python("import sys; print([name for name in sys.modules if name.startswith('glowplug')])")
    assert done.stdout == "[]\n"


def test_no_module_that_takes_long_to_load_is_loaded_for_the_hooks():
    code = "import sys; print(*sorted(sys.modules))"
    without = set(run_python(code).stdout.split())
    added = set(run_python(code, GLOWPLUG_HOOKS="1").stdout.split()) - without
    assert added <= {"__future__", "_socket", "fcntl"} | {name for name in added if name.startswith("glowplug_hooks")}
