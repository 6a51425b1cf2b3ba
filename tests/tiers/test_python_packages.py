import os
from pathlib import Path

import pytest

from glowplug.tiers.python_packages import distribution_records, interpreter_of
from tests.tiers.environments import SITE, install, write_environment, write_executable, write_python


@pytest.mark.parametrize("name", ["python", "python3", "python3.11", "python3.14t"])
def test_a_python_runs_itself(name: str) -> None:
    assert interpreter_of(Path("/opt/bin") / name, "") == Path("/opt/bin") / name


@pytest.mark.parametrize(
    "head",
    [
        "#!{python}\nimport vllm\n",
        "#!{python} -sE\nimport vllm\n",
        "#!/usr/bin/env python3.11\nimport vllm\n",
        "#!/usr/bin/env -S python3.11 -P\nimport vllm\n",
        "#!/bin/sh\n'''exec' {python} \"$0\" \"$@\"\n' '''\nimport vllm\n",
        "#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\nimport vllm\n",
    ],
)
def test_a_script_says_which_python_runs_it(tmp_path: Path, head: str) -> None:
    python = write_environment(tmp_path / "venv")
    script = write_executable(tmp_path / "elsewhere" / "vllm", head.format(python=python))
    assert interpreter_of(script, str(python.parent)) == python


def test_a_shell_script_in_a_virtual_environment_belongs_to_it(tmp_path: Path) -> None:
    python = write_environment(tmp_path / "venv")
    (python.parent / "python").symlink_to(python.name)
    inside = write_executable(python.parent / "serve", "#!/bin/sh\nexec python -m server\n")
    outside = write_executable(tmp_path / "bin" / "serve", "#!/bin/sh\nexec python -m server\n")
    assert interpreter_of(inside, "") == python.parent / "python"
    assert interpreter_of(outside, str(python.parent)) is None


def test_a_binary_has_no_python(tmp_path: Path) -> None:
    python = write_environment(tmp_path / "venv")
    assert interpreter_of(write_executable(python.parent / "llama-server", "\x7fELF"), "") is None
    assert interpreter_of(tmp_path / "missing", "") is None


def test_a_virtual_environment_has_its_own_packages_alone(tmp_path: Path) -> None:
    base = write_python(tmp_path / "base")
    install(tmp_path / "base", "numpy", "1.0")
    (tmp_path / "home" / ".local" / SITE).mkdir(parents=True)
    install(tmp_path / "home" / ".local", "requests", "2.0")
    python = write_environment(tmp_path / "venv", base=tmp_path / "base")
    python.unlink()
    python.symlink_to(base)
    record = install(tmp_path / "venv", "vllm", "0.32.0")
    assert distribution_records(python, tmp_path / "home") == {"vllm-0.32.0": record}


def test_a_virtual_environment_may_see_the_packages_of_its_base_which_come_second(tmp_path: Path) -> None:
    write_python(tmp_path / "base")
    numpy = install(tmp_path / "base", "numpy", "1.0")
    install(tmp_path / "base", "vllm", "0.32.0")
    python = write_environment(tmp_path / "venv", base=tmp_path / "base", system_packages=True)
    own = install(tmp_path / "venv", "vllm", "0.32.0")
    assert distribution_records(python, None) == {"vllm-0.32.0": own, "numpy-1.0": numpy}


def test_a_python_outside_of_one_sees_the_packages_of_its_user(tmp_path: Path) -> None:
    python = write_python(tmp_path / "opt")
    link = tmp_path / "bin" / "python3"
    link.parent.mkdir()
    link.symlink_to(python)
    numpy = install(tmp_path / "opt", "numpy", "1.0")
    (tmp_path / "home" / ".local" / SITE).mkdir(parents=True)
    own = install(tmp_path / "home" / ".local", "requests", "2.0")
    assert distribution_records(link, tmp_path / "home") == {"numpy-1.0": numpy, "requests-2.0": own}
    assert distribution_records(link, None) == {"numpy-1.0": numpy}


def test_packages_without_a_record_are_known_by_what_describes_them(tmp_path: Path) -> None:
    python = write_environment(tmp_path / "venv")
    record = install(tmp_path / "venv", "apt_package", "1.0")
    record.unlink()
    site = tmp_path / "venv" / SITE
    (site / "old-2.0.egg-info").write_text("Name: old\n")
    (site / "older-3.0.egg-info").mkdir()
    (site / "older-3.0.egg-info" / "PKG-INFO").write_text("Name: older\n")
    (site / "nothing-4.0.dist-info").mkdir()
    (site / "vllm").mkdir()
    assert distribution_records(python, None) == {
        "apt_package-1.0": record.with_name("METADATA"),
        "old-2.0": site / "old-2.0.egg-info",
        "older-3.0": site / "older-3.0.egg-info" / "PKG-INFO",
    }


def test_a_second_name_of_the_same_folder_changes_nothing(tmp_path: Path) -> None:
    python = write_environment(tmp_path / "venv")
    record = install(tmp_path / "venv", "vllm", "0.32.0")
    os.symlink("lib", tmp_path / "venv" / "lib64")
    assert distribution_records(python, None) == {"vllm-0.32.0": record}
