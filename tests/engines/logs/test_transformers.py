"""The log of `transformers serve`: with a model on the command line, and loaded by the first request."""

import pytest

from tests.engines.logs.reading import lines_of, outline, read, start_of


@pytest.mark.parametrize(
    ("name", "seconds"),
    [("transformers-forced.log", 4), ("transformers-lazy.log", 3), ("transformers-4.log", 6)],
)
def test_the_bar_tells_the_seconds_of_the_weights(name: str, seconds: float) -> None:
    start = start_of(name)
    assert (start.engine, start.model, start.outcome) == ("transformers", "acme/tiny-1b", "ready")
    assert start.reported["weights_load"] == seconds


def test_how_requests_are_batched_is_a_fact() -> None:
    assert start_of("transformers-lazy.log").facts["continuous_batching"] == "True"


def test_times_of_a_collector_show_where_the_load_stands() -> None:
    stamped = [
        f"2026-11-23T18:00:{second:02}.000000000Z {line}"
        for second, line in enumerate(lines_of("transformers-lazy.log")[:-1])
    ]
    (start,) = read("\n".join(stamped))
    assert start.total == 2
    assert start.reported["server_init"] == 2
    assert "model_load 5 - 7" in outline(start)


def test_a_server_that_waits_for_its_first_request_is_ready() -> None:
    (start,) = read("\n".join(lines_of("transformers-forced.log")[:-3]))
    assert start.outcome == "ready"


def test_uvicorn_alone_is_no_engine() -> None:
    lines = [line for line in lines_of("transformers-4.log") if line.startswith(("INFO", "Loading checkpoint"))]
    with pytest.raises(Exception, match="no start of an engine was found"):
        read("\n".join(lines))
