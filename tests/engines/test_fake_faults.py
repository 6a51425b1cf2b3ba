"""The fake engine fails as it is told to."""

import asyncio
import http.client
import json
import signal
import time

import psutil
import pytest

from glowplug.config.models import ModelConfig
from glowplug.engines.base import Call
from glowplug.engines.canary import compare
from glowplug.engines.fake import Fake
from tests.engines.running import PATIENCE, free_port, running, spawned

ENGINE = Fake()
PHASES = [{"phase": "weights_load", "seconds": 0.01}, {"phase": "graph_capture", "seconds": 0.02}]


def config(**options):
    return ModelConfig(engine="fake", options=options)


def fake(**options):
    return running(ENGINE, config(**options))


def started(**options):
    return spawned(ENGINE.launch("m", config(**options), free_port()))


def wait_for(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def stream(server, **body):
    """Token texts until the stream ends or breaks, and whether it broke."""
    data = json.dumps({"prompt": "x", "stream": True, **body}).encode()
    broke = False
    with server.open("POST", "/v1/completions", data) as answer:
        try:
            received = answer.read()
        except http.client.IncompleteRead as error:
            received, broke = error.partial, True
    events = [line[6:] for line in received.splitlines() if line.startswith(b"data: {")]
    return [json.loads(event)["choices"][0]["text"] for event in events], broke


def test_phases_are_told_in_order_before_the_port_listens():
    with fake(phases=PHASES) as server:
        lines = server.started.output.splitlines()
    assert [line.split()[3:5] for line in lines[:4]] == [
        ["weights_load", "begins"], ["weights_load", "took"], ["graph_capture", "begins"], ["graph_capture", "took"],
    ]  # fmt: skip
    assert lines[4] == f"fake engine: listening on {server.url}"


@pytest.mark.parametrize(("how", "code"), [("exit:3", 3), ("signal:9", -9), ("signal:11", -11)])
def test_a_start_may_fail_in_a_phase(how, code):
    with started(phases=PHASES, crash_at="start:graph_capture", crash_how=how) as process:
        assert process.process.wait(PATIENCE) == code
        assert "phase graph_capture begins" in process.output
        assert "graph_capture took" not in process.output


def test_a_start_may_hang_until_it_is_ended():
    with started(phases=PHASES, crash_at="start:weights_load", crash_how="hang") as process:
        wait_for(lambda: "(hang)" in process.output)
        assert process.process.poll() is None
        process.process.terminate()
        assert process.process.wait(PATIENCE) == 0


def test_it_may_crash_on_a_request():
    with fake(crash_at="request:2", crash_how="exit:7") as server:
        assert len(server.canary().tokens) == 2
        server.get("/v1/models")  # no work, and not counted
        with pytest.raises(OSError):
            server.canary()
        assert server.process.wait(PATIENCE) == 7


def test_it_may_crash_in_the_middle_of_a_stream_after_exactly_so_many_tokens():
    with fake(crash_at="token:5", crash_how="signal:9") as server:
        assert stream(server, max_tokens=3) == (["tok0", "tok1", "tok2"], False)
        assert stream(server) == (["tok0", "tok1"], True)
        assert server.process.wait(PATIENCE) == -9


def test_it_may_stop_answering():
    with fake(crash_at="request:1", crash_how="hang") as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=0.2)
        with pytest.raises(TimeoutError):
            connection.request("POST", "/v1/completions", b'{"prompt": "x"}')
            connection.getresponse()
        connection.close()
        assert server.process.poll() is None


def test_answers_may_change_after_a_freeze():
    with fake(answers_change_at="wake") as server:
        before = server.canary()
        server.freeze()
        server.thaw()
        assert compare(before, server.canary()) == "token 1 of the canary is 'bad0' instead of 'tok0'"


def test_answers_do_not_change_after_a_freeze_unless_told():
    with fake() as server:
        before = server.canary()
        server.freeze()
        server.thaw()
        assert server.canary() == before


def test_answers_may_change_after_sleep_or_on_a_request():
    with fake(answers_change_at="wake") as server:
        server.ask(Call("POST", "/wake_up"))
        assert server.canary().tokens == ("bad0", "bad1")
    with fake(answers_change_at="request:2") as server:
        assert [server.canary().tokens[0] for _ in range(3)] == ["tok0", "bad0", "bad0"]


def test_settings_may_change_while_it_runs():
    with fake() as server:
        assert server.post("/fake/control", tokens=2, crash_at="request:2")["tokens"] == 2
        assert stream(server)[0] == ["tok0", "tok1"]
        with pytest.raises(OSError):
            server.canary()
        assert server.process.wait(PATIENCE) == 1


def test_settings_that_cannot_change_are_refused_whole():
    with fake() as server:
        assert server.status(Call("POST", "/fake/control", {"tokens": 3, "memory": 5})) == 400
        assert server.get("/fake/control")["tokens"] == 16


def resident(server):
    return psutil.Process(server.process.pid).memory_info().rss


@pytest.mark.parametrize("keeps", [False, True])
def test_memory_is_really_held_and_given_back_in_sleep_or_not(keeps):
    size = 64 * 1024**2
    with fake(memory="64MiB", keeps_memory_asleep=keeps) as server:
        held = resident(server)
        assert held > size
        assert server.ask(ENGINE.sleep("fake", server.model, 1)[0]) == {"status": "sleeping", "level": 1}
        assert server.get("/is_sleeping") == {"is_sleeping": True}
        assert (held - resident(server) > size * 0.9) is not keeps
        assert server.status(ENGINE.canary("m", server.model)) == 503
        server.ask(ENGINE.wake("fake", server.model, 1)[0])
        assert resident(server) > size
        assert server.canary().tokens == ("tok0", "tok1")


def test_it_may_have_children():
    with fake(children=3) as server:
        children = psutil.Process(server.process.pid).children(recursive=True)
        assert len(children) == 3
        server.process.terminate()
        assert server.process.wait(PATIENCE) == 0
        assert all(child.is_running() for child in children)  # nobody ended them: orphans to be found


def test_a_child_may_keep_forking():
    with fake(forking_child=True) as server:
        (child,) = psutil.Process(server.process.pid).children()
        seen = set()
        wait_for(lambda: seen.update(grandchild.pid for grandchild in child.children()) or len(seen) > 15)
        assert len(child.children()) <= 15  # they come and go


def test_it_may_ignore_sigterm():
    with fake(ignores_sigterm=True, children=1) as server:
        (child,) = psutil.Process(server.process.pid).children()
        server.process.terminate()
        child.terminate()
        assert len(server.canary().tokens) == 2
        assert child.is_running()
        server.process.kill()
        assert server.process.wait(PATIENCE) == -signal.SIGKILL


def test_sigterm_ends_it_cleanly():
    with fake() as server:
        server.process.terminate()
        assert server.process.wait(PATIENCE) == 0


def test_a_rate_is_kept_and_all_tokens_come():
    with fake(tokens_per_second=200, tokens=10) as server:
        assert len(stream(server)[0]) == 10
        answer = server.post("/v1/completions", prompt="x")
        assert answer["usage"]["completion_tokens"] == 10


def test_a_rate_of_0_holds_streams_and_nothing_else_so_that_the_engine_can_wake():
    with fake(tokens_per_second=0) as server:
        assert len(server.canary().tokens) == 2
        assert server.post("/v1/chat/completions", messages=[])["usage"]["completion_tokens"] == 16


async def test_idle_streams_are_held_open_until_the_client_leaves():
    body = b'{"prompt": "x", "stream": true}'
    request = b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    with fake(tokens_per_second=0) as server:
        connections = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(300)]
        for _, writer in connections:
            writer.write(request)
        for reader, _ in connections:
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        assert server.get("/fake/control")["open"] == 300
        for _, writer in connections:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for _, writer in connections))
        wait_for(lambda: server.get("/fake/control")["left"] == 300)
        assert server.get("/fake/control")["open"] == 0
