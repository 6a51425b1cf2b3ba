"""`glowplug profile`, from logs and live."""

import json
import os
import pty
import select
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from glowplug.cli.profile_progress import describe
from glowplug.coldstart.values import from_json
from glowplug.profiling.progress import Progress
from tests.engines.running import free_port

pytestmark = pytest.mark.slow

ENGINE = Path(__file__).parents[1] / "profiling" / "speaking_engine.py"
GLOWPLUG = [sys.executable, "-m", "glowplug"]
PATIENCE = 60

LOG = """\
(APIServer pid=1) INFO 11-23 10:00:00 [made_up.py:1] vLLM server version 9.8.7, serving model made/up
(EngineCore pid=2) INFO 11-23 10:00:08 [made_up.py:1] Initializing a V1 LLM engine (v9.8.7) with config: model='made/up'
(EngineCore pid=2) INFO 11-23 10:00:09 [made_up.py:1] Starting to load model made/up...
(EngineCore pid=2) INFO 11-23 10:00:13 [made_up.py:1] Loading weights took 3.25 seconds
(EngineCore pid=2) INFO 11-23 10:00:13 [made_up.py:1] Model loading took 1.00 GiB memory and 4.00 seconds
(EngineCore pid=2) INFO 11-23 10:00:20 [made_up.py:1] init engine (profile, create kv cache, warmup model) took 7.0 s
(APIServer pid=1) INFO 11-23 10:00:21 [made_up.py:1] Starting vLLM server on http://127.0.0.1:8000
"""


def speaking(seconds=0.1):
    return [sys.executable, str(ENGINE), str(free_port()), str(seconds)]


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "vllm.log"
    path.write_text(LOG)
    return path


def run(*arguments, stdin=None):
    return subprocess.run(
        [*GLOWPLUG, "profile", *map(str, arguments)], input=stdin, capture_output=True, text=True, timeout=PATIENCE
    )


def test_a_log_becomes_a_table(glowplug, log):
    result = glowplug("profile", str(log))
    assert result.exit_code == 0
    assert "vllm V1 9.8.7" in result.stdout
    assert "weights_load" in result.stdout
    assert "3.25 s" in result.stdout


def test_one_log_is_an_object_and_several_are_a_list_in_json(glowplug, log):
    one = json.loads(glowplug("profile", "--format", "json", str(log)).stdout)
    assert (one["file"], one["engine"]) == (str(log), "vllm")
    assert one["starts"][-1]["reported"]["weights_load"] == 3.25
    several = json.loads(glowplug("profile", "--format", "json", str(log), str(log)).stdout)
    assert [each["file"] for each in several] == [str(log), str(log)]


def test_standard_input_is_a_log_too():
    result = run("--format", "json", "-", stdin=LOG)
    assert json.loads(result.stdout)["starts"][-1]["version"] == "9.8.7"


def test_every_output_is_written(glowplug, log, tmp_path):
    files = [tmp_path / name for name in ("a.html", "b.svg", "c.json", "d.trace.json")]
    result = glowplug("profile", str(log), *(word for file in files for word in ("--output", str(file))))
    assert result.exit_code == 0
    assert "<html" in files[0].read_text()
    assert "<svg" in files[1].read_text()
    assert json.loads(files[2].read_text())["engine"] == "vllm"
    assert json.loads(files[3].read_text())["traceEvents"]


def test_a_log_that_cannot_be_read_is_told_and_the_others_are_shown(glowplug, log, tmp_path):
    result = glowplug("profile", str(tmp_path / "none"), str(log))
    assert result.exit_code == 1
    assert f"there is no file {tmp_path / 'none'}" in result.stderr
    assert "vllm V1 9.8.7" in result.stdout


def test_a_log_without_a_start_is_one_clear_sentence(glowplug, tmp_path):
    path = tmp_path / "other.log"
    path.write_text("hello\n")
    result = glowplug("profile", str(path))
    assert result.exit_code == 1
    assert len(result.output.splitlines()) == 1
    assert "no start of an engine was found" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "name a log file"),
        (["x.log", "--", "vllm"], "not both: x.log"),
        (["--"], "after -- comes the command"),
        (["--keep", "x.log"], "--keep is for engines that are started here"),
        (["--timeout", "5s", "x.log"], "--timeout is for engines"),
        (["--output", "x.txt", "x.log"], "no known suffix"),
        (["--timeout", "soon", "--", "x"], "is not a duration"),
        (["--timeout", "0", "--", "x"], "must be more than 0"),
        (["--url", "ftp://x", "--", "x"], "write an address"),
    ],
)
def test_what_makes_no_sense_is_bad_usage(glowplug, arguments, text):
    result = glowplug("profile", *arguments)
    assert result.exit_code == 2
    assert text in result.stderr


@pytest.mark.slow
def test_a_command_is_profiled_live_with_options_of_its_own():
    result = run("--format", "json", "--", *speaking(), "--format", "table")
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["file"].endswith("--format table")
    start = from_json(document["starts"][0])
    assert (start.engine, start.outcome, start.version) == ("vllm", "ready", "9.8.7")
    assert start.seconds_of("first_token") > 0


def test_a_start_that_fails_is_shown_and_exits_with_1():
    result = run("--", "sh", "-c", "echo RuntimeError: no memory; exit 3")
    assert result.returncode == 1
    assert "failed after" in result.stdout
    assert "no memory" in result.stdout


def test_a_command_that_cannot_be_started_is_one_sentence():
    result = run("--", "/no/such/engine")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("Error: /no/such/engine: The engine cannot be started")
    assert result.stdout == ""


@pytest.mark.slow
def test_without_a_terminal_progress_is_plain_lines():
    result = run("--", *speaking(0.6))
    lines = result.stderr.splitlines()
    assert any("config_tokenizer" in line and "processes" in line for line in lines)
    assert "\x1b" not in result.stderr


@pytest.mark.slow
def test_ctrl_c_shows_what_is_known_so_far():
    argv = [*GLOWPLUG, "profile", "--", *speaking(30)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        for line in process.stderr:
            if "config_tokenizer" in line:
                break
        process.send_signal(signal.SIGINT)
        output, trouble = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 1
    assert "vllm V1 9.8.7" in output
    assert "interrupted" in output
    assert "Traceback" not in trouble


@pytest.mark.slow
def test_the_engine_is_kept_until_ctrl_c():
    argv = [*GLOWPLUG, "profile", "--keep", "--", *speaking()]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        address = next(line for line in process.stderr if "until Ctrl-C" in line)
        assert "http://127.0.0.1:" in address
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 0
    assert "ready after" in output


@pytest.mark.slow
def test_on_a_terminal_one_line_is_renewed():
    parent, child = pty.openpty()
    argv = shlex.join([*GLOWPLUG, "profile", "--", *speaking(0.6)])
    process = subprocess.Popen(
        ["sh", "-c", f"exec {argv} >/dev/null"], stderr=child, env={**os.environ, "TERM": "xterm"}
    )
    os.close(child)
    shown = b""
    try:
        while select.select([parent], [], [], PATIENCE)[0]:
            try:
                shown += os.read(parent, 65536)
            except OSError:  # the other end is closed
                break
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        os.close(parent)
    assert b"config_tokenizer" in shown
    assert b"\x1b[2K" in shown


def test_a_line_of_progress():
    progress = Progress(12.44, "weights_load", 1.02, 240 * 1024**2, 1288490189, 3)
    assert describe(progress) == "  12.4 s  weights_load      1.02 cores  240 MiB/s read  1.2 GiB held  3 processes"
    idle = Progress(0.5, None, 0.0, 0.0, 5 * 1024**2, 1)
    assert describe(idle) == "   0.5 s  starting          0.00 cores  no disk reads  5 MiB held  1 process"
