"""Canary and warm-up requests in the shape of the OpenAI API, and how to read the answers of servers that speak it."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from glowplug.config.models import WarmupRequest
from glowplug.engines.base import Call, CanaryAnswer

CANARY_PROMPT = "The capital of France is"
"""Five tokens in common vocabularies: far below the 16-token block that vLLM's prefix cache starts at, so it fills no
cache, and with an answer that even small models are sure of, so that rounding cannot turn it into another token."""

CANARY_TOKENS = 2
"""The first token comes out of the prompt pass, the second out of a decoding step: every weight and the KV cache are
read once by each code path. More tokens would only cost time (about 6 ms each for a 135M model on two cores)."""


def completion_canary(name: str, **extra: Any) -> Call:
    """A greedy text completion with log-probabilities; `extra` are fields that only one engine knows."""
    return Call("POST", "/v1/completions", _greedy(name, prompt=CANARY_PROMPT, logprobs=1, **extra))


def chat_canary(name: str) -> Call:
    """A greedy chat completion with log-probabilities, for servers without `/v1/completions`."""
    messages = [{"role": "user", "content": CANARY_PROMPT}]
    return Call("POST", "/v1/chat/completions", _greedy(name, messages=messages, logprobs=True))


def embeddings_canary(name: str) -> Call:
    """An embedding of the canary prompt."""
    return Call("POST", "/v1/embeddings", {"model": name, "input": CANARY_PROMPT, "encoding_format": "float"})


def rerank_canary(name: str) -> Call:
    """The scores of two documents, one of which answers the query."""
    documents = ["Paris is the capital of France.", "Bread is made of flour and water."]
    return Call("POST", "/v1/rerank", {"model": name, "query": CANARY_PROMPT, "documents": documents})


def _greedy(name: str, **fields: Any) -> dict[str, Any]:
    return {"model": name, "max_tokens": CANARY_TOKENS, "temperature": 0, "stream": False, **fields}


def completion_warmup(name: str, requests: Sequence[WarmupRequest]) -> Sequence[Call]:
    """The configured warm-up requests as text completions."""
    return [
        Call("POST", "/v1/completions", {"model": name, "prompt": request.prompt, "max_tokens": request.max_tokens})
        for request in requests
    ]


def chat_warmup(name: str, requests: Sequence[WarmupRequest]) -> Sequence[Call]:
    """The configured warm-up requests as chats."""
    return [
        Call(
            "POST",
            "/v1/chat/completions",
            {
                "model": name,
                "messages": [{"role": "user", "content": request.prompt}],
                "max_tokens": request.max_tokens,
            },
        )
        for request in requests
    ]


def embeddings_warmup(name: str, requests: Sequence[WarmupRequest]) -> Sequence[Call]:
    """The configured warm-up prompts as texts to embed."""
    return [Call("POST", "/v1/embeddings", {"model": name, "input": request.prompt}) for request in requests]


def read_answer(answer: Any) -> CanaryAnswer:
    """What a completion, chat completion, embedding, reranking or list of models says, by its shape.

    Raises:
        ValueError: the JSON is none of these, or an error.
    """
    try:
        return _read(answer)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"the engine's answer is no completion: {str(answer)[:200]}") from error


def _read(answer: Any) -> CanaryAnswer:
    if answer.get("choices"):
        return _read_choice(answer["choices"][0])
    if "results" in answer:
        scores = {int(result["index"]): float(result["relevance_score"]) for result in answer["results"]}
        return CanaryAnswer(vector=tuple(scores[index] for index in sorted(scores)))
    if "embedding" in answer["data"][0]:
        return CanaryAnswer(vector=tuple(float(number) for number in answer["data"][0]["embedding"]))
    return CanaryAnswer(tokens=tuple(str(model["id"]) for model in answer["data"]))


def _read_choice(choice: Mapping[str, Any]) -> CanaryAnswer:
    logprobs = cast("Mapping[str, Any]", choice.get("logprobs") or {})
    if content := logprobs.get("content"):  # chat completions, and llama.cpp's completions
        return CanaryAnswer(
            tokens=tuple(str(item["token"]) for item in content),
            logprobs=tuple(float(item["logprob"]) for item in content),
        )
    if tokens := logprobs.get("tokens"):  # completions as OpenAI and vLLM write them
        return CanaryAnswer(
            tokens=tuple(str(token) for token in tokens),
            logprobs=tuple(float(number) for number in logprobs["token_logprobs"]),
        )
    text = choice["text"] if "text" in choice else choice["message"]["content"]
    if not isinstance(text, str):
        raise TypeError("the answer has no text")
    return CanaryAnswer(tokens=(text,))
