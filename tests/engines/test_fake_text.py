"""The official clients understand what the fake engine says."""

import anthropic
import openai
import pytest

from glowplug.config.models import ModelConfig
from glowplug.engines.fake import Fake
from tests.engines.running import running

MESSAGES = [{"role": "user", "content": "one two three"}]


@pytest.fixture(scope="module")
def server():
    with running(Fake(), ModelConfig(engine="fake", options={"tokens": 20}), "m") as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def claude(server):
    with anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0) as client:
        yield client


def tokens(count):
    return "".join(f"tok{index}" for index in range(count))


def test_chat(client):
    answer = client.chat.completions.create(model="m", messages=MESSAGES, max_tokens=3, logprobs=True)
    choice = answer.choices[0]
    assert (choice.message.content, choice.finish_reason) == (tokens(3), "length")
    assert [(item.token, item.logprob) for item in choice.logprobs.content] == [
        ("tok0", -0.125), ("tok1", -0.25), ("tok2", -0.375),
    ]  # fmt: skip
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (3, 3, 6)


def test_chat_stops_by_itself_after_the_configured_tokens(client):
    choice = client.chat.completions.create(model="m", messages=MESSAGES, max_tokens=500).choices[0]
    assert (choice.message.content, choice.finish_reason) == (tokens(20), "stop")


def test_chat_stream(client):
    options = {"include_usage": True}
    stream = client.chat.completions.create(
        model="m", messages=MESSAGES, max_completion_tokens=4, stream=True, stream_options=options
    )
    chunks = list(stream)
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert deltas[0].role == "assistant"
    assert [delta.content for delta in deltas if delta.content] == ["tok0", "tok1", "tok2", "tok3"]
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "length"
    assert chunks[-1].usage.completion_tokens == 4


def test_chat_stream_without_usage_has_none(client):
    stream = client.chat.completions.create(model="m", messages=MESSAGES, max_tokens=2, stream=True)
    assert all(chunk.usage is None for chunk in stream)


def test_completion(client):
    answer = client.completions.create(model="m", prompt="one two", max_tokens=2, logprobs=1)
    choice = answer.choices[0]
    assert (choice.text, choice.finish_reason, answer.usage.prompt_tokens) == (tokens(2), "length", 2)
    assert choice.logprobs.tokens == ["tok0", "tok1"]
    assert choice.logprobs.token_logprobs == [-0.125, -0.25]
    assert choice.logprobs.text_offset == [0, 4]


def test_completion_stream(client):
    stream = client.completions.create(model="m", prompt="one two", max_tokens=2, stream=True)
    chunks = [(chunk.choices[0].text, chunk.choices[0].finish_reason) for chunk in stream]
    assert chunks == [("tok0", None), ("tok1", "length")]


def test_response(client):
    answer = client.responses.create(model="m", input="one two", max_output_tokens=2)
    assert (answer.output_text, answer.status) == (tokens(2), "completed")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (2, 2)


def test_response_stream(client):
    with client.responses.stream(model="m", input="one two", max_output_tokens=3) as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert deltas == ["tok0", "tok1", "tok2"]
    assert final.output_text == tokens(3)


def test_message(claude):
    answer = claude.messages.create(model="m", messages=MESSAGES, max_tokens=2, system="be brief")
    assert (answer.content[0].text, answer.stop_reason) == (tokens(2), "max_tokens")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (5, 2)


def test_message_stream(claude):
    with claude.messages.stream(model="m", messages=MESSAGES, max_tokens=100) as stream:
        texts = list(stream.text_stream)
        final = stream.get_final_message()
    assert texts == [f"tok{index}" for index in range(20)]
    assert (final.stop_reason, final.usage.output_tokens) == ("end_turn", 20)


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_embeddings(client, encoding):
    answer = client.embeddings.create(model="m", input=["one two three", "one"], encoding_format=encoding)
    plain = client.embeddings.create(model="m", input=["one two three", "one"])
    assert [len(item.embedding) for item in plain.data] == [8, 8]
    assert plain.data[0].embedding[0] == 0.5
    assert plain.data[0].embedding != plain.data[1].embedding
    assert answer.usage.prompt_tokens == 4


def test_transcription_counts_the_bytes_of_every_part(client, server):
    audio = bytes(range(256)) * 5 + b"\r\n--no boundary\r\n"
    answer = client.audio.transcriptions.create(model="m", file=("a.wav", audio), response_format="json")
    assert answer.text == "tok0tok1tok2"
    assert answer.parts == {"file": len(audio), "model": 1, "response_format": 4}


def test_rerank_puts_shared_words_first(server):
    documents = ["nothing", "a red fox", "red"]
    answer = server.post("/v1/rerank", model="m", query="red fox", documents=documents, top_n=2)
    assert answer["results"] == [{"index": 1, "relevance_score": 1.0}, {"index": 2, "relevance_score": 0.5}]


def test_models(client):
    assert [model.id for model in client.models.list()] == ["m"]


def test_a_body_that_is_no_json_is_a_bad_request(client, server):
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="m", messages=MESSAGES, extra_body={"stream_options": 3})
    with pytest.raises(openai.NotFoundError):
        client.post("/nothing", cast_to=object, body={})


def test_equal_requests_get_equal_answers(client):
    first, second = (
        client.completions.create(model="m", prompt="x", max_tokens=4).model_dump(exclude={"id"}) for _ in range(2)
    )
    assert first == second
