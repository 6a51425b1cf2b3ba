"""SGLang's log, from stamps alone to the dictionary of arguments and the overlapping load of 0.5.23."""

from tests.engines.logs.reading import lines_of, outline, read, start_of

STAMPS = """\
config_tokenizer 0 - 9
dist_init 9 - 11 ranks 2: 2..2
gap 11 - 12 | dist_init | weights_load
weights_load 12 - 42 ranks 2: 30..31
profile_kv 42 - 44 ranks 2: 1..2
graph_capture 44.5 - 60 (decode) ranks 2: 10.25..15.5
gap 60 - 62 | Capture cuda graph | max_total_num_tokens=105531, chunked_prefill_size=2048, max_prefill_tokens=16384,
server_init 62 - 63
first_token 63 - 68"""

DRAFT = """\
config_tokenizer 0 - 10
dist_init 10.25 - 11
engine_init 11.5 - 12 (attention backend)
weights_load 12.5 - 32
profile_kv 32 - 33
graph_capture 33.75 - 40 (decode)
graph_capture 40.5 - 58 (piecewise, for the prefill)
dist_init 58 - 58
weights_load 58.5 - 60
profile_kv 60 - 60
graph_capture 60.25 - 62 (draft)
graph_capture 61.75 - 64 (draft extend)
server_init 64 - 65
first_token 65 - 74"""

OVERLAP = """\
config_tokenizer 0 - 8.5
dist_init 8.5 - 8.75
gap 8.75 - 9.5 | dist_init | model_load
model_load 9.5 - 10.5 (placeholder for graph capture)
gap 10.5 - 11.5 | model_load | kernel_warmup
kernel_warmup 11.5 - 13.5 (autotune)
graph_capture 13.5 - 16.5 (target prefill)
graph_capture 16.5 - 18.5 (target decode)
weights_load 18.5 - 21 (after graph capture)
gap 21 - 21.5 | weights_load | server_init
server_init 21.5 - 22
first_token 22 - 23.5"""


def test_phases_without_seconds_follow_from_stamps() -> None:
    start = start_of("sglang-0.4-tp2.log")
    assert (start.engine, start.model, start.outcome, start.total) == ("sglang", "acme/tiny-1b", "ready", 68)
    assert start.started_at == "2025-02-04T05:20:00.000"
    assert outline(start) == STAMPS


def test_the_first_rank_stands_for_ranks_that_differ_by_the_rounding_of_stamps() -> None:
    reported = start_of("sglang-0.4-tp2.log").reported
    assert reported["weights_load"] == 30
    assert reported["graph_capture"] == 15.5
    # From the last scheduler that is ready.
    assert reported["server_init"] == 1


def test_elapsed_counts_before_stamps_and_a_draft_model_is_added() -> None:
    start = start_of("sglang-0.5.10-draft.log")
    assert outline(start) == DRAFT
    reported = start.reported
    assert reported["dist_init"] == 0.75
    assert reported["weights_load"] == 19.5 + 1.5
    assert reported["graph_capture"] == 6.25 + 17.5 + 1.75 + 2.25
    assert reported["attention_backend"] == 0.5
    assert reported["first_token"] == 9


def test_arguments_that_matter_are_facts() -> None:
    facts = start_of("sglang-0.5.10-draft.log").facts
    expected = {
        "quantization": "fp8",
        "tp_size": "1",
        "cuda_graph_max_bs": "8",
        "speculative_algorithm": "EAGLE3",
        "download_skipped": "skipping download",
        "graph_sizes": "[1, 2, 4, 8]",
        "graphs": "4",
        "architecture": "MadeUpForCausalLM",
    }
    assert {key: facts.get(key) for key in expected} == expected
    assert "disable_cuda_graph" not in start_of("sglang-0.4-tp2.log").facts


def test_weights_that_are_loaded_while_graphs_are_captured() -> None:
    start = start_of("sglang-0.5.23.log")
    assert start.model == "acme/tiny-1b"
    assert outline(start) == OVERLAP
    reported = start.reported
    assert reported["weights_load"] == 2.5
    assert (reported["weights_overlap_window"], reported["weights_overlap_total"]) == (7.9, 11.5)


def test_the_summary_of_the_engine_itself_stands_beside() -> None:
    reported = start_of("sglang-0.5.23.log").reported
    assert reported["startup_load_weight"] == 11.5
    assert reported["startup_kv_cache_allocation"] == 0.5
    assert reported["startup_scheduler_e2e"] == 13
    assert reported["startup_tokenizer_e2e"] == 21.5


def test_milliseconds_are_read() -> None:
    assert start_of("sglang-0.5.23.log").total == 23.5


def test_graphs_of_other_devices_are_graphs() -> None:
    text = "\n".join(lines_of("sglang-0.5.23.log")).replace("decode CUDA graph", "decode NPU graph")
    (start,) = read(text)
    assert start.reported["graph_capture"] == 5


def test_serving_without_the_first_answer_is_ready_but_has_no_first_token() -> None:
    (start,) = read("\n".join(lines_of("sglang-0.5.10-draft.log")[:29]))
    assert start.outcome == "ready"
    assert "first_token" not in start.reported
    assert start.total == 65


def test_a_load_that_never_ends_is_an_unfinished_phase_without_a_number() -> None:
    (start,) = read("\n".join(lines_of("sglang-0.4-tp2.log")[:9]))
    assert start.outcome == "incomplete"
    assert "weights_load" not in start.reported
    (weights,) = [span for span in start.spans if span.phase == "weights_load"]
    assert weights.seconds == 29
    assert weights.start == 12
