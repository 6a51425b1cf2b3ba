"""`glowplug logs`."""

import os
import signal
import subprocess
import sys

import pytest

from tests.cli.admin_server import model, replica


def test_a_model_an_alias_and_a_replica_lead_to_the_same_log(server, glowplug):
    server.models = [model("a", "running", replica("a/1", "a", "running"), aliases=["small"]), model("b", "cold")]
    for name in ("a", "small", "a/1"):
        result = glowplug("logs", name)
        assert (result.exit_code, result.stdout) == (0, "a/1 says\nschöne Grüße\n")
    assert server.asked.count("GET /glowplug/v1/replicas/a%2F1/logs") == 3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("c", 'there is no model or replica "c"; the models are a, b'),
        ("b", '"b" has not been started yet; start it with: glowplug wake b'),
        ("a", '"a" has several replicas; name one of a-1, a-2'),
    ],
)
def test_a_name_that_leads_to_no_single_log(server, glowplug, name, message):
    server.models = [
        model("a", "running", replica("a-1", "a", "running"), replica("a-2", "a", "running")),
        model("b", "cold"),
    ]
    result = glowplug("logs", name)
    assert (result.exit_code, result.stderr) == (1, f"Error: {message}\n")


def follow() -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "glowplug", "logs", "-f", "a"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)


def test_lines_are_followed_as_they_come_until_ctrl_c(server):
    server.models = [model("a", "running", replica("a-1", "a", "running"))]
    with follow() as process:
        assert process.stdout is not None
        for line in ("one", "two"):
            server.lines.put(line)
            assert process.stdout.readline() == f"{line}\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


def test_following_ends_with_the_log(server):
    server.models = [model("a", "running", replica("a-1", "a", "running"))]
    server.lines.put("last")
    server.lines.put(None)
    with follow() as process:
        out, error = process.communicate(timeout=20)
    assert (process.returncode, out, error) == (0, "last\n", "")


def test_a_server_that_breaks_off_is_told(server):
    server.models = [model("a", "running", replica("a-1", "a", "running"))]
    for line in ("last", None, "never sent"):  # the connection closes without the end of the stream
        server.lines.put(line)
    with follow() as process:
        out, error = process.communicate(timeout=20)
    assert (process.returncode, out) == (1, "last\n")
    assert error.endswith("broke off; look at its output\n")
