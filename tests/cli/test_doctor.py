"""`glowplug doctor`: its two forms, its table at two widths, as root and as an ordinary user, and the installation."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from rich.cells import cell_len

from glowplug.checkpoint import criu_binary, criu_install
from glowplug.checkpoint.criu_install import CannotInstall
from glowplug.cli import doctor_table
from glowplug.gateway.openapi import openapi_document
from glowplug.node.doctor.report import Finding, ModelVerdict, Report, State, Verdict
from glowplug.scheduler.values import Tier
from tests.cli.conftest import Glowplug

SCHEMA = {"$ref": "#/components/schemas/Examination", "components": openapi_document()["components"]}

REPORT = Report(
    [
        Verdict(Tier.PARKED, note="frozen by cgroup v2"),
        Verdict(Tier.SNAPSHOT, "CRIU is not installed", "run: glowplug doctor --install-criu"),
    ],
    [
        Finding("criu", State.MISSING, "CRIU is not installed", "run: glowplug doctor --install-criu"),
        Finding("disk", State.OK, f"reads 1 GB/s, writes 1 GB/s; 9.0 GiB free for /srv/{'long/' * 12}state"),
    ],
    [
        ModelVerdict("small", "fake", None, {}),
        ModelVerdict("big", "vllm", "the program vllm was not found", {Tier.SNAPSHOT: "CRIU is not installed"}),
    ],
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(monkeypatch: pytest.MonkeyPatch, width: int | None) -> list[str]:
    out = io.StringIO() if width is None else Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", str(width or 80))
    monkeypatch.setenv("NO_COLOR", "1")
    doctor_table.print_report(REPORT)
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 120])
def test_on_a_terminal_no_line_is_wider_and_no_word_is_lost(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    lines = printed(monkeypatch, width)
    assert max(cell_len(line) for line in lines) <= width
    whole = "".join("".join(lines).split())
    for text in ("frozen by cgroup v2", "→ run: glowplug doctor --install-criu", "the program vllm was not found"):
        assert "".join(text.split()) in whole
    assert "long/" * 12 in whole


def test_elsewhere_a_row_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line.rstrip() for line in printed(monkeypatch, None)]
    assert "snapshot  closed  CRIU is not installed → run: glowplug doctor --install-criu" in lines
    assert "small  fake    none" in lines
    assert "big    vllm    cannot start: the program vllm was not found; snapshot: CRIU is not installed" in lines
    assert len(lines) == 3 + 1 + 3 + 1 + 3


@pytest.mark.slow
def test_json_has_the_form_of_the_admin_api(glowplug: Glowplug) -> None:
    result = glowplug("doctor", "--format", "json")
    assert (result.exit_code, result.stderr) == (0, "")
    jsonschema.validate(json.loads(result.stdout), SCHEMA)


@pytest.mark.slow
def test_a_configuration_names_the_disk_and_the_models(glowplug: Glowplug, tmp_path: Path) -> None:
    config = tmp_path / "glowplug.yaml"
    config.write_text("node: {state_dir: state}\nmodels: {toy: {engine: fake}}\n")
    report = json.loads(glowplug("doctor", str(config), "--format", "json").stdout)
    disk = next(check for check in report["checks"] if check["check"] == "disk")
    assert disk["values"]["directory"] == str(tmp_path / "state")
    assert [model["model"] for model in report["models"]] == ["toy"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["glowplug.yaml"]


def test_a_configuration_with_mistakes_is_refused_as_everywhere(glowplug: Glowplug, tmp_path: Path) -> None:
    config = tmp_path / "glowplug.yaml"
    config.write_text("modles: {}\n")
    result = glowplug("doctor", str(config))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "modles" in result.stderr


def test_the_installation_tells_its_steps_and_its_end(glowplug: Glowplug, monkeypatch: pytest.MonkeyPatch) -> None:
    def install(told):
        told("fetching CRIU 4.2.1-1")
        return criu_binary.Criu(("criu",), (4, 2, 1), "private prefix /x")

    monkeypatch.setattr(criu_install, "install", install)
    result = glowplug("doctor", "--install-criu")
    assert result.exit_code == 0
    assert result.stderr == "fetching CRIU 4.2.1-1\n"
    assert result.stdout.startswith("CRIU 4.2.1 is installed (private prefix /x)")


def test_an_installation_that_fails_is_one_sentence(glowplug: Glowplug, monkeypatch: pytest.MonkeyPatch) -> None:
    def install(told):
        raise CannotInstall("On Plan 9, install CRIU 4.2 or newer with its package manager")

    monkeypatch.setattr(criu_install, "install", install)
    result = glowplug("doctor", "--install-criu")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "On Plan 9, install CRIU 4.2 or newer with its package manager\n"


SITE = Path(pytest.__file__).parents[1]
SOURCE = Path(doctor_table.__file__).parents[2]
PYTHON = shutil.which(f"python3.{sys.version_info.minor}", path="/usr/local/bin:/usr/bin")


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0 or not PYTHON, reason="needs root and a Python that everybody may start")
def test_an_ordinary_user_is_told_what_is_closed_in_one_line_each(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{SOURCE}:{SITE}", "PYTHONDONTWRITEBYTECODE": "1"}
    become_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--", str(PYTHON)]
    if subprocess.run([*become_nobody, "-c", "import glowplug"], env=environment, cwd="/", check=False).returncode:
        pytest.skip("nobody cannot read this installation")
    done = subprocess.run(
        [*become_nobody, "-m", "glowplug", "doctor"],
        env=environment,
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    tiers = {line.split()[0]: line for line in done.stdout.split("\n\n")[0].splitlines()[1:]}
    assert tiers["running"].split() == ["running", "open"]
    assert tiers["parked"].split()[1] == "open"
    assert "closed  needs more privileges: this is user 65534" in tiers["snapshot"]
    assert "→ for snapshots, run Glowplug as root" in tiers["snapshot"]
