"""The drawing, read back as XML."""

import struct
import sys
from functools import partial
from xml.etree import ElementTree

import pytest
import resvg_py

from glowplug.coldstart.values import ColdStart, Span
from glowplug.profiling.png import PngError, png
from glowplug.profiling.waterfall import waterfall
from tests.profiling import samples

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*starts: ColdStart) -> ElementTree.Element:
    return ElementTree.fromstring(waterfall(starts))


def rows(root: ElementTree.Element) -> list[ElementTree.Element]:
    return [group for group in root.iter(f"{SVG}g") if group.get("class") == "gp-row"]


def bar(row: ElementTree.Element) -> tuple[float, float]:
    box = row.find(f"{SVG}rect")
    return float(box.get("x")), float(box.get("width"))


def name(row: ElementTree.Element) -> str:
    return row.find(f"{SVG}text").text


def the(root: ElementTree.Element, phase: str) -> ElementTree.Element:
    return next(row for row in rows(root) if name(row) == phase)


def test_every_span_has_a_row_with_its_name_and_length():
    root = drawn(samples.VLLM)
    assert [row.find(f"{SVG}title").text.partition(":")[0] for row in rows(root)] == [
        f"{span.phase} ({span.label})" if span.label else span.phase for span in samples.VLLM.walk()
    ]
    assert [text.text for text in the(root, "inductor").iter(f"{SVG}text")] == ["inductor", "41.90 s"]


def test_bars_are_as_long_as_their_time_and_stand_where_it_was():
    root = drawn(samples.VLLM)
    left, scale = float(root.get("data-left")), float(root.get("data-right")) - float(root.get("data-left"))
    for phase, start, end in (("engine_init", 45.0, 179.0), ("graph_capture", 115.6, 178.6), ("gap", 108.0, 115.6)):
        x, width = bar(the(root, phase))
        assert x == pytest.approx(left + start / 184.2 * scale, abs=0.02)
        assert width == pytest.approx((end - start) / 184.2 * scale, abs=0.02)


def test_nested_spans_are_indented():
    root = drawn(samples.VLLM)
    places = [
        float(the(root, phase).find(f"{SVG}text").get("x")) for phase in ("engine_init", "torch_compile", "dynamo")
    ]
    assert places[0] < places[1] < places[2]


def test_gaps_are_hatched_and_only_they():
    root = drawn(samples.VLLM)
    pattern = next(root.iter(f"{SVG}pattern")).get("id")
    hatched = {name(row) for row in rows(root) if row.find(f"{SVG}rect").get("fill") == f"url(#{pattern})"}
    assert hatched == {"gap"}


def test_tooltips_tell_everything():
    text = the(drawn(samples.VLLM), "gap").find(f"{SVG}title").text.splitlines()
    assert text[:3] == ["gap: 7.60 s, 4.1 % of the total", "from 108.00 s to 115.60 s", "source: gap, lines 70-71"]
    assert text[3].startswith("after: (EngineCore_DP0")
    assert text[5] == "it computed: 7.10 s of CPU time, read 41.0 MB"


def test_several_starts_stand_on_one_axis():
    root = drawn(samples.MINUTE, samples.VLLM)
    first, second = (bar(row)[0] for row in rows(root) if name(row) == "process_start")
    assert first == second
    assert bar(the(root, "weights_load"))[1] == pytest.approx(
        54.0 / 184.2 * (float(root.get("data-right")) - float(root.get("data-left"))), abs=0.02
    )
    tops = [float(row.find(f"{SVG}rect").get("y")) for row in rows(root)]
    assert tops == sorted(set(tops))


def test_captions_stand_above_the_starts():
    root = ElementTree.fromstring(waterfall([samples.QUICK, samples.MINUTE], ["parked", "cold"]))
    captions = [text for text in root.iter(f"{SVG}text") if "gp-caption" in text.get("class")]
    assert [text.text for text in captions] == ["parked", "cold"]
    first_of_each = [float(rows(root)[index].find(f"{SVG}rect").get("y")) for index in (0, 3)]
    assert float(captions[0].get("y")) < first_of_each[0] < float(captions[1].get("y")) < first_of_each[1]


def test_the_end_of_a_failed_start_is_marked_as_such():
    marks = [line.get("class") for line in drawn(samples.FAILED).iter(f"{SVG}line") if "gp-end" in line.get("class")]
    assert marks == ["gp-end gp-failed"]


def test_what_the_log_does_not_place_is_dashed():
    root = drawn(samples.UNSTAMPED)
    assert all("gp-unplaced" in row.find(f"{SVG}rect").get("class") for row in rows(root))
    assert "the log does not tell when" in waterfall([samples.UNSTAMPED])
    assert "the log does not tell when" not in waterfall([samples.VLLM])


def test_a_span_of_no_length_can_be_seen():
    assert bar(the(drawn(samples.QUICK), "wake"))[1] > 1


@pytest.mark.parametrize("start", samples.ALL.values(), ids=samples.ALL)
def test_nothing_leaves_the_picture(start):
    root = drawn(start)
    width, height = float(root.get("width")), float(root.get("height"))
    for box in root.iter(f"{SVG}rect"):
        assert 0 <= float(box.get("x", 0)) <= float(box.get("x", 0)) + float(box.get("width")) <= width + 2
        assert 0 <= float(box.get("y", 0)) <= height
    for text in root.iter(f"{SVG}text"):
        assert 0 <= float(text.get("x")) <= width
        assert 0 < float(text.get("y")) < height


def test_long_names_are_shortened_and_stand_in_full_in_the_tooltip():
    start = ColdStart("vllm", total=1.0, spans=(Span("model_load", 1.0, 0.0, 1.0, label="draft " * 40),))
    row = rows(drawn(start))[0]
    assert name(row).endswith("…") and len(name(row)) < 60
    assert ("draft " * 40).strip() in row.find(f"{SVG}title").text


def test_texts_from_logs_stay_texts():
    svg = waterfall([samples.ODD], [samples.MARKUP])
    root = ElementTree.fromstring(svg)
    assert not list(root.iter(f"{SVG}script")) and "\x1b" not in svg
    assert "<script>alert(1)</script>" in next(iter(rows(root))).find(f"{SVG}title").text


def test_the_drawing_needs_nothing_from_elsewhere_and_knows_dark_backgrounds():
    svg = waterfall([samples.VLLM])
    assert "href" not in svg and "@import" not in svg and svg.count("http") == 1  # the name space
    assert "prefers-color-scheme:dark" in svg


def test_two_drawings_in_one_page_keep_their_own_hatching():
    first, second = (next(drawn(start).iter(f"{SVG}pattern")).get("id") for start in (samples.VLLM, samples.ODD))
    assert first != second


def test_the_png_is_the_same_drawing_at_twice_the_size():
    svg = waterfall([samples.VLLM])
    image = png(svg)
    assert image.startswith(b"\x89PNG\r\n\x1a\n")
    root = ElementTree.fromstring(svg)
    assert struct.unpack(">II", image[16:24]) == (2 * int(root.get("width")), 2 * int(float(root.get("height"))))


def test_a_png_without_the_library_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(PngError, match=r"install glowplug\[report\]"):
        png(waterfall([samples.VLLM]))


def test_a_png_on_a_machine_without_fonts_is_refused(monkeypatch):
    without_fonts = partial(resvg_py.svg_to_bytes, skip_system_fonts=True)
    monkeypatch.setattr(resvg_py, "svg_to_bytes", without_fonts)
    with pytest.raises(PngError, match="needs a font"):
        png(waterfall([samples.VLLM]))
