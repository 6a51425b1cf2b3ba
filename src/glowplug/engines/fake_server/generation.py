"""One piece of generated text, independent of the API that asked for it. Token number i is `tok{i}`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

CREATED = 1_700_000_000  # a fixed time, so that equal requests get equal answers


@dataclass(frozen=True, slots=True)
class Generation:
    """What is answered. `logprobs` says whether log-probabilities were asked for; `usage` whether a stream ends with
    token counts (other answers always have them).
    """

    number: int
    model: str
    prompt_tokens: int
    count: int
    complete: bool
    logprobs: bool
    usage: bool
    prefix: str = "tok"

    def token(self, index: int) -> str:
        """Text of a token."""
        return f"{self.prefix}{index}"

    def logprob(self, index: int) -> float:
        """Made-up natural logarithm of the token's probability, between -1 and -1/8."""
        return -(1 + index % 8) / 8

    @property
    def text(self) -> str:
        """All tokens in a row."""
        return "".join(self.token(index) for index in range(self.count))


def words(content: Any) -> int:
    """Words in a prompt, a list of prompts, messages or content parts: what the fake engine counts as tokens."""
    if isinstance(content, str):
        return len(content.split())
    if isinstance(content, list):
        return sum(words(item) for item in cast("list[Any]", content))
    if isinstance(content, dict):
        part = cast("dict[str, Any]", content)
        return words(part.get("content", part.get("text", "")))
    return 1


def generation(body: Mapping[str, Any], number: int, limit: int, changed: bool) -> Generation:
    """What to answer to a request of any of the text APIs, if the model would stop by itself after `limit` tokens."""
    asked = next(
        (
            value
            for key in ("max_completion_tokens", "max_output_tokens", "max_tokens")
            if isinstance(value := body.get(key), int)
        ),
        limit,
    )
    prompt = next((body[key] for key in ("messages", "prompt", "input") if key in body), "")
    stream_options: Mapping[str, Any] = body.get("stream_options") or {}
    return Generation(
        number=number,
        model=str(body.get("model", "")),
        prompt_tokens=words(prompt) + words(body.get("system", "")),
        count=min(asked, limit),
        complete=limit <= asked,
        logprobs=bool(body.get("logprobs")),
        usage=bool(stream_options.get("include_usage")),
        prefix="bad" if changed else "tok",
    )
