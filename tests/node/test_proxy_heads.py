"""What a sandbox's proxy reads, and what it sends on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowplug.node.proxy_heads import BadHead, Head, forwarded_answer, parse_request, refusal


@pytest.mark.parametrize(
    ("target", "host", "port"),
    [
        ("example.com:443", "example.com", 443),
        ("198.51.100.1:8080", "198.51.100.1", 8080),
        ("[2001:db8::1]:443", "2001:db8::1", 443),
    ],
)
def test_a_tunnel_is_asked_for_by_host_and_port(target, host, port):
    assert parse_request(f"CONNECT {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode()) == Head(host, port, None, None)


def test_a_request_is_sent_on_as_its_server_expects_it_for_one_connection():
    head = parse_request(
        b"POST http://me:word@example.com:8080/a/b?c=d HTTP/1.1\r\nHost: other\r\nProxy-Authorization: Basic x\r\n"
        b"Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nAccept:  */* \r\nContent-Length: 12\r\n\r\n"
    )
    assert (head.host, head.port, head.body) == ("example.com", 8080, 12)
    assert head.forward == (
        b"POST /a/b?c=d HTTP/1.1\r\nHost: example.com:8080\r\nConnection: close\r\nAccept: */*\r\n"
        b"Content-Length: 12\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("url", "line"),
    [("http://example.com", b"GET / HTTP/1.1"), ("http://example.com?a=b", b"GET /?a=b HTTP/1.1")],
)
def test_a_url_without_a_path_means_the_root(url, line):
    head = parse_request(f"GET {url} HTTP/1.1\r\n\r\n".encode())
    assert head.port == 80
    assert head.forward is not None
    assert head.forward.splitlines()[:2] == [line, b"Host: example.com"]


def test_a_body_in_chunks_ends_where_it_says_so_itself():
    head = parse_request(b"POST http://a/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert head.body is None
    assert head.forward is not None
    assert b"\r\nTransfer-Encoding: chunked\r\n" in head.forward


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET https://example.com/ HTTP/1.1\r\n\r\n",
        b"GET http:///path HTTP/1.1\r\n\r\n",
        b"GET http://example.com/ HTTP/2.0\r\n\r\n",
        b"GET http://example.com:99999/ HTTP/1.1\r\n\r\n",
        b"GET http://[::1/ HTTP/1.1\r\n\r\n",
        b"GET http://\xff/ HTTP/1.1\r\n\r\n",
        b"CONNECT example.com HTTP/1.1\r\n\r\n",
        b"CONNECT example.com:0 HTTP/1.1\r\n\r\n",
        b"GET http://a/ HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET http://a/ HTTP/1.1\r\nspace : x\r\n\r\n",
        b"GET http://a/ HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    ],
)
def test_what_is_no_request_for_a_proxy_is_refused(content):
    with pytest.raises(BadHead, match=r"\.$"):
        parse_request(content)


@given(st.binary(max_size=200))
def test_nothing_that_comes_does_harm(content):
    for start in (b"", b"CONNECT ", b"GET http://"):
        try:
            parse_request(start + content)
        except BadHead:
            continue


def test_an_answer_tells_the_client_that_the_connection_ends():
    head = b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: 9\r\nContent-Length: 2\r\n\r\n"
    assert forwarded_answer(head) == (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n", True)


def test_an_interim_answer_ends_nothing():
    assert forwarded_answer(b"HTTP/1.1 100 Continue\r\n\r\n") == (b"HTTP/1.1 100 Continue\r\n\r\n", False)


@pytest.mark.parametrize("content", [b"\r\n\r\n", b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 x OK\r\n\r\n"])
def test_what_is_no_answer_is_refused(content):
    with pytest.raises(BadHead):
        forwarded_answer(content)


def test_a_refusal_is_a_whole_answer():
    head, _, body = refusal(403, "No.").partition(b"\r\n\r\n")
    assert body == b"No.\n"
    assert b"\r\nContent-Length: 4\r\n" in head
    assert head.startswith(b"HTTP/1.1 403 Forbidden\r\n")
