"""What an engine in a sandbox sees, and how it is reached, frozen and ended."""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import aiohttp
import pytest

from glowplug.checkpoint import processes, sandbox_init
from glowplug.checkpoint.sandbox_addresses import NOWHERE, socket_for
from glowplug.engines.base import Launch
from glowplug.tiers.base import ExitCause, TierError
from tests.node.programs import ESCAPING, FAMILY, PATIENCE, STUBBORN, printed
from tests.node.sandboxes import descriptors, namespaces, said, spawn, surroundings

pytestmark = pytest.mark.root

WITHIN = """
import ctypes, json, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)

def io_uring():
    result = libc.syscall(425, 8, ctypes.create_string_buffer(120))
    return [result, ctypes.get_errno()]

def in_child():
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.write(writing, json.dumps(io_uring()).encode())
        os._exit(0)
    os.wait()
    return json.loads(os.read(reading, 100))

def error_of(action):
    try:
        return str(action())
    except OSError as error:
        return error.errno

folder = os.open("/proc/self/fd", os.O_RDONLY)
links = [f"/proc/self/fd/{name}" for name in range(100)]
open_ones = {link.rpartition("/")[2]: os.readlink(link) for link in links if os.path.lexists(link)}
print(json.dumps({
    "pid": os.getpid(),
    "parent": os.getppid(),
    "processes": sorted(int(name) for name in os.listdir("/proc") if name.isdigit()),
    "descriptors": open_ones,
    "null": [os.fstat(0).st_dev, os.stat("/dev/null").st_dev],
    "interfaces": [name for _, name in socket.if_nameindex()],
    "far": error_of(lambda: socket.create_connection(("192.0.2.1", 80), 5)),
    "shm": os.listdir("/dev/shm"),
    "tmp": sorted(os.listdir("/tmp")),
    "cwd": os.getcwd(),
    "io_uring": io_uring(),
    "in_child": in_child(),
    "mark": os.environ.get("GLOWPLUG_RUN"),
}))
"""

SERVER = f"""
exec {sys.executable} -I -c '
import http.server, os, sys
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = os.environ["NAME"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("0.0.0.0", 8000), Answer)
print("ready", flush=True)
server.serve_forever()
'
"""


@pytest.fixture
def containment():
    """As the host offers it."""


@pytest.fixture
async def inside(supervisor):
    """What a program in a sandbox sees."""
    return await said(supervisor, Launch([sys.executable, "-I", "-c", WITHIN]))


async def test_a_sandbox_has_its_own_processes_memory_and_network(inside):
    assert inside["pid"] > 900
    assert inside["parent"] == 1
    assert inside["processes"] == [1, inside["pid"]]
    assert inside["interfaces"] == ["lo"]
    assert inside["far"] == 101  # ENETUNREACH
    assert inside["shm"] == []
    assert inside["io_uring"] == inside["in_child"] == [-1, 38]  # ENOSYS
    assert inside["mark"] is None


async def test_an_engine_in_a_sandbox_has_null_of_its_own_one_output_and_nothing_else(inside):
    open_ones = inside["descriptors"]
    assert open_ones.pop("0") == "/dev/null"
    assert inside["null"][0] == inside["null"][1]
    output = open_ones.pop("1")
    assert output.startswith("pipe:[")
    assert open_ones.pop("2") == output
    assert [*open_ones.values()] == [f"/proc/{inside['pid']}/fd"]  # which the program itself reads


async def test_an_engine_runs_in_the_directory_of_the_server_or_in_its_own(supervisor, inside, tmp_path):
    assert inside["cwd"] == str(Path.cwd())
    launch = Launch([sys.executable, "-c", "import os; print(os.getcwd())"], cwd=tmp_path)
    tree = await supervisor.spawn("own-0", launch, surroundings(tmp_path))
    await asyncio.shield(tree.exited)
    assert tree.output() == [str(tmp_path)]


async def test_all_namespaces_are_other_ones_than_those_of_the_server_and_of_another_sandbox(supervisor):
    first = await spawn(supervisor, "echo ready; exec sleep 1000")
    second = await spawn(supervisor, "echo ready; exec sleep 1000", "model-1")
    of_three = [namespaces(os.getpid()), namespaces(first.pid), namespaces(second.pid)]
    for kind in ("pid", "mnt", "ipc", "net"):
        assert len({names[kind] for names in of_three}) == 3
    assert namespaces(first.init) == namespaces(first.pid)


async def test_private_directories_are_shared_with_nobody(supervisor, tmp_path):
    name = f"glowplug-test-{os.getpid()}"
    write = f"echo mine > /dev/shm/{name}; echo mine > /tmp/{name}; echo ready; exec sleep 1000"
    tree = await spawn(supervisor, write)
    assert not Path(f"/dev/shm/{name}").exists()
    assert not Path(f"/tmp/{name}").exists()
    for place in ("dev/shm", "tmp"):
        assert Path(f"/proc/{tree.init}/root/{place}/{name}").read_text() == "mine\n"
    other = await spawn(supervisor, "ls /dev/shm; echo ready; exec sleep 1000", "model-1")
    assert other.output() == ["ready"]


async def test_named_directories_of_tmp_stay_visible_and_can_be_written(supervisor, tmp_path):
    (tmp_path / "weights").write_text("there")
    hidden = Path(f"/tmp/glowplug-test-hidden-{os.getpid()}")
    hidden.mkdir()
    try:
        script = f"cat {tmp_path}/weights; echo back > {tmp_path}/answer; test -e {hidden} || echo ' ready'; sleep 1000"
        launch = Launch(["sh", "-c", script])
        await supervisor.spawn("model-0", launch, surroundings(tmp_path))
        assert await printed(supervisor, "ready") == "there ready"
    finally:
        hidden.rmdir()
    assert (tmp_path / "answer").read_text() == "back\n"


async def test_two_sandboxes_use_the_same_port_and_each_is_reached_at_its_own_address(supervisor):
    trees = []
    for number in range(2):
        launch = Launch(["sh", "-c", SERVER], {"NAME": f"engine {number}"})
        trees.append(await supervisor.spawn(f"model-{number}", launch, surroundings()))
        await printed(supervisor, "ready", f"model-{number}")
    assert trees[0].ip != trees[1].ip
    connector = aiohttp.TCPConnector(socket_factory=socket_for)
    async with aiohttp.ClientSession(connector=connector) as session:
        for _ in range(2):
            for number, tree in enumerate(trees):
                async with session.get(f"http://{tree.ip}:8000/") as answer:
                    assert await answer.text() == f"engine {number}"


async def _raw(ip, port=8000):
    target = (socket.AF_INET, socket.SOCK_STREAM, 0, "", (ip, port))
    with socket_for(target) as connection:
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connection, (ip, port))
        await loop.sock_sendall(connection, b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while part := await loop.sock_recv(connection, 4096):
            answer += part
    return answer.rpartition(b"\r\n\r\n")[2]


async def test_a_closed_port_and_a_sandbox_that_is_gone_refuse_connections(supervisor, unused_port_listener):
    launch = Launch(["sh", "-c", SERVER], {"NAME": "one"})
    tree = await supervisor.spawn("model-0", launch, surroundings())
    await printed(supervisor, "ready")
    ip = tree.ip
    assert await _raw(ip) == b"one"
    with pytest.raises(ConnectionRefusedError):
        await _raw(ip, 8001)
    await tree.stop(0)
    # Something of the host's listens on all addresses: it must not be taken for the engine.
    for address in (ip, NOWHERE):
        with pytest.raises(ConnectionRefusedError):
            await _raw(address, unused_port_listener)
        connector = aiohttp.TCPConnector(socket_factory=socket_for)
        async with aiohttp.ClientSession(connector=connector) as session:
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.get(f"http://{address}:{unused_port_listener}/")


@pytest.fixture
async def unused_port_listener():
    """The port of a server that listens on every address of the host."""

    async def answer(_reader, writer):
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nhost")
        writer.close()

    server = await asyncio.start_server(answer, "0.0.0.0", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        ("exit 0", ExitCause(code=0)),
        ("exit 3", ExitCause(code=3)),
        ("kill -SEGV $$", ExitCause(signal=signal.SIGSEGV)),
        ("kill -KILL $$", ExitCause(signal=signal.SIGKILL)),
    ],
)
async def test_how_an_engine_ended_is_told_even_if_it_ends_at_once(supervisor, script, cause):
    for _ in range(5):
        tree = await supervisor.spawn("model-0", Launch(["sh", "-c", script]), surroundings())
        async with asyncio.timeout(PATIENCE):
            assert await asyncio.shield(tree.exited) == cause
        assert await tree.stop(0) == cause


@pytest.mark.parametrize(
    ("launch", "reason"),
    [
        (Launch(["/no/such/program"]), "No such file or directory /no/such/program"),
        (Launch(["true"], cwd=Path("/no/such/place")), "/no/such/place"),
    ],
)
async def test_an_engine_that_cannot_be_started_says_why(supervisor, launch, reason):
    with pytest.raises(TierError, match=reason):
        await supervisor.spawn("model-0", launch, surroundings())
    assert not supervisor._trees


async def test_a_sandbox_that_cannot_be_made_says_why(supervisor):
    with pytest.raises(TierError, match="No such file or directory /proc/0/ns/mnt"):
        await supervisor.spawn("model-0", Launch(["true"]), surroundings(mounts_of=Path("/proc/0/ns/mnt")))
    assert not supervisor._trees


async def test_the_number_of_the_engine_is_that_of_its_process(supervisor):
    tree = await spawn(supervisor, FAMILY)
    assert Path(f"/proc/{tree.pid}/cmdline").read_bytes().startswith(b"sh\0-c")
    assert processes.read_stat(tree.pid).parent == tree.init
    assert processes.read_stat(tree.init).parent == tree.root
    assert tree.pids()[0] == tree.pid
    assert len(tree.pids()) == 5


@pytest.mark.parametrize("script", [FAMILY, ESCAPING])
async def test_stopping_ends_every_process_wherever_it_went(supervisor, script):
    tree = await spawn(supervisor, script)
    pids = tree.pids()
    assert (await tree.stop(PATIENCE)).signal == signal.SIGTERM
    assert not [pid for pid in pids if processes.alive(pid)]


async def test_an_engine_that_ignores_the_request_to_end_is_killed_after_the_grace(supervisor):
    tree = await spawn(supervisor, STUBBORN)
    assert await tree.stop(0.05) == ExitCause(signal=signal.SIGKILL)
    assert not processes.alive(tree.pid)


async def test_an_engine_may_use_its_grace_to_end_in_its_own_way(supervisor):
    tree = await spawn(supervisor, "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.01; done")
    assert await tree.stop(PATIENCE) == ExitCause(code=7)
    assert tree.output()[-1] == "bye"


async def test_what_is_left_behind_may_clean_up_before_it_is_killed(supervisor):
    script = "sh -c 'trap \"echo cleaned up; exit\" TERM; echo ready; while :; do sleep 0.01; done' & wait"
    tree = await spawn(supervisor, script)
    os.kill(tree.pid, signal.SIGKILL)
    await printed(supervisor, "cleaned up")
    assert (await asyncio.shield(tree.exited)).signal == signal.SIGKILL


async def test_what_will_not_clean_up_holds_the_end_of_a_sandbox_up_for_the_grace_only(supervisor):
    script = "sh -c 'trap \"\" TERM; echo ready; while :; do sleep 1000; done' & wait"
    tree = await spawn(supervisor, script)
    pids = tree.pids()
    os.kill(tree.pid, signal.SIGKILL)
    async with asyncio.timeout(PATIENCE):
        await asyncio.wait({tree._cleaning})
    assert not [pid for pid in pids if processes.alive(pid)]


async def test_starting_and_stopping_leaves_no_descriptor_behind(supervisor):
    async def round_trip() -> dict[str, str]:
        tree = await spawn(supervisor, FAMILY, network=True)
        await tree.stop(0)
        await supervisor._spare
        return descriptors()

    first = await round_trip()
    assert [len(await round_trip()) for _ in range(4)] == [len(first)] * 4


async def test_a_directory_that_is_kept_is_seen_in_tmp_and_no_part_of_it(supervisor, tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "earlier").write_text("made before")
    script = (
        "cd /tmp; cat engine_tmp/earlier; echo; echo now > engine_tmp/later; echo mine > own; echo ready; sleep 100"
    )
    tree = await spawn(supervisor, script, kept=[(kept, Path("/tmp/engine_tmp"))])
    assert "made before" in tree.output()
    assert (kept / "later").read_text() == "now\n"
    copy = tmp_path / "copy"
    copy.mkdir()
    sandbox_init.copy_tree(f"/proc/{tree.init}/root/tmp", str(copy))
    assert (copy / "own").read_text() == "mine\n"
    assert not (copy / "engine_tmp").exists()
    await tree.stop(0)
