"""Files by suffix."""

import json
import sys

import pytest

from glowplug.coldstart.values import LogReport, from_json
from glowplug.profiling.outputs import SUFFIXES, OutputError, as_document, check, write
from glowplug.profiling.profile import Profile
from tests.profiling import samples

PROFILE = Profile(samples.report(samples.FAILED, samples.VLLM), (samples.ADVICE,))


@pytest.mark.parametrize(
    ("suffix", "beginning"),
    [
        (".json", b'{\n  "file": "vllm.log"'),
        (".html", b"<!doctype html>"),
        (".svg", b"<svg "),
        (".png", b"\x89PNG"),
        (".trace.json", b'{\n  "traceEvents": ['),
    ],
)
def test_the_suffix_tells_the_form(tmp_path, suffix, beginning):
    for name in (f"out{suffix}", f"OUT{suffix.upper()}"):
        write([PROFILE], tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(beginning)


def test_every_form_takes_every_start_several_profiles_and_none(tmp_path):
    everything = [Profile(samples.report(start)) for start in samples.ALL.values()]
    for suffix in SUFFIXES:
        for profiles in (everything, [Profile(LogReport("empty.log", "unknown", ()))], []):
            path = tmp_path / f"out{suffix}"
            path.unlink(missing_ok=True)
            write(profiles, path)
            assert path.stat().st_size


def test_json_holds_the_report_with_the_start_it_is_about_last_and_the_advice(tmp_path):
    write([PROFILE], tmp_path / "out.json")
    document = json.loads((tmp_path / "out.json").read_text())
    assert set(document) == {"file", "engine", "starts", "notes", "advice"}
    assert from_json(document["starts"][-1]) == samples.VLLM
    assert document["advice"] == [
        {
            "title": samples.ADVICE.title, "text": samples.ADVICE.text, "remedy": samples.ADVICE.remedy,
            "gain_seconds": 49.0, "lines": [36, 61],
        }
    ]  # fmt: skip


def test_several_profiles_are_a_list():
    assert [document["file"] for document in as_document([PROFILE, PROFILE])] == ["vllm.log", "vllm.log"]


def test_drawings_show_the_start_that_each_profile_is_about(tmp_path):
    write([PROFILE, Profile(samples.report(samples.MINUTE))], tmp_path / "out.svg")
    svg = (tmp_path / "out.svg").read_text()
    assert "Qwen/Qwen3-14B" in svg and "big.gguf" in svg and "org/broken" not in svg


def test_an_unknown_suffix_names_the_known_ones(tmp_path):
    for attempt in (lambda path: write([PROFILE], path), check):
        with pytest.raises(OutputError) as caught:
            attempt(tmp_path / "out.pdf")
        assert str(caught.value) == (
            f"{tmp_path}/out.pdf has no known suffix; use one of .trace.json, .json, .html, .svg, .png"
        )


def test_a_path_that_cannot_be_written_says_why(tmp_path):
    with pytest.raises(OutputError, match=r"none/out\.html cannot be written: No such file or directory"):
        write([PROFILE], tmp_path / "none" / "out.html")
    (tmp_path / "dir.json").mkdir()
    with pytest.raises(OutputError, match=r"dir\.json cannot be written: Is a directory"):
        write([PROFILE], tmp_path / "dir.json")


def test_a_missing_folder_is_found_out_before_the_work(tmp_path):
    with pytest.raises(OutputError, match="its folder does not exist"):
        check(tmp_path / "none" / "out.html")
    check(tmp_path / "out.html")


def test_a_png_that_cannot_be_made_is_told_and_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(OutputError, match=r"out\.png cannot be written: .*glowplug\[report\]"):
        write([PROFILE], tmp_path / "out.png")
    assert not (tmp_path / "out.png").exists()
