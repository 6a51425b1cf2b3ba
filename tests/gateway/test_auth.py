"""API keys."""

import hashlib
from pathlib import Path

import pytest

from glowplug.config.apikeys import KeyEntry, add_key, load_keys
from tests.gateway.conftest import Serve
from tests.gateway.fleet import Fleet
from tests.gateway.raw import CHAT, post
from tests.gateway.upstream import Upstream

KEYS = {hashlib.sha256(key).digest(): KeyEntry(name) for key, name in ((b"s3cret", "alice"), (b"other", "bob"))}


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (b"Authorization: Bearer s3cret", "alice"),
        (b"authorization: bearer   other ", "bob"),
        (b"X-Api-Key: other", "bob"),
        (b"x-api-key: s3cret", "alice"),
    ],
)
async def test_key_names_its_owner_to_the_queue(serve: Serve, fleet: Fleet, header: bytes, name: str) -> None:
    served = await serve(KEYS)
    assert (await (await served.raw()).ask(post(CHAT, header))).status == 200
    assert fleet.records[0].key == name


@pytest.mark.parametrize(
    "header",
    [
        b"x-a: b",
        b"Authorization: Bearer wrong",
        b"Authorization: Bearer",
        b"Authorization: Bearer ",
        b"Authorization: Basic s3cret",
        b"Authorization: s3cret",
        b"x-api-key: S3CRET",
        b"x-api-key: ",
        b"x-api-key: \xff",
    ],
)
@pytest.mark.parametrize(
    "path", [b"/v1/chat/completions", b"/v1/messages", b"/models/m/x", b"/glowplug/v1/models/m/wake"]
)
async def test_without_a_known_key_nothing_is_served(
    serve: Serve, fleet: Fleet, upstream: Upstream, header: bytes, path: bytes
) -> None:
    served = await serve(KEYS)
    got = await (await served.raw()).ask(post(CHAT, header, path=path))
    assert got.status == 401
    assert got.json()["error"]["type"] == "authentication_error"
    assert got.one(b"www-authenticate") == b"Bearer"
    assert (fleet.records, fleet.calls, upstream.received) == ([], [], [])


@pytest.mark.parametrize("path", ["/", "/metrics", "/v1/models", "/glowplug/v1/models", "/glowplug/v1/events", "/nope"])
async def test_reading_needs_a_key_too(serve: Serve, path: str) -> None:
    served = await serve(KEYS)
    async with served.http.get(path) as got:
        assert got.status == 401
    async with served.http.get(path, headers={"x-api-key": "s3cret"}) as got:
        assert got.status in (200, 404)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/ping"])
async def test_probes_need_no_key(serve: Serve, path: str) -> None:
    served = await serve(KEYS)
    async with served.http.get(path) as got:
        assert got.status == 200


async def test_key_stays_with_the_gateway(serve: Serve, upstream: Upstream) -> None:
    served = await serve(KEYS)
    await (await served.raw()).ask(post(CHAT, b"Authorization: Bearer s3cret", b"x-api-key: abc"))
    assert upstream.received[0].all(b"authorization") == upstream.received[0].all(b"x-api-key") == []


async def test_credentials_pass_where_no_keys_are_configured(serve: Serve, upstream: Upstream, fleet: Fleet) -> None:
    served = await serve()
    await (await served.raw()).ask(post(CHAT, b"Authorization: Bearer abc"))
    assert upstream.received[0].one(b"authorization") == b"Bearer abc"
    assert fleet.records[0].key == ""


async def test_key_from_the_key_file_opens_the_server(serve: Serve, fleet: Fleet, tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    key = add_key(file, "carol")
    served = await serve(load_keys(file))
    assert (await (await served.raw()).ask(post(CHAT, b"authorization: Bearer " + key.encode()))).status == 200
    assert fleet.records[0].key == "carol"
