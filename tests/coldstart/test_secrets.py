"""Secrets that engines print do not reach a report; everything else does."""

import pytest

from glowplug.coldstart.reading import read_starts
from glowplug.coldstart.secrets import holds_token, without_secrets
from glowplug.coldstart.values import to_json
from glowplug.engines.logs import GRAMMARS


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{'api_key': ['abc', 'def'], 'port': 8000}", "{'api_key': ***, 'port': 8000}"),
        ("Namespace(api_key='abc', port=8000)", "Namespace(api_key=***, port=8000)"),
        ("--api-key abc --port 8000", "--api-key *** --port 8000"),
        ("hf_token='abc def', model='m'", "hf_token=***, model='m'"),
        ('"admin_password": "x y", "a": 1', '"admin_password": ***, "a": 1'),
        ("using hf_AbCdEfGhIjKl for the hub", "using *** for the hub"),
        ("server_args=ServerArgs(api_key='k', ssl_keyfile_password='p')", "server_args=ServerArgs(api_key=***, "
         "ssl_keyfile_password=***)"),
    ],
)  # fmt: skip
def test_values_of_secrets_are_hidden(text, shown):
    assert without_secrets(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "max_num_batched_tokens=8192, tokenizer='gpt2', tokenizer_mode='auto'",
        "api_key=None, hf_token=None, api_key=[]",
        "Chunked prefill is enabled with max_num_batched_tokens=2048.",
        "GPU KV cache size: 1,018,134 tokens",
        "load: special tokens cache size = 24",
        "the first token took 3 s",
        "beam search: token by token",
    ],
)
def test_what_only_looks_like_a_secret_stays(text):
    assert without_secrets(text) == text


def test_a_report_on_a_log_with_keys_holds_none_of_them():
    log = b"""\
(APIServer pid=1) INFO 11-23 10:00:00 [api.py:1] vLLM API server version 0.11.0
(APIServer pid=1) INFO 11-23 10:00:00 [utils.py:1] non-default args: {'model': 'm', 'api_key': ['TOPSECRET']}
(APIServer pid=1) INFO 11-23 10:00:40 [x.py:1] retrying with api_key='TOPSECRET'
(EngineCore pid=2) INFO 11-23 10:01:40 [core.py:1] Initializing a V1 LLM engine (v0.11.0) with config: model='m'
(EngineCore pid=2) ERROR 11-23 10:01:41 [core.py:2] ValueError: bad token: hf_TOPSECRETTOPSECRET
"""
    (start,) = read_starts([log], GRAMMARS).starts
    document = str(to_json(start))
    assert start.outcome == "failed"
    assert "ValueError" in (start.reason or "")
    assert "'model': 'm'" in start.facts["arguments"]
    assert "TOPSECRET" not in document


def test_only_tokens_that_say_what_they_are_count_as_tokens() -> None:
    assert holds_token("use hf_abcdefgh12345 for it")
    assert not holds_token("token: a-word-of-mine")
