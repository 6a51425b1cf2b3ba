"""The way out of a sandbox, for models that may reach other machines."""

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager

import pytest

from glowplug.checkpoint import criu as criu_jobs
from glowplug.checkpoint import criu_binary
from glowplug.checkpoint.connections import StillConnected
from glowplug.checkpoint.sandbox import PROXY_PORT, Restore
from glowplug.checkpoint.sandbox_addresses import socket_for
from glowplug.config.models import ModelConfig
from glowplug.engines import registry
from glowplug.engines.base import Launch
from glowplug.node.image_space import ImageSpace
from glowplug.tiers.base import TierError
from glowplug.tiers.sandboxed import sandboxed_launch
from tests.node.own_network import FAR, Far, supervising, within
from tests.node.programs import PATIENCE, printed, until
from tests.node.sandboxes import said, surroundings

pytestmark = pytest.mark.root

FETCH = """
import json, os, sys, urllib.request
try:
    with urllib.request.urlopen(sys.argv[1], b"body" if len(sys.argv) > 2 else None, timeout=20) as answer:
        print(json.dumps([answer.status, answer.read().decode()]))
except urllib.error.HTTPError as error:
    print(json.dumps([error.code, error.read().decode()]))
except OSError as error:
    print(json.dumps([type(error).__name__, str(error)]))
"""

# Holds a tunnel to argv[1]:argv[2]; says something through it, or through a new one, at SIGUSR1, and what became of it.
TUNNEL = """
import signal, socket, sys
def open_tunnel():
    connection = socket.create_connection(("127.0.0.1", 3128), 20)
    connection.sendall(f"CONNECT {sys.argv[1]}:{sys.argv[2]} HTTP/1.1\\r\\n\\r\\n".encode())
    assert connection.recv(4096).startswith(b"HTTP/1.1 200 "), "no tunnel"
    connection.sendall(b"ECHO\\n")
    return connection
def say(connection):
    connection.sendall(b"hello")
    return connection.recv(4096).decode()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
connection = open_tunnel()
print("tunnel", say(connection), flush=True)
while True:
    signal.sigwait({signal.SIGUSR1})
    try:
        print("old", say(connection), flush=True)
    except OSError as error:
        print("old", type(error).__name__, flush=True)
    try:
        connection = open_tunnel()
        print("new", say(connection), flush=True)
    except OSError as error:
        print("new", type(error).__name__, flush=True)
"""


def _environment(network):
    model = ModelConfig(engine="fake", network=network)
    return sandboxed_launch("m", model, registry.get("fake")).env


async def _fetched(supervisor, *arguments, network=True):
    """What an engine gets that fetches a URL as Python does, by the variables of its environment."""
    launch = Launch([sys.executable, "-c", FETCH, *arguments], _environment(network), network=network)
    return await said(supervisor, launch)


@asynccontextmanager
async def _asking(tree):
    """A connection to the proxy as from inside the sandbox."""
    connection = socket_for((2, 1, 0, "", (tree.ip, PROXY_PORT)))
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", PROXY_PORT))
    reader, writer = await asyncio.open_connection(sock=connection)
    try:
        yield reader, writer
    finally:
        writer.close()


async def _sleeping(supervisor):
    return await supervisor.spawn("m-0", Launch(["sleep", "1000"], network=True), surroundings())


async def _status(tree, request):
    async with _asking(tree) as (reader, writer):
        writer.write(request)
        answer = await asyncio.wait_for(reader.read(), PATIENCE)
    return int(answer.split()[1]), answer.partition(b"\r\n\r\n")[2].decode()


def test_a_model_with_network_is_told_of_the_way_out_and_others_of_none():
    for name in ("HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        assert _environment(True)[name] == f"http://127.0.0.1:{PROXY_PORT}"
        assert name not in _environment(False)
    assert _environment(True)["NO_PROXY"].split(",")[:2] == ["localhost", "127.0.0.1"]


def test_what_is_configured_for_the_engine_comes_first():
    model = ModelConfig(engine="fake", network=True, env={"NO_PROXY": "mine"})
    assert sandboxed_launch("m", model, registry.get("fake")).env["NO_PROXY"] == "mine"


def test_an_engine_fetches_what_it_wants_if_it_may(tmp_path):
    async def scenario():
        far = Far()
        async with supervising(tmp_path) as supervisor, far.serving() as port:
            url = f"http://{FAR}:{port}/model?x=1"
            assert await _fetched(supervisor, url) == [200, "hello"]
            assert await _fetched(supervisor, url, "post") == [200, "hello"]
            get, post = far.got
            assert get.startswith(
                b"GET /model?x=1 HTTP/1.1\r\nHost: %s:%d\r\nConnection: close\r\n" % (FAR.encode(), port)
            )
            assert post.startswith(b"POST /model?x=1 HTTP/1.1\r\n")
            assert post.endswith(b"\r\n\r\nbody")
            await until(lambda: far.open == 0)
            name, reason = await _fetched(supervisor, url, network=False)
            assert name == "URLError"
            assert "Network is unreachable" in reason
            assert len(far.got) == 2

    within(scenario)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "169.254.169.254", "[::ffff:127.0.0.1]"]
)
def test_the_host_itself_and_the_metadata_of_its_cloud_are_out_of_reach(tmp_path, host):
    async def scenario():
        async with supervising(tmp_path) as supervisor:
            tree = await _sleeping(supervisor)
            for request in (f"CONNECT {host}:80 HTTP/1.1\r\n\r\n", f"GET http://{host}/ HTTP/1.1\r\n\r\n"):
                status, reason = await _status(tree, request.encode())
                assert status == 403
                assert "which engines may not reach" in reason

    within(scenario)


def test_what_cannot_be_read_or_reached_is_told(tmp_path):
    async def scenario():
        async with supervising(tmp_path) as supervisor:
            tree = await _sleeping(supervisor)
            assert (await _status(tree, b"GET / HTTP/1.1\r\n\r\n"))[0] == 400
            assert (await _status(tree, b"GET http://a/ HTTP/1.1\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"))[0] == 400
            refused = await _status(tree, f"CONNECT {FAR}:1 HTTP/1.1\r\n\r\n".encode())
            assert refused == (502, f"{FAR} cannot be reached: Connection refused.\n")
            assert (await _status(tree, b"CONNECT no.such.invalid:80 HTTP/1.1\r\n\r\n"))[0] == 502

    within(scenario)


def test_a_tunnel_carries_both_directions_to_their_ends(tmp_path):
    async def scenario():
        far = Far()
        async with supervising(tmp_path) as supervisor, far.serving() as port:
            tree = await _sleeping(supervisor)
            content = bytes(range(256)) * 10_000
            async with _asking(tree) as (reader, writer):
                writer.write(f"CONNECT {FAR}:{port} HTTP/1.1\r\nHost: {FAR}\r\n\r\n".encode())
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
                writer.write(b"ECHO\n")
                sending = asyncio.create_task(_send(writer, content))
                assert await reader.readexactly(len(content)) == content
                await sending
                assert await reader.read() == b"<end>"  # also after our end of it was closed
            await until(lambda: far.open == 0)

    within(scenario)


async def _send(writer, content):
    writer.write(content)
    await writer.drain()
    writer.write_eof()


def test_too_many_connections_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("glowplug.node.outbound._MOST", 2)

    async def scenario():
        far = Far()
        async with supervising(tmp_path) as supervisor, far.serving() as port:
            tree = await _sleeping(supervisor)
            tunnel = f"CONNECT {FAR}:{port} HTTP/1.1\r\n\r\n".encode()
            async with _asking(tree) as (one, first), _asking(tree) as (two, second):
                for reader, writer in ((one, first), (two, second)):
                    writer.write(tunnel)
                    assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
                assert (await _status(tree, tunnel))[0] == 503
            await until(lambda: far.open == 0)
            async with _asking(tree) as (reader, writer):
                writer.write(tunnel)
                assert b" 200 " in await reader.readuntil(b"\r\n\r\n")

    within(scenario)


async def _with_tunnel(supervisor, port, *paths, **settings):
    launch = Launch([sys.executable, "-I", "-c", TUNNEL, FAR, str(port)], network=True)
    tree = await supervisor.spawn("m-0", launch, surroundings(*paths, **settings))
    assert await printed(supervisor, "tunnel", "m-0") == "tunnel hello"
    return tree


async def _next(supervisor, tree, count):
    """What the program says at a signal."""
    before = len(supervisor.ring("m-0").lines())
    os.kill(tree.pid, signal.SIGUSR1)
    await until(lambda: len(supervisor.ring("m-0").lines()) >= before + count)
    return supervisor.ring("m-0").lines()[before:]


def test_a_cut_off_engine_has_no_connection_to_outside_and_finds_the_way_out_again(tmp_path):
    async def scenario():
        far = Far()
        async with supervising(tmp_path) as supervisor, far.serving() as port:
            tree = await _with_tunnel(supervisor, port)
            async with tree.cut_off():
                await until(lambda: far.open == 0)
                assert await _next(supervisor, tree, 2) == ["old ConnectionResetError", "new ConnectionRefusedError"]
            # The old connection was broken while cut off; the new one holds.
            assert (await _next(supervisor, tree, 2))[1] == "new hello"
            assert await _next(supervisor, tree, 2) == ["old hello", "new hello"]
            await tree.stop(0)
            await until(lambda: far.open == 0)

    within(scenario)


def test_a_connection_of_somebody_else_to_the_engine_is_no_condition_for_a_dump(tmp_path):
    program = """
import socket
listening = socket.create_server(("0.0.0.0", 8000))
own = socket.create_connection(("127.0.0.1", 8000))
accepted = listening.accept()
print("ready", flush=True)
other = listening.accept()
print("connected", flush=True)
listening.accept()
"""

    async def scenario():
        async with supervising(tmp_path) as supervisor:
            tree = await supervisor.spawn("m-0", Launch([sys.executable, "-I", "-c", program]), surroundings())
            await printed(supervisor, "ready", "m-0")
            async with tree.cut_off():  # its connections to itself do not count
                pass
            connection = socket_for((2, 1, 0, "", (tree.ip, 8000)))
            connection.connect((tree.ip, 8000))
            await printed(supervisor, "connected", "m-0")
            with pytest.raises(StillConnected, match=r"connection to 127\.\d+\.\d+\.\d+:\d+ that leads out"):
                async with tree.cut_off():
                    raise AssertionError
            connection.close()
            async with tree.cut_off():
                pass

    within(scenario)


@pytest.mark.criu
def test_an_engine_that_was_dumped_amid_a_connection_finds_the_way_out_when_it_is_restored(tmp_path):
    if reason := criu_binary.criu_closed():
        pytest.skip(reason)
    criu = criu_binary.find()

    async def scenario():
        far = Far()
        images = tmp_path / "images"
        images.mkdir()
        space = ImageSpace(images)
        seen, ours = images, space.path
        (ours / "work").mkdir()
        place = criu_jobs.Place(seen, seen / "work", ours / "work")
        settings = {"mounts_of": space.mounts}
        async with supervising(tmp_path) as supervisor, far.serving() as port:
            tree = await _with_tunnel(supervisor, port, tmp_path, **settings)
            engine, pipe = criu_jobs.inner_pid(tree.pid), tree.output_pipe
            async with tree.cut_off():
                await asyncio.to_thread(
                    criu_jobs.dump, criu, init=tree.init, engine=engine, place=place, timeout=PATIENCE
                )
                criu_jobs.resume(tree.pids())
            await tree.stop(0)
            restore = Restore(criu_jobs.restore_command(criu, place, pipe), engine, [])
            launch = Launch([], network=True)
            async with asyncio.timeout(PATIENCE):
                tree = await supervisor.spawn("m-0", launch, surroundings(tmp_path, restore=restore, **settings))
            old, new = await _next(supervisor, tree, 2)
            assert old in ("old BrokenPipeError", "old ConnectionResetError")
            assert new == "new hello"
        space.close()

    within(scenario)


def test_an_engine_that_ends_while_it_is_cut_off_is_no_trouble(tmp_path):
    async def scenario():
        async with supervising(tmp_path) as supervisor:
            tree = await _sleeping(supervisor)
            async with tree.cut_off():
                os.kill(tree.init, signal.SIGKILL)
                await asyncio.shield(tree.exited)
            await until(lambda: not supervisor._trees)
            with pytest.raises(TierError, match="The engine has ended"):
                async with tree.cut_off():
                    raise AssertionError

    within(scenario)


def test_nothing_of_a_way_out_is_left_when_its_sandbox_is_gone(tmp_path):
    async def scenario():
        far = Far()
        async with supervising(tmp_path) as supervisor, far.serving() as port:
            tree = await _with_tunnel(supervisor, port)
            assert far.open == 1
            await tree.stop(0)
            await until(lambda: far.open == 0)
            assert not tree._outbound._open
            async with asyncio.timeout(PATIENCE):
                with pytest.raises(ConnectionRefusedError):
                    async with _asking(tree):
                        pass

    within(scenario)
