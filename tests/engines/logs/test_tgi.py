"""The log of Text Generation Inference: as text and as JSON, one shard and several, with and without a download."""

from tests.engines.logs.reading import lines_of, outline, read, start_of

TWO_SHARDS = """\
config_tokenizer 0 - 2
weights_download 2 - 5.5
gap 5.5 - 5.75 | weights_download | weights_load
weights_load 5.75 - 30.25 ranks 2: 23.25..24.5
gap 30.25 - 30.5 | weights_load | server_init
server_init 30.5 - 30.75
profile_kv 30.75 - 37
server_init 37 - 40 (router)"""

JSON = """\
config_tokenizer 0 - 0.25
weights_download 0.25 - 3.75
gap 3.75 - 4 | weights_download | weights_load
weights_load 4 - 10.25 ranks 2: 5.5..6.25
gap 10.25 - 10.5 | weights_load | server_init
server_init 10.5 - 11
profile_kv 11 - 13
server_init 13 - 13 (router)"""


def test_two_shards_and_a_router_that_takes_its_time() -> None:
    start = start_of("tgi-3.3-two-shards.log")
    assert (start.engine, start.model, start.outcome, start.total) == ("tgi", "/models/tiny-1b", "ready", 40)
    assert outline(start) == TWO_SHARDS
    assert start.reported["router_init"] == 3
    assert "graph_capture" not in start.reported


def test_arguments_over_several_lines_are_facts() -> None:
    facts = start_of("tgi-3.3-two-shards.log").facts
    expected = {"shards": "2", "attention": "flashinfer", "download_skipped": "Skipping download"}
    assert {key: facts.get(key) for key in expected} == expected
    assert "dtype" not in facts


def test_the_json_form_tells_the_same() -> None:
    start = start_of("tgi-json.log")
    assert (start.model, start.outcome) == ("acme/tiny-1b", "ready")
    assert start.facts["quantize"] == "Eetq"
    assert outline(start) == JSON


def test_a_download_and_a_conversion_are_told_apart() -> None:
    start = start_of("tgi-1.4-convert.log")
    reported = {key: round(float(value), 3) for key, value in start.reported.items()}
    assert reported["weights_download"] == 19
    assert reported["weights_convert"] == 15
    assert reported["weights_load"] == 0.988
    assert reported["profile_kv"] == 2
    assert reported["graph_capture"] == 3.25
    assert reported["total"] == 42.5
    assert start.facts["graph_sizes"] == "[1, 2, 4, 8]"
    assert start.facts["huggingface_hub_cache"] == "/data"


def test_a_log_whose_beginning_is_cut_counts_from_its_first_line() -> None:
    (start,) = read("\n".join(lines_of("tgi-1.4-convert.log")[2:]))
    assert start.model == "acme/tiny-1b"
    assert round(float(start.reported["weights_download"]), 3) == 14.6
    assert start.total is not None
    assert round(start.total, 3) == 38


def test_an_old_router_is_ready_with_its_batch_size_and_a_new_one_is_not() -> None:
    (old,) = read("\n".join(lines_of("tgi-1.4-convert.log")[:25]))
    (new,) = read("\n".join(lines_of("tgi-3.3-two-shards.log")[:31]))
    assert old.outcome == "ready"
    assert new.outcome == "incomplete"
    assert new.reported["weights_load"] == 24.5


def test_a_shard_that_is_still_loading_is_an_unfinished_phase() -> None:
    (start,) = read("\n".join(lines_of("tgi-3.3-two-shards.log")[:23]))
    assert start.outcome == "incomplete"
    assert "weights_load" not in start.reported
    (weights,) = [span for span in start.spans if span.phase == "weights_load"]
    assert weights.label == "unfinished"
