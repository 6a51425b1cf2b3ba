"""Commands that talk to a running server."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest

from tests.cli.admin_server import model, replica


def test_wake_says_how_long_it_took(server, glowplug):
    server.models = [model("a", "cached")]
    result = glowplug("wake", "a")
    assert (result.exit_code, result.stdout) == (0, "a is running, after 1.23 s\n")
    assert server.asked == ["POST /glowplug/v1/models/a/wake"]


def test_rest_says_where_the_model_is_now(server, glowplug):
    server.models = [model("a", "running")]
    assert glowplug("rest", "a").stdout == "a is now parked\n"
    assert glowplug("rest", "a", "--tier", "cached").stdout == "a is now cached\n"
    assert server.asked == ["POST /glowplug/v1/models/a/rest", "POST /glowplug/v1/models/a/rest?tier=cached"]


def test_restart(server, glowplug):
    server.models = [model("a", "running")]
    result = glowplug("restart", "a")
    assert (result.exit_code, result.stdout) == (0, "the processes of a are ended; the next request starts it\n")


def test_a_name_with_a_slash_is_one_name(server, glowplug):
    server.models = [model("Qwen/Qwen3:4b", "cached")]
    assert glowplug("wake", "Qwen/Qwen3:4b").exit_code == 0
    assert server.asked == ["POST /glowplug/v1/models/Qwen%2FQwen3%3A4b/wake"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["wake", "b"], "There is no model 'b'; there are: a."),
        (["rest", "busy"], "A replica of 'busy' is at work."),
    ],
)
def test_a_refusal_is_told_in_the_words_of_the_server(server, glowplug, arguments, message):
    server.models = [model("a", "cached"), model("busy", "running")]
    result = glowplug(*arguments)
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"Error: {message}\n")


def test_the_key_is_sent(server, glowplug, monkeypatch):
    server.key = "gp-secret"
    assert glowplug("ps").exit_code == 1
    assert "wants an API key; set GLOWPLUG_API_KEY or give --api-key" in glowplug("ps", "--api-key", "wrong").stderr
    assert glowplug("ps", "--api-key", "gp-secret").exit_code == 0
    monkeypatch.setenv("GLOWPLUG_API_KEY", "gp-secret")
    assert glowplug("ps").exit_code == 0


def test_a_server_that_is_not_there(glowplug):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
        result = glowplug("ps", "--server", url)
    assert result.exit_code == 1
    assert result.stderr == f"Error: no Glowplug server answers at {url}; start one with: glowplug serve\n"


def test_a_host_that_is_no_host_is_told_with_the_reason(glowplug):
    result = glowplug("ps", "--server", f"http://{'x' * 64}.invalid")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: no Glowplug server answers at http://")
    assert "(" in result.stderr


def test_another_program_at_the_address(server, glowplug):
    result = glowplug("ps", "--server", f"{server.url}/elsewhere")
    assert result.exit_code == 1
    assert f"what answers at {server.url}/elsewhere is no Glowplug server" in result.stderr
    assert server.asked == ["GET /elsewhere/glowplug/v1/models"]


@contextmanager
def raw_server(answer: bytes) -> Iterator[str]:
    """The address of a server that gives one connection this answer, whatever it asks."""

    def serve_one() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=serve_one)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"])
def test_a_server_that_breaks_off(glowplug, answer):
    with raw_server(answer) as address:
        result = glowplug("ps", "--server", address)
    assert result.exit_code == 1
    assert result.stderr.endswith("broke off; look at its output\n")


@pytest.mark.parametrize("answer", [b"[]", b"{}", b"not json", b'{"models": 3}'])
def test_an_answer_that_is_not_of_the_admin_api(glowplug, answer):
    with raw_server(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(answer), answer)) as address:
        result = glowplug("ps", "--server", address)
    assert result.exit_code == 1
    assert "is no Glowplug server" in result.stderr


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://x:abc", "http://x:99999", "http://a@x", "http://x?y"])
def test_what_is_no_address_is_bad_usage(glowplug, url):
    result = glowplug("ps", "--server", url)
    assert result.exit_code == 2
    assert "--server" in result.stderr


def test_what_is_no_key_is_bad_usage(glowplug):
    assert glowplug("ps", "--api-key", "a\nb").exit_code == 2


def test_a_redirect_is_not_followed_with_the_key(server, glowplug):
    head = f"HTTP/1.1 307 Temporary Redirect\r\nlocation: {server.url}/glowplug/v1/models\r\ncontent-length: 0\r\n\r\n"
    with raw_server(head.encode()) as address:
        result = glowplug("ps", "--server", address, "--api-key", "gp-secret")
    assert result.exit_code == 1
    assert server.asked == []


def test_ps_as_json_is_what_the_server_said(server, glowplug):
    server.models = [model("a", "parked", replica("a-1", "a", "parked", since=3.5), quarantine={"asleep": "x"})]
    assert json.loads(glowplug("ps", "--format", "json").stdout) == {"models": server.models}


def test_ps_as_a_table(server, glowplug):
    busy = replica("a-1", "a", "running", since=75.2, in_flight=3, memory={"ram": 300 * 1024**2, "gpu": 5 * 1024**3})
    wake = {"from": "parked", "seconds": 0.0512, "at": "2026-01-01T00:00:00Z"}
    server.models = [
        model("a", "running", busy, replica("a-2", "a", "waking:parked"), queued=2, last_wake=wake, pin=True),
        model("Qwen/Qwen3-0.6B", "cold", engine="vllm", quarantine={"parked": "the canary [did] not match"}),
    ]
    result = glowplug("ps")
    assert [" ".join(line.split()) for line in result.stdout.splitlines()] == [
        "MODEL ENGINE STATE FOR ACTIVE QUEUED RAM GPU LAST WAKE REPLICA",
        "a (pinned) llama.cpp running 1m15s 3 2 300 MiB 5 GiB 0.05 s from parked a-1",
        "a (pinned) llama.cpp waking:parked 0s 0 2 - - 0.05 s from parked a-2",
        "Qwen/Qwen3-0.6B vllm cold - 0 0 - - - -",
        "Qwen/Qwen3-0.6B: parked is not used for now: the canary [did] not match",
    ]
    assert "\x1b" not in result.stdout


def test_a_reason_that_holds_for_several_models_is_given_once(server, glowplug):
    closed = {"snapshot": "CRIU is not installed", "cached": "weights are missing"}
    server.models = [model("a", "cold", closed_tiers=closed), model("b", "cold", closed_tiers=closed)]
    server.models.append(model("c", "cold", closed_tiers={"snapshot": "a start is as fast"}))
    assert glowplug("ps").stdout.splitlines()[4:] == [
        "a, b: snapshot is closed: CRIU is not installed",
        "c: snapshot is closed: a start is as fast",
    ]


def test_a_machine_without_gpu_has_no_column_for_it(server, glowplug):
    server.models = [model("a", "running", replica("a-1", "a", "running", memory={"ram": 2048}))]
    assert [" ".join(line.split()) for line in glowplug("ps").stdout.splitlines()] == [
        "MODEL ENGINE STATE FOR ACTIVE QUEUED RAM LAST WAKE REPLICA",
        "a llama.cpp running 0s 0 0 2 KiB - a-1",
    ]


def test_a_table_is_never_cut_off(server, glowplug):
    name, reason = "m" * 150, "r" * 300
    server.models = [model(name, "cold", quarantine={"parked": reason})]
    row, note = glowplug("ps").stdout.splitlines()[1:]
    assert name in row
    assert note.endswith(reason)
