import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowplug.engines.gguf import GgufError, check_header, read_metadata, shape
from tests.engines.gguf_files import LLAMA, gguf, write_gguf


def test_the_kv_cache_is_layers_times_heads_times_lengths(tmp_path):
    outline = shape(read_metadata(write_gguf(tmp_path / "m.gguf")))
    assert outline is not None
    assert (outline.context_length, outline.kv_values_per_token) == (1000, 128)
    assert outline.kv_bytes(10, 2) == 10 * 128 * 2


def test_own_key_and_value_lengths_count(tmp_path):
    metadata = {**LLAMA, "llama.attention.key_length": 32, "llama.attention.value_length": 16}
    outline = shape(read_metadata(write_gguf(tmp_path / "m.gguf", metadata)))
    assert outline is not None
    assert outline.kv_values_per_token == 4 * 2 * (32 + 16)


def test_heads_given_per_layer_are_added_up(tmp_path):
    metadata = {**LLAMA, "llama.attention.head_count_kv": [2, 0, 1, 0]}
    outline = shape(read_metadata(write_gguf(tmp_path / "m.gguf", metadata)))
    assert outline is not None
    assert outline.kv_values_per_token == 3 * 16


def test_a_model_without_attention_has_no_shape(tmp_path):
    path = write_gguf(tmp_path / "m.gguf", {"general.architecture": "mamba", "mamba.block_count": 4})
    assert shape(read_metadata(path)) is None


def test_reading_stops_before_the_tokenizer(tmp_path):
    whole = gguf({**LLAMA, "tokenizer.ggml.tokens": ["a", "b"]})
    path = tmp_path / "m.gguf"
    path.write_bytes(whole[:-5])  # what is missing lies behind the numbers we need
    assert shape(read_metadata(path)) is not None


@given(st.dictionaries(st.text(max_size=9), st.integers(0, 99) | st.booleans() | st.text(max_size=9), max_size=9))
def test_metadata_are_read_as_written(tmp_path_factory, metadata):
    path = write_gguf(tmp_path_factory.mktemp("gguf") / "m.gguf", metadata)
    assert read_metadata(path) == metadata


@pytest.mark.parametrize("length", [0, 3, 4, 10, 23, 40, len(gguf(LLAMA)) - 1])
def test_a_file_that_is_cut_off_is_refused(tmp_path, length):
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf(LLAMA)[:length])
    with pytest.raises(GgufError):
        read_metadata(path)


def test_another_kind_of_file_is_refused_with_its_first_bytes(tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(b"PK\x03\x04 a zip")
    with pytest.raises(GgufError, match="PK"):
        read_metadata(path)


def test_a_damaged_length_is_refused_without_reading_gigabytes(tmp_path):
    damaged = bytearray(gguf({"general.architecture": "llama"}))
    damaged[24:32] = b"\xff" * 8  # the length of the first key
    path = tmp_path / "m.gguf"
    path.write_bytes(damaged)
    with pytest.raises(GgufError, match="damaged"):
        read_metadata(path)


@pytest.mark.parametrize("read", [read_metadata, check_header])
def test_an_unknown_version_is_named(tmp_path, read):
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF" + bytes([9, 0, 0, 0]) + bytes(16))
    with pytest.raises(GgufError, match="version 9"):
        read(path)


@pytest.mark.parametrize(("length", "good"), [(0, False), (4, False), (23, False), (24, True)])
def test_a_header_needs_no_metadata(tmp_path, length, good):
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf(LLAMA)[:length])
    if good:
        check_header(path)
    else:
        with pytest.raises(GgufError):
            check_header(path)
