"""What an engine is doing, told while it starts, from its lines as they arrive."""

from itertools import groupby

import pytest

from glowplug.coldstart.reading import Reader
from glowplug.engines.logs import GRAMMARS
from tests.engines.logs.reading import lines_of


@pytest.mark.parametrize(
    ("name", "phases"),
    [
        (
            "sglang-0.4-tp2.log",
            "config_tokenizer dist_init weights_load profile_kv graph_capture server_init first_token",
        ),
        (
            "tgi-1.4-convert.log",
            "config_tokenizer weights_download weights_load server_init profile_kv graph_capture server_init",
        ),
        (
            "llama-2024.log",
            "model_load config_tokenizer weights_load engine_init warmup server_init",
        ),
        (
            "lmdeploy-pytorch-info.log",
            "model_load weights_load profile_kv kernel_warmup engine_init graph_capture server_init",
        ),
        ("transformers-lazy.log", "model_load weights_load"),
    ],
)
def test_phases_are_told_in_their_order(name: str, phases: str) -> None:
    reader = Reader(GRAMMARS)
    told: list[str | None] = []
    for number, line in enumerate(lines_of(name)):
        reader.feed(line.encode(), float(number))
        told.append(reader.phase())
    known = [phase for phase in told if phase is not None]
    assert " ".join(phase for phase, _ in groupby(known)) == phases


def test_times_of_arrival_count_rather_than_those_in_the_lines() -> None:
    reader = Reader(GRAMMARS, origin=100.0)
    for number, line in enumerate(lines_of("sglang-0.4-tp2.log")):
        reader.feed(line.encode(), 100.0 + number)
    (start,) = reader.starts()
    # The line of the arguments is the first, "fired up" the 27th, uvicorn's four lines before it.
    (first_token,) = [span for span in start.spans if span.phase == "first_token"]
    assert (first_token.start, first_token.end) == (23, 26)
    (config,) = [span for span in start.spans if span.phase == "config_tokenizer"]
    assert (config.start, config.end) == (0, 1)
