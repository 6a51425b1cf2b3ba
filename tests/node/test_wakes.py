"""Waking replicas: what lands where, and what is torn down."""

import asyncio
import gc
import os
import signal
import socket
import sys
import threading
from pathlib import Path

import aiohttp
import pytest

from glowplug.checkpoint import processes
from glowplug.engines.base import LOOPBACK, Launch
from glowplug.engines.fake import Fake
from glowplug.node import replica as replica_module
from glowplug.node import start_watch
from glowplug.node.process_tree import GuardedTree
from glowplug.scheduler.values import Resources, Tier
from tests.node.nodes import R, config, park, serving, wake
from tests.node.programs import PATIENCE, until

pytestmark = pytest.mark.slow

MIB = 1024**2

SPEAKING_ENGINE = Path(__file__).parents[1] / "profiling" / "speaking_engine.py"
"""A server that prints what vLLM prints."""


REFUSING = """
import http.server, json, sys
refusals = REFUSALS

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200, "ok")

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        if refusals:
            self.answer(refusals.pop(), "no")
        else:
            self.answer(200, json.dumps({"choices": [{"text": "hello"}]}))

    def answer(self, status, text):
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


async def _answers(address):
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{address}/v1/completions", json={"model": "fake", "prompt": "x"}) as response,
    ):
        return response.status


def walk(span):
    """The spans inside a span in JSON, and what is inside those."""
    for child in span["children"]:
        yield child
        yield from walk(child)


def covered(spans):
    """Seconds that the outermost spans cover together."""
    reached = total = 0.0
    for span in sorted(spans, key=lambda span: span["start"]):
        total += max(0.0, span["end"] - max(span["start"], reached))
        reached = max(reached, span["end"])
    return total


def _nothing_left(node):
    return node.pid(R) is None and not node._supervisor._trees and not node._host._given


async def test_a_started_engine_answers_at_its_address_and_is_measured(tmp_path):
    async with serving(tmp_path, config(memory="50MiB")) as (node, _):
        landed = await node.wake(R, "fake", Tier.CACHED)
        assert (landed.tier, landed.error) == (Tier.RUNNING, None)
        assert await _answers(landed.address) == 200
        assert landed.measured.ram > 50 * MIB
        assert processes.alive(node.pid(R))
        assert await node.check(R)


async def test_a_wake_is_recorded_as_a_cold_start_with_its_phases_in_order(tmp_path):
    phases = [{"phase": "weights_load", "seconds": 0.05}]
    async with serving(tmp_path, config(phases=phases, model={"warmup": [{"prompt": "x"}]})) as (node, _):
        record = (await node.wake(R, "fake", Tier.CACHED)).cold_start
        node.store.flush()
        assert node.store.cold_starts() == [record]
    spans = [span for span in record["spans"] if span["phase"] != "gap"]
    assert [span["phase"] for span in spans] == ["process_start", "engine_init", "warmup", "canary"]
    assert (record["engine"], record["model"], record["woke_from"]) == ("fake", "fake", "cached")
    assert (record["outcome"], record["reason"]) == ("ready", None)
    ends = [0.0]
    for span in record["spans"]:
        assert ends[-1] <= span["start"] <= span["end"] <= record["total"]
        assert span["seconds"] == pytest.approx(span["end"] - span["start"], abs=1e-5)
        ends.append(span["end"])
    assert spans[1]["seconds"] >= 0.05


async def test_the_record_of_a_start_tells_what_the_engine_told_and_what_its_processes_did(tmp_path):
    command = [sys.executable, str(SPEAKING_ENGINE), "{port}", "0.3"]
    model = {"engine": "command", "options": {"run": command}}
    async with serving(tmp_path, config(model=model)) as (node, _):
        landed = await node.wake(R, "fake", Tier.CACHED)
        assert landed.error is None
        assert not node._host._watches
    record = landed.cold_start
    assert (record["version"], record["reported"]["weights_load"]) == ("9.8.7", 0.3)
    start, init, canary = (span for span in record["spans"] if span["phase"] != "gap")
    assert (start["phase"], init["phase"], canary["phase"]) == ("process_start", "engine_init", "canary")
    inside = [span["phase"] for span in walk(init) if span["phase"] != "gap"]
    assert {"python_import", "model_load", "weights_load", "server_init"} <= set(inside)
    assert covered(record["spans"]) >= 0.95 * record["total"]
    imported = next(span for span in walk(init) if span.get("label") == "EngineCore")
    assert imported["seconds"] >= 0.3
    gaps = [span["activity"]["verdict"] for span in walk({"children": record["spans"]}) if span.get("phase") == "gap"]
    assert set(gaps) <= {"computed", "waited", "read"}


async def test_a_failed_start_is_recorded_with_what_the_engine_told_before(tmp_path):
    dying = f"import runpy, sys; sys.argv = ['x', 'core', '0.1']; runpy.run_path({str(SPEAKING_ENGINE)!r})"
    command = [sys.executable, "-c", f"{dying}['core'](0.1); sys.exit('ValueError: no more')"]
    model = {"engine": "command", "options": {"run": command}}
    async with serving(tmp_path, config(model=model)) as (node, _):
        landed = await node.wake(R, "fake", Tier.CACHED)
    record = landed.cold_start
    assert (record["outcome"], record["version"]) == ("failed", "9.8.7")
    assert "no more" in record["reason"]
    assert record["reported"]["weights_load"] == 0.1
    assert not [thread for thread in threading.enumerate() if thread.name == "glowplug-sampler"]


async def test_output_that_cannot_be_understood_does_not_keep_an_engine_from_starting(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(start_watch.Reader, "feed_chunk", lambda *_: 1 / 0)
    async with serving(tmp_path, config()) as (node, _):
        landed = await node.wake(R, "fake", Tier.CACHED)
        assert landed.error is None
        assert [line for line in node.log(R).lines() if "listening" in line]
    assert landed.cold_start["outcome"] == "ready"
    assert "could not be read" in caplog.text


async def test_nothing_of_a_start_is_kept_after_it(tmp_path):
    async with serving(tmp_path, config()) as (node, _):
        await wake(node)
        gc.collect()
        assert not [kept for kept in gc.get_objects() if isinstance(kept, start_watch.StartWatch)]
        assert not node.log(R)._listeners


async def test_a_parked_engine_comes_back_as_the_same_process(tmp_path, containment):
    async with serving(tmp_path, config(children=2, forking_child=True)) as (node, _):
        await wake(node)
        pid = node.pid(R)
        for _ in range(3):
            await park(node)
            landed = await node.wake(R, "fake", Tier.PARKED)
            assert (landed.tier, landed.error) == (Tier.RUNNING, None)
            assert [span["phase"] for span in landed.cold_start["spans"]] == ["thaw", "wake", "canary"]
            assert landed.measured.ram > 0
            assert await _answers(landed.address) == 200
        assert node.pid(R) == pid


async def test_an_engine_that_answers_differently_after_a_rest_is_torn_down_and_the_difference_told(tmp_path):
    """The first request is the canary of the start, the second that after the rest."""
    async with serving(tmp_path, config(answers_change_at="request:2")) as (node, _):
        await wake(node)
        await park(node)
        landed = await node.wake(R, "fake", Tier.PARKED)
        assert (landed.tier, landed.address) == (Tier.CACHED, None)
        assert "token 1 of the canary" in landed.error
        assert landed.measured == Resources()
        assert _nothing_left(node)
        await wake(node)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"crash_at": "start:weights_load", "crash_how": "exit:3"}, "exited with code 3"),
        ({"crash_at": "start:weights_load", "crash_how": "signal:11"}, "killed by signal 11"),
        ({"crash_at": "request:1", "crash_how": "exit:1"}, "exited with code 1"),
    ],
)
async def test_an_engine_that_ends_during_its_start_is_reported_with_cause_and_last_words(tmp_path, options, reason):
    phases = [{"phase": "weights_load", "seconds": 0}]
    async with serving(tmp_path, config(phases=phases, **options)) as (node, told):
        landed = await node.wake(R, "fake", Tier.CACHED)
        assert landed.tier is Tier.CACHED
        assert reason in landed.error
        assert landed.cold_start["outcome"] == "failed"
        assert landed.cold_start["reason"] == landed.error
        assert _nothing_left(node)
        assert told.exits.empty()
        node.store.flush()
        assert node.store.costs() == []


async def test_a_program_that_does_not_exist_is_one_sentence(tmp_path):
    command = {"engine": "command", "options": {"run": "/no/such/engine {port}"}}
    async with serving(tmp_path, config(model=command)) as (node, _):
        landed = await node.wake(R, "fake", Tier.CACHED)
        assert landed.error == "The engine cannot be started: No such file or directory /no/such/engine."
        assert _nothing_left(node)


async def test_an_engine_that_never_gets_ready_is_ended_after_the_time_limit(tmp_path):
    phases = [{"phase": "weights_load", "seconds": 1000}]
    settings = config(phases=phases, children=2, ignores_sigterm=True, model={"start_timeout": "300ms"})
    async with serving(tmp_path, settings) as (node, _):
        landed = await node.wake(R, "fake", Tier.CACHED)
        assert (landed.tier, landed.error) == (Tier.CACHED, "The engine was not ready within 0.3 s.")
        assert _nothing_left(node)


async def test_a_parked_engine_that_does_not_answer_in_time_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(replica_module, "RETURN_TIMEOUT", 0.3)
    async with serving(tmp_path, config(crash_at="request:2", crash_how="hang")) as (node, _):
        await wake(node)
        await park(node)
        landed = await node.wake(R, "fake", Tier.PARKED)
        assert (landed.tier, landed.error) == (Tier.CACHED, "The engine was not ready within 0.3 s.")
        assert _nothing_left(node)


async def test_a_wake_that_is_called_off_is_torn_down_and_says_so(tmp_path):
    async with serving(tmp_path, config(phases=[{"phase": "weights_load", "seconds": 1000}])) as (node, _):
        waking = asyncio.create_task(node.wake(R, "fake", Tier.CACHED))
        await until(lambda: node.pid(R) is not None)
        node.abort(R)
        landed = await asyncio.wait_for(waking, PATIENCE)
        assert (landed.tier, landed.error) == (Tier.CACHED, "The transition was called off.")
        assert landed.cold_start["outcome"] == "incomplete"
        assert _nothing_left(node)


async def test_a_wake_that_is_called_off_before_it_begins_starts_nothing(tmp_path):
    async with serving(tmp_path, config(phases=[{"phase": "weights_load", "seconds": 1000}])) as (node, _):
        waking = asyncio.create_task(node.wake(R, "fake", Tier.CACHED))
        node.abort(R)
        landed = await asyncio.wait_for(waking, PATIENCE)
        assert (landed.tier, landed.error) == (Tier.CACHED, "The transition was called off.")
        assert landed.measured == Resources()
        assert _nothing_left(node)


async def test_a_wake_from_parked_that_is_called_off_before_it_begins_leaves_the_engine_parked(tmp_path):
    async with serving(tmp_path, config()) as (node, told):
        await wake(node)
        await park(node)
        pid = node.pid(R)
        waking = asyncio.create_task(node.wake(R, "fake", Tier.PARKED))
        node.abort(R)
        landed = await waking
        assert (landed.tier, landed.error) == (Tier.PARKED, "The transition was called off.")
        await wake(node, Tier.PARKED)  # that it was called off holds once
        assert node.pid(R) == pid
        await park(node)
        os.kill(pid, signal.SIGKILL)
        await told.exit()
        waking = asyncio.create_task(node.wake(R, "fake", Tier.PARKED))
        node.abort(R)
        assert (await waking).tier is Tier.CACHED


async def test_calling_off_what_is_just_ending_does_not_touch_the_next_wake(tmp_path, monkeypatch):
    async with serving(tmp_path, config(answers_change_at="request:2")) as (node, _):

        async def stop(tree, grace, end=GuardedTree.stop):
            node.abort(R)  # the engine has failed and is being cleaned up
            return await end(tree, grace)

        await wake(node)
        await park(node)
        with monkeypatch.context() as patch:
            patch.setattr(GuardedTree, "stop", stop)
            assert "of the canary" in (await node.wake(R, "fake", Tier.PARKED)).error
        await wake(node)


async def test_a_wake_whose_caller_is_cancelled_is_torn_down(tmp_path):
    async with serving(tmp_path, config(phases=[{"phase": "weights_load", "seconds": 1000}])) as (node, _):
        waking = asyncio.create_task(node.wake(R, "fake", Tier.CACHED))
        await until(lambda: node.pid(R) is not None)
        waking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waking
        assert _nothing_left(node)


async def test_an_engine_that_says_not_yet_is_asked_again_and_one_that_says_no_is_not(tmp_path):
    for refusals, landing in (([503, 503], Tier.RUNNING), ([404], Tier.CACHED)):

        class Refusing(Fake):
            """Healthy at once, but its first completions are refused."""

            script = REFUSING.replace("REFUSALS", repr(refusals))

            def launch(self, name, model, port, host=LOOPBACK):
                return Launch([sys.executable, "-c", self.script, str(port)])

        engine = Refusing()
        async with serving(tmp_path, config(), engine_of=lambda _, engine=engine: engine) as (node, _):
            landed = await node.wake(R, "fake", Tier.CACHED)
            assert landed.tier is landing
            if landed.error is not None:
                assert "answered the canary with status 404: no" in landed.error


@pytest.mark.parametrize(("robberies", "landing"), [(1, Tier.RUNNING), (2, Tier.CACHED)])
async def test_an_engine_whose_port_is_taken_under_its_nose_is_started_once_more_elsewhere(
    tmp_path, robberies, landing
):
    thieves: list[socket.socket] = []
    ports: list[int] = []

    class Robbed(Fake):
        """Loses its first ports just before it opens them."""

        def launch(self, name, model, port, host=LOOPBACK):
            ports.append(port)
            if len(ports) <= robberies:
                thieves.append(socket.create_server(("127.0.0.1", port)))
            return super().launch(name, model, port)

    async with serving(tmp_path, config(), engine_of=lambda _: Robbed()) as (node, _):
        landed = await node.wake(R, "fake", Tier.CACHED)
        assert landed.tier is landing
        assert len(set(ports)) == 2
        if landing is Tier.RUNNING:
            assert landed.address.endswith(str(ports[1]))
            assert [span["phase"] for span in landed.cold_start["spans"]].count("process_start") == 1
        else:
            assert "address already in use" in landed.error
    for thief in thieves:
        thief.close()


async def test_waking_what_has_no_process_any_more_fails_and_the_next_rung_works(tmp_path):
    async with serving(tmp_path, config()) as (node, told):
        await wake(node)
        await park(node)
        os.kill(node.pid(R), signal.SIGKILL)
        await told.exit()
        landed = await node.wake(R, "fake", Tier.PARKED)
        assert (landed.tier, landed.error) == (Tier.CACHED, "The engine has ended.")
        await wake(node)


async def test_a_model_that_was_taken_out_of_the_configuration_is_not_started(tmp_path):
    async with serving(tmp_path, config()) as (node, _):
        other = config()
        node.update(other.model_copy(update={"models": {"other": other.models["fake"]}}))
        landed = await node.wake(R, "fake", Tier.CACHED)
        assert (landed.tier, landed.error) == (Tier.CACHED, "The model is no longer configured.")
