"""Which model a request goes to, for bodies of every kind."""

import json

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowplug.gateway.destination import Destination, by_path, find
from glowplug.gateway.envelope import multipart_model
from glowplug.gateway.errors import ApiError
from tests.gateway.conftest import Served
from tests.gateway.fleet import Fleet
from tests.gateway.raw import post
from tests.gateway.upstream import Upstream

ONE = Fleet(models={"m": ["alias"]})
TWO = Fleet(models={"m": ["alias"], "org/big": []})


async def _find(
    fleet: Fleet = TWO,
    *headers: tuple[bytes, bytes],
    method: str = "POST",
    path: bytes = b"/v1/x",
    query: bytes = b"",
    body: bytes = b"",
) -> Destination:
    return await find(fleet, method, path, query, list(headers), body)


async def _code(*arguments: object, **more: object) -> str:
    with pytest.raises(ApiError) as caught:
        await _find(*arguments, **more)  # type: ignore[arg-type]
    return caught.value.code


@given(
    model=st.sampled_from(["m", "alias", "org/big"]),
    more=st.dictionaries(
        st.text(max_size=5).filter(lambda name: name not in ("model", "stream")),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        ),
    ),
    stream=st.sampled_from([True, False, None, "yes", 1]),
    indent=st.sampled_from([None, 2]),
    ascii_only=st.booleans(),
)
async def test_model_and_stream_are_found_in_any_json(
    model: str, more: dict[str, object], stream: object, indent: int | None, ascii_only: bool
) -> None:
    body = json.dumps({**more, "model": model, "stream": stream}, indent=indent, ensure_ascii=ascii_only)
    found = await _find(body=body.encode("utf-8", "surrogatepass"))
    assert found == Destination(TWO.resolve(model) or "", b"/v1/x", wants_stream=stream is True)


@pytest.mark.parametrize(
    "content_type",
    [b"application/json", b"application/json; charset=utf-8", b"text/plain", b"application/x-www-form-urlencoded"],
)
async def test_json_is_read_whatever_it_calls_itself(content_type: bytes) -> None:
    assert (await _find(TWO, (b"content-type", content_type), body=b'{"model":"m"}')).model == "m"


@pytest.mark.parametrize("named", [{"query": b"a=b&model=alias"}, {"header": b"alias"}])
@pytest.mark.parametrize(
    ("content_type", "encoding", "body"),
    [
        (b"audio/wav", None, b"RIFF"),
        (b"application/octet-stream", None, b"\x00"),
        (b"application/json", b"gzip", b"\x1f\x8b"),
        (b"application/json", None, b"{}"),
        (b"application/json", None, b""),
    ],
)
async def test_model_can_be_named_outside_the_body(
    named: dict[str, bytes], content_type: bytes, encoding: bytes | None, body: bytes
) -> None:
    headers = [(b"content-type", content_type)]
    if encoding:
        headers.append((b"content-encoding", encoding))
    if "header" in named:
        headers.append((b"x-glowplug-model", named["header"]))
    found = await _find(TWO, *headers, query=named.get("query", b""), body=body)
    assert found.model == "m"


async def test_body_decides_before_the_header() -> None:
    found = await _find(TWO, (b"x-glowplug-model", b"org/big"), query=b"model=org/big", body=b'{"model":"m"}')
    assert found.model == "m"


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
async def test_request_without_a_body_goes_to_the_only_model(method: str) -> None:
    assert (await _find(ONE, method=method)).model == "m"
    assert await _code(TWO, method=method) == "missing_model"


async def test_opaque_body_goes_to_the_only_model() -> None:
    assert (await _find(ONE, (b"content-type", b"audio/wav"), body=b"x")).model == "m"
    assert await _code(TWO, (b"content-type", b"audio/wav"), body=b"x") == "missing_model"


async def test_post_without_a_body_needs_a_name() -> None:
    assert await _code(ONE) == "empty_body"


async def test_events_are_wanted_by_those_who_accept_them() -> None:
    found = await _find(TWO, (b"accept", b"text/event-stream, */*"), body=b'{"model":"m"}')
    assert found.wants_stream


@pytest.mark.parametrize("rest", [b"", b"/", b"/a", b"/a/b//c/", b"/%2F"])
@pytest.mark.parametrize(
    ("written", "model"), [(b"m", "m"), (b"alias", "m"), (b"org/big", "org/big"), (b"org%2fbig", "org/big")]
)
def test_path_names_the_model(written: bytes, model: str, rest: bytes) -> None:
    assert by_path(b"/models/" + written + rest, TWO) == (model, rest or b"/")


def test_other_paths_name_no_model() -> None:
    assert by_path(b"/v1/models/m", TWO) is None


async def test_multipart_form_of_a_real_client_passes_and_is_understood(served: Served, upstream: Upstream) -> None:
    audio = bytes(range(256)) * 20_000
    form = aiohttp.FormData()
    form.add_field("file", audio, filename="a.wav", content_type="audio/wav")
    form.add_field("model", "alias")
    form.add_field("language", "de")
    async with served.http.post("/v1/audio/transcriptions", data=form) as got:
        assert got.status == 200
        assert got.headers["x-glowplug-model"] == "m"
    (request,) = upstream.received
    assert audio in request.body
    assert (request.one(b"content-type") or b"").startswith(b"multipart/form-data; boundary=")


def _form(*parts: tuple[bytes, bytes]) -> bytes:
    return b"".join(b"--B\r\n%b\r\n\r\n%b\r\n" % part for part in parts) + b"--B--\r\n"


FIELD = b'Content-Disposition: form-data; name="model"'
FORM = b"multipart/form-data; boundary=B"


async def test_file_called_model_is_not_the_model() -> None:
    body = _form(
        (FIELD + b'; filename="x"', b"no"), (b'content-disposition: form-data; name="x"', b"no"), (FIELD, b"m")
    )
    assert await multipart_model(body, FORM) == "m"


async def test_form_without_a_model_names_none() -> None:
    assert await multipart_model(_form((b'Content-Disposition: form-data; name="x"', b"m")), FORM) is None


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (_form((FIELD, b"m")), b"multipart/form-data"),
        (b"no form at all", FORM),
        (_form((FIELD, b"\xff")), FORM),
        (_form((FIELD, b"m")), b"multipart/form-data; boundary=" + b"x" * 1000),
    ],
)
async def test_broken_form_is_400(served: Served, body: bytes, content_type: bytes) -> None:
    got = await (await served.raw()).ask(post(body, b"content-type: " + content_type))
    assert got.status == 400
    assert got.json()["error"]["code"] == "invalid_multipart"


async def test_form_with_an_endless_model_is_not_kept() -> None:
    body = _form((FIELD, b"x" * 5_000_000))
    name = await multipart_model(body, FORM)
    assert name is not None
    assert len(name) <= 2048
