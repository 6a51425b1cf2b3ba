"""Ports for engines."""

import socket
import subprocess
import sys

import pytest

from glowplug.node.ports import NoPort, PortPool, taken

FIRST, LAST = 18700, 18709


ALONE = 18720
"""For the test that leaves its port unusable for a minute."""


def _listener(port):
    return socket.create_server(("127.0.0.1", port))


def test_every_port_of_the_range_is_given_once_then_there_is_none():
    pool = PortPool(FIRST, LAST)
    ports = [pool.take() for _ in range(10)]
    assert sorted(ports) == list(range(FIRST, LAST + 1))
    with pytest.raises(NoPort, match=f"{FIRST} and {LAST}.*node.engine_ports"):
        pool.take()
    pool.give_back(ports[3])
    assert pool.take() == ports[3]
    for port in ports:
        pool.give_back(port)


def test_a_port_that_was_given_back_rests_before_it_is_used_again():
    pool = PortPool(FIRST, LAST)
    port = pool.take()
    pool.give_back(port)
    others = [pool.take() for _ in range(9)]
    assert port not in others
    assert pool.take() == port
    for number in (port, *others):
        pool.give_back(number)


def test_giving_back_what_was_never_taken_does_nothing():
    PortPool(FIRST, LAST).give_back(FIRST)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_port_that_somebody_listens_on_is_not_given(host):
    with socket.create_server((host, FIRST)):
        pool = PortPool(FIRST, FIRST)
        with pytest.raises(NoPort):
            pool.take()
    assert pool.take() == FIRST
    pool.give_back(FIRST)


def test_a_port_with_an_ended_connection_is_not_given_but_does_not_count_as_taken():
    server = _listener(ALONE)
    client = socket.create_connection(("127.0.0.1", ALONE))
    served, _ = server.accept()
    served.close()  # the side that closes first keeps the port in TIME_WAIT
    client.close()
    server.close()
    with pytest.raises(NoPort):
        PortPool(ALONE, ALONE).take()
    assert not taken(ALONE)


def test_a_listener_makes_a_port_taken():
    assert not taken(LAST)
    with _listener(LAST):
        assert taken(LAST)


def test_two_pools_never_give_the_same_port_although_nobody_listens_yet():
    one, two = PortPool(FIRST, FIRST + 1), PortPool(FIRST, FIRST + 1)
    assert {one.take(), two.take()} == {FIRST, FIRST + 1}
    with pytest.raises(NoPort):
        one.take()


def test_a_killed_server_gives_its_ports_back():
    script = f"""
from glowplug.node.ports import PortPool
pool = PortPool({LAST}, {LAST})
print(pool.take(), flush=True)
import time; time.sleep(1000)
"""
    other = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert other.stdout is not None
    assert int(other.stdout.readline()) == LAST
    pool = PortPool(LAST, LAST)
    with pytest.raises(NoPort):
        pool.take()
    other.kill()
    other.wait()
    assert pool.take() == LAST
    pool.give_back(LAST)
