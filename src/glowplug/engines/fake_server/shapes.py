"""Generated text in the shapes of the APIs that return text: whole, or as server-sent events."""

import json
from collections.abc import Iterable
from typing import Any, Protocol

from glowplug.engines.fake_server.generation import CREATED, Generation


class Shape(Protocol):
    """How one API writes an answer."""

    def whole(self, generation: Generation) -> dict[str, Any]:
        """The answer without streaming."""
        ...

    def opening(self, generation: Generation) -> Iterable[bytes]:
        """Events before the first token."""
        ...

    def delta(self, generation: Generation, index: int) -> bytes:
        """The event of one token."""
        ...

    def closing(self, generation: Generation) -> Iterable[bytes]:
        """Events after the last token."""
        ...


def _data(payload: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(payload, separators=(",", ":")).encode() + b"\n\n"


def _event(payload: dict[str, Any]) -> bytes:
    return b"event: " + payload["type"].encode() + b"\n" + _data(payload)


def _usage(generation: Generation) -> dict[str, int]:
    return {
        "prompt_tokens": generation.prompt_tokens,
        "completion_tokens": generation.count,
        "total_tokens": generation.prompt_tokens + generation.count,
    }


class Completions:
    """`/v1/completions`."""

    def whole(self, generation: Generation) -> dict[str, Any]:
        choice = {
            "index": 0,
            "text": generation.text,
            "logprobs": self._logprobs(generation, range(generation.count)),
            "finish_reason": _finish(generation),
        }
        return {**self._head(generation), "choices": [choice], "usage": _usage(generation)}

    def opening(self, generation: Generation) -> Iterable[bytes]:
        return ()

    def delta(self, generation: Generation, index: int) -> bytes:
        choice = {
            "index": 0,
            "text": generation.token(index),
            "logprobs": self._logprobs(generation, range(index, index + 1)),
            "finish_reason": _finish(generation) if index == generation.count - 1 else None,
        }
        return _data({**self._head(generation), "choices": [choice]})

    def closing(self, generation: Generation) -> Iterable[bytes]:
        if generation.usage:
            yield _data({**self._head(generation), "choices": [], "usage": _usage(generation)})
        yield b"data: [DONE]\n\n"

    def _head(self, generation: Generation) -> dict[str, Any]:
        return {
            "id": f"cmpl-{generation.number}",
            "object": "text_completion",
            "created": CREATED,
            "model": generation.model,
        }

    def _logprobs(self, generation: Generation, indices: range) -> dict[str, Any] | None:
        if not generation.logprobs:
            return None
        tokens = [generation.token(index) for index in indices]
        numbers = [generation.logprob(index) for index in indices]
        offsets = [len("".join(tokens[:position])) for position in range(len(tokens))]
        tops = [{token: number} for token, number in zip(tokens, numbers, strict=True)]
        return {"tokens": tokens, "token_logprobs": numbers, "top_logprobs": tops, "text_offset": offsets}


class Chat:
    """`/v1/chat/completions`."""

    def whole(self, generation: Generation) -> dict[str, Any]:
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": generation.text, "refusal": None},
            "logprobs": self._logprobs(generation, range(generation.count)),
            "finish_reason": _finish(generation),
        }
        return {**self._head(generation, "chat.completion"), "choices": [choice], "usage": _usage(generation)}

    def opening(self, generation: Generation) -> Iterable[bytes]:
        yield self._chunk(generation, {"role": "assistant", "content": ""})

    def delta(self, generation: Generation, index: int) -> bytes:
        logprobs = self._logprobs(generation, range(index, index + 1))
        return self._chunk(generation, {"content": generation.token(index)}, logprobs=logprobs)

    def closing(self, generation: Generation) -> Iterable[bytes]:
        yield self._chunk(generation, {}, finish=_finish(generation))
        if generation.usage:
            head = self._head(generation, "chat.completion.chunk")
            yield _data({**head, "choices": [], "usage": _usage(generation)})
        yield b"data: [DONE]\n\n"

    def _chunk(
        self, generation: Generation, delta: dict[str, Any], finish: str | None = None, logprobs: Any = None
    ) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return _data({**self._head(generation, "chat.completion.chunk"), "choices": [choice]})

    def _head(self, generation: Generation, kind: str) -> dict[str, Any]:
        return {"id": f"chatcmpl-{generation.number}", "object": kind, "created": CREATED, "model": generation.model}

    def _logprobs(self, generation: Generation, indices: range) -> dict[str, Any] | None:
        if not generation.logprobs:
            return None
        items: list[dict[str, Any]] = []
        for index in indices:
            token = generation.token(index)
            item = {"token": token, "logprob": generation.logprob(index), "bytes": list(token.encode())}
            items.append({**item, "top_logprobs": [item]})
        return {"content": items, "refusal": None}


class Responses:
    """`/v1/responses`."""

    def whole(self, generation: Generation) -> dict[str, Any]:
        return self._response(generation, "completed", [self._message(generation, "completed", generation.text)])

    def opening(self, generation: Generation) -> Iterable[bytes]:
        place = {"output_index": 0, "item_id": self._item_id(generation), "content_index": 0}
        item: dict[str, Any] = {**self._message(generation, "in_progress", ""), "content": []}
        part: dict[str, Any] = {"type": "output_text", "text": "", "annotations": []}
        response = self._response(generation, "in_progress", [])
        yield _event({"type": "response.created", "sequence_number": 0, "response": response})
        yield _event({"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": item})
        yield _event({"type": "response.content_part.added", "sequence_number": 2, **place, "part": part})

    def delta(self, generation: Generation, index: int) -> bytes:
        return _event(
            {
                "type": "response.output_text.delta",
                "sequence_number": 3 + index,
                "item_id": self._item_id(generation),
                "output_index": 0,
                "content_index": 0,
                "delta": generation.token(index),
                "logprobs": [],
            }
        )

    def closing(self, generation: Generation) -> Iterable[bytes]:
        number = 3 + generation.count
        place = {"output_index": 0, "item_id": self._item_id(generation), "content_index": 0}
        item = self._message(generation, "completed", generation.text)
        part = item["content"][0]
        text: dict[str, Any] = {"text": generation.text, "logprobs": []}
        yield _event({"type": "response.output_text.done", "sequence_number": number, **place, **text})
        yield _event({"type": "response.content_part.done", "sequence_number": number + 1, **place, "part": part})
        done = {"type": "response.output_item.done", "sequence_number": number + 2, "output_index": 0, "item": item}
        yield _event(done)
        response = self.whole(generation)
        yield _event({"type": "response.completed", "sequence_number": number + 3, "response": response})

    def _item_id(self, generation: Generation) -> str:
        return f"msg_{generation.number}"

    def _message(self, generation: Generation, status: str, text: str) -> dict[str, Any]:
        return {
            "type": "message",
            "id": self._item_id(generation),
            "status": status,
            "role": "assistant",
            "content": [{"type": "output_text", "text": text, "annotations": []}],
        }

    def _response(self, generation: Generation, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
        usage = {
            "input_tokens": generation.prompt_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": generation.count,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": generation.prompt_tokens + generation.count,
        }
        return {
            "id": f"resp_{generation.number}",
            "object": "response",
            "created_at": CREATED,
            "model": generation.model,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "output": output,
            "parallel_tool_calls": True,
            "temperature": 1.0,
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0,
            "usage": usage if status == "completed" else None,
        }


class Messages:
    """Anthropic's `/v1/messages`."""

    def whole(self, generation: Generation) -> dict[str, Any]:
        content = [{"type": "text", "text": generation.text}]
        return self._message(generation, content, self._stop(generation), generation.count)

    def opening(self, generation: Generation) -> Iterable[bytes]:
        yield _event({"type": "message_start", "message": self._message(generation, [], None, 0)})
        yield _event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
        yield _event({"type": "ping"})

    def delta(self, generation: Generation, index: int) -> bytes:
        delta = {"type": "text_delta", "text": generation.token(index)}
        return _event({"type": "content_block_delta", "index": 0, "delta": delta})

    def closing(self, generation: Generation) -> Iterable[bytes]:
        yield _event({"type": "content_block_stop", "index": 0})
        delta = {"stop_reason": self._stop(generation), "stop_sequence": None}
        yield _event({"type": "message_delta", "delta": delta, "usage": {"output_tokens": generation.count}})
        yield _event({"type": "message_stop"})

    def _stop(self, generation: Generation) -> str:
        return "end_turn" if generation.complete else "max_tokens"

    def _message(
        self, generation: Generation, content: list[dict[str, Any]], stop: str | None, produced: int
    ) -> dict[str, Any]:
        return {
            "id": f"msg_{generation.number}",
            "type": "message",
            "role": "assistant",
            "model": generation.model,
            "content": content,
            "stop_reason": stop,
            "stop_sequence": None,
            "usage": {"input_tokens": generation.prompt_tokens, "output_tokens": produced},
        }


def _finish(generation: Generation) -> str:
    return "stop" if generation.complete else "length"


SHAPES: dict[str, Shape] = {
    "/v1/completions": Completions(),
    "/v1/chat/completions": Chat(),
    "/v1/responses": Responses(),
    "/v1/messages": Messages(),
}
"""By path."""
