"""Requests that cannot be served, and what their senders are told."""

import pytest

from tests.gateway.conftest import Served
from tests.gateway.fleet import Fleet
from tests.gateway.raw import CHAT, post

JSON = b"content-type: application/json"


@pytest.fixture
def two_models(fleet: Fleet) -> Fleet:
    fleet.aliases = {"m": ["alias"], "org/big": []}
    return fleet


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        (b"", "empty_body", "empty"),
        (b"  \n", "empty_body", "empty"),
        (b'{"model":"m"', "invalid_json", "not valid JSON"),
        (b'{"model":"m"} trailing', "invalid_json", "not valid JSON"),
        (b'{"model":"m","x":nope}', "invalid_json", "not valid JSON"),
        (b"\xff\xfe\x00", "invalid_json", "not valid JSON"),
        (b"[1,2]", "invalid_json", "JSON object"),
        (b'"m"', "invalid_json", "JSON object"),
        (b"null", "invalid_json", "JSON object"),
        (b"{}", "missing_model", "names no model"),
        (b'{"model":null}', "missing_model", "names no model"),
        (b'{"model":7}', "invalid_model", "must be a non-empty string"),
        (b'{"model":["m"]}', "invalid_model", "must be a non-empty string"),
        (b'{"model":""}', "invalid_model", "must be a non-empty string"),
        (b"[" * 100_000, "invalid_json", ""),
        (b'{"model":"m","x":' + b"[" * 100_000, "invalid_json", ""),
    ],
)
@pytest.mark.parametrize("path", [b"/v1/chat/completions", b"/v1/messages"])
async def test_malformed_request_is_400_in_the_shape_of_its_api(
    served: Served, two_models: Fleet, body: bytes, code: str, says: str, path: bytes
) -> None:
    got = await (await served.raw()).ask(post(body, JSON, path=path))
    assert got.status == 400
    assert got.one(b"content-type") == b"application/json"
    error = got.json()["error"]
    assert says in error["message"]
    if path == b"/v1/messages":
        assert got.json()["type"] == "error"
        assert set(error) == {"type", "message"}
    else:
        assert error["code"] == code
        assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert two_models.records == []


async def test_model_is_asked_for_even_if_only_one_is_configured(served: Served) -> None:
    assert (await (await served.raw()).ask(post(b"{}", JSON))).status == 400


async def test_unknown_model_is_404_that_names_the_configured_ones(served: Served, two_models: Fleet) -> None:
    client = await served.raw()
    got = await client.ask(post(b'{"model":"gpt-5"}', JSON))
    assert got.status == 404
    assert got.json()["error"] == {
        "message": "There is no model 'gpt-5' here; configured: m, org/big.",
        "type": "not_found_error",
        "param": "model",
        "code": "model_not_found",
    }
    got = await client.ask(post(b'{"model":"gpt-5"}', JSON, path=b"/v1/messages"))
    assert got.status == 404
    assert got.json() == {
        "type": "error",
        "error": {"type": "not_found_error", "message": "There is no model 'gpt-5' here; configured: m, org/big."},
    }


async def test_name_of_an_unknown_model_is_not_echoed_at_any_length(served: Served) -> None:
    got = await (await served.raw()).ask(post(b'{"model":"' + b"x" * 10_000 + b'"}', JSON))
    assert got.status == 404
    assert len(got.body) < 500


@pytest.mark.parametrize("path", [b"/models/nope/x", b"/models/", b"/models/m%00/x", b"/models/" + b"a/" * 5000])
async def test_unknown_model_in_the_path_is_404(served: Served, path: bytes) -> None:
    got = await (await served.raw()).ask(post(CHAT, path=path))
    assert got.status == 404
    assert got.json()["error"]["code"] == "model_not_found"


@pytest.mark.parametrize("body", [b'{"model":"m"', b"", b'{"model":3}'])
async def test_connection_is_good_after_a_bad_request(served: Served, body: bytes) -> None:
    client = await served.raw()
    assert (await client.ask(post(body))).status == 400
    assert (await client.ask(post(CHAT))).status == 200
