"""Where an engine answers, found out while it starts."""

import os
import socket

import pytest

from glowplug.profiling.address import AddressFinder
from glowplug.profiling.command import read_command
from glowplug.profiling.sockets import listening_ports


def finder(*argv, url=None, pids=()):
    return AddressFinder(url, read_command(argv or ("./start.sh",), {}), lambda: pids)


@pytest.fixture
def listener():
    """A socket of this process that listens on loopback."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_the_user_knows_best():
    found = finder("vllm", "serve", "m", "--port", "1", url="http://other:5/")
    found.read(b"Uvicorn running on http://127.0.0.1:2" + b"\n")
    assert found.candidates() == ("http://other:5",)


def test_a_port_in_the_command_counts_more_than_what_is_printed():
    found = finder("vllm", "serve", "m", "--port", "1")
    found.read(b"INFO: Uvicorn running on http://127.0.0.1:29" + b"\n")
    assert found.candidates() == ("http://127.0.0.1:1",)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"INFO:     Uvicorn running on http://0.0.0.0:8123 (Press CTRL+C to quit)", "http://127.0.0.1:8123"),
        (b"main: server is listening on http://127.0.0.1:8080 - starting the main loop", "http://127.0.0.1:8080"),
        (b"(APIServer pid=1) INFO 01-01 Starting vLLM API server 0 on http://localhost:81", "http://127.0.0.1:81"),
        (b"HINT:    Please open http://10.1.2.3:23333 in a browser for detailed api usage!!!", "http://10.1.2.3:23333"),
        (b"Listening on https://[::]:9443", "http://127.0.0.1:9443"),
    ],
)
def test_what_the_engine_announces_comes_before_the_default(line, expected):
    found = finder("vllm", "serve", "m")
    assert list(found.candidates()) == ["http://127.0.0.1:8000"]
    found.read(line + b"\n")
    assert list(found.candidates()) == [expected, "http://127.0.0.1:8000"]


def test_an_address_that_is_cut_between_two_pieces_of_output_is_read_whole():
    found = finder()
    for piece in (b"hello\nUvicorn running on http://127.0.0", b".1:80", b"99 (Press"):
        found.read(piece)
        assert list(found.candidates()) == []
    found.read(b" CTRL+C)\nnext")
    assert list(found.candidates()) == ["http://127.0.0.1:8099"]


@pytest.mark.parametrize("line", [b"see https://docs.example:8000/x", b"tcp://127.0.0.1:5", b"running", b""])
def test_other_addresses_in_lines_are_not_taken(line):
    found = finder()
    found.read(line + b"\n")
    assert list(found.candidates()) == []


def test_without_a_word_the_main_process_is_asked_for_its_sockets(listener):
    assert f"http://127.0.0.1:{listener}" in finder(pids=(os.getpid(),)).candidates()
    assert list(finder(pids=()).candidates()) == []


def test_listening_sockets_are_those_that_loopback_reaches(listener):
    with socket.socket() as connected, socket.socket() as everywhere, socket.socket(socket.AF_INET6) as six:
        connected.connect(("127.0.0.1", listener))
        everywhere.bind(("0.0.0.0", 0))
        everywhere.listen()
        six.bind(("::1", 0))
        six.listen()
        ports = listening_ports([os.getpid()])
        assert {listener, everywhere.getsockname()[1], six.getsockname()[1]} <= set(ports)
        assert connected.getsockname()[1] not in ports
        assert listening_ports([1 << 22]) == []


def test_a_socket_on_another_address_of_this_machine_is_left_out():
    with socket.socket() as other:
        try:
            other.bind(("127.0.0.77", 0))
        except OSError:
            pytest.skip("this machine has only one loopback address")
        other.listen()
        assert other.getsockname()[1] not in listening_ports([os.getpid()])
