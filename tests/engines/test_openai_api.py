import pytest

from glowplug.config.models import WarmupRequest
from glowplug.engines.base import CanaryAnswer
from glowplug.engines.openai_api import (
    CANARY_TOKENS,
    chat_canary,
    chat_warmup,
    completion_canary,
    completion_warmup,
    embeddings_warmup,
    read_answer,
)

CONTENT = [{"token": "a", "logprob": -0.5, "bytes": [97]}, {"token": "b", "logprob": -1.0}]


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        (
            {"choices": [{"text": "ab", "logprobs": {"tokens": ["a", "b"], "token_logprobs": [-0.5, -1]}}]},
            CanaryAnswer(("a", "b"), (-0.5, -1.0)),
        ),
        ({"choices": [{"text": "ab", "logprobs": {"content": CONTENT}}]}, CanaryAnswer(("a", "b"), (-0.5, -1.0))),
        (
            {"choices": [{"message": {"content": "ab"}, "logprobs": {"content": CONTENT}}]},
            CanaryAnswer(("a", "b"), (-0.5, -1.0)),
        ),
        ({"choices": [{"text": "ab", "logprobs": None}]}, CanaryAnswer(("ab",))),
        ({"choices": [{"message": {"content": "ab"}}]}, CanaryAnswer(("ab",))),
        ({"data": [{"embedding": [1, 0.5]}]}, CanaryAnswer(vector=(1.0, 0.5))),
        (
            {"results": [{"index": 1, "relevance_score": 2}, {"index": 0, "relevance_score": 1}]},
            CanaryAnswer(vector=(1.0, 2.0)),
        ),
        ({"object": "list", "data": [{"id": "m1"}, {"id": "m2"}]}, CanaryAnswer(("m1", "m2"))),
    ],
    ids=["completion", "llama.cpp", "chat", "plain", "plain-chat", "embedding", "rerank", "models"],
)
def test_every_shape_of_answer_is_read(answer, read):
    assert read_answer(answer) == read


@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"message": "no such model"}},
        {"choices": []},
        {"choices": [{"message": {"content": None}}]},
        {"choices": [{"text": 3}]},
        {"choices": [{"logprobs": {"tokens": ["a"]}}]},
        {"data": []},
        {"data": [{"embedding": ["x"]}]},
        "Not Found",
        None,
        [1],
    ],
)
def test_what_is_no_answer_is_refused(answer):
    with pytest.raises(ValueError, match="no completion"):
        read_answer(answer)


def test_canaries_are_greedy_short_and_not_streamed():
    for call in (completion_canary("m"), chat_canary("m")):
        fields = {key: call.body[key] for key in ("model", "temperature", "max_tokens", "stream")}
        assert fields == {"model": "m", "temperature": 0, "max_tokens": CANARY_TOKENS, "stream": False}
        assert call.body["logprobs"]


def test_warmups_carry_the_configured_prompts():
    requests = [WarmupRequest(prompt="Hello", max_tokens=3), WarmupRequest(prompt="Bye")]
    assert [(call.path, call.body["prompt"], call.body["max_tokens"]) for call in completion_warmup("m", requests)] == [
        ("/v1/completions", "Hello", 3),
        ("/v1/completions", "Bye", 16),
    ]
    assert chat_warmup("m", requests)[0].body["messages"] == [{"role": "user", "content": "Hello"}]
    assert embeddings_warmup("m", requests)[1].body == {"model": "m", "input": "Bye"}
