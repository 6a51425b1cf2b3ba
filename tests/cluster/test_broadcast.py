"""Events reach those who listen, and nobody can hold the sender up."""

from glowplug.cluster.broadcast import BACKLOG, Broadcast


async def test_every_listener_gets_every_event_sent_after_it_began_to_listen():
    broadcast = Broadcast()
    broadcast.send("missed")
    first, second = broadcast.listen(), broadcast.listen()
    broadcast.send("tier", model="m")
    broadcast.close()
    for listener in (first, second):
        (event,) = [event async for event in listener]
        assert event["type"] == "tier"
        assert event["model"] == "m"
        assert event["at"].endswith("+00:00")


async def test_a_listener_that_does_not_keep_up_loses_the_oldest():
    broadcast = Broadcast()
    slow = broadcast.listen()
    for number in range(BACKLOG + 10):
        broadcast.send("tick", number=number)
    assert (await anext(slow))["number"] == 10


async def test_who_stops_listening_is_forgotten():
    broadcast = Broadcast()
    listener = broadcast.listen()
    broadcast.send("tick")
    await anext(listener)
    await listener.aclose()
    assert not broadcast._listeners
