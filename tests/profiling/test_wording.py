"""Values as people read them."""

from hypothesis import given
from hypothesis import strategies as st

from glowplug.profiling import wording
from tests.profiling import samples


def test_times_have_the_unit_of_the_longest_one_beside_them():
    assert wording.seconds(0.0123, 184.2) == "0.01 s"
    assert wording.seconds(0.0123, 0.5) == "12.3 ms"
    assert wording.seconds(60.0, 60.0) == "60.00 s"


def test_shares_of_nothing_are_left_out():
    assert wording.share(1.0, 8.0) == "12.5 %"
    assert wording.share(0.0, 0.0) == ""
    assert wording.share(1.0, None) == ""


def test_the_headline_says_what_how_and_why():
    assert wording.headline(samples.VLLM) == "vllm V1 0.25.1 · Qwen/Qwen3-14B · ready after 184.20 s"
    assert wording.headline(samples.FAILED) == (
        "vllm 0.25.1 · org/broken · failed after 38.00 s: "
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB"
    )
    assert wording.headline(samples.NOTHING) == "unknown · not ready; the log does not tell the total time"


def test_the_scale_of_a_start_without_a_total_is_its_longest_span():
    assert wording.scale_of(samples.VLLM) == 184.2
    assert wording.scale_of(samples.UNSTAMPED) == 2.5
    assert wording.scale_of(samples.NOTHING) == 0.0


def test_line_numbers():
    assert [wording.lines(numbers) for numbers in ((), (4,), (4, 4), (4, 9))] == ["", "line 4", "line 4", "lines 4-9"]


def test_a_gap_says_what_was_around_it_and_what_was_done():
    gap = next(span for span in samples.VLLM.walk() if span.phase == "gap")
    after, before, did, *stacks = wording.span_details(gap, 184.2)
    assert after.startswith("after: (EngineCore_DP0") and after.endswith("21.4 GiB")
    assert before.startswith("before: (EngineCore_DP0") and before.endswith("graph memory")
    assert did == "it computed: 7.10 s of CPU time, read 41.0 MB"
    assert stacks == ["81% of samples in compile_kernel (triton/compiler.py:288)", "10% of samples in read (io.py:12)"]


@given(st.text())
def test_nothing_that_steers_a_terminal_or_breaks_xml_is_left_of_a_text(text):
    assert wording.clean(text).isprintable()


def test_readable_text_stays_as_it_is():
    assert wording.clean("org/模型-7B «é»") == "org/模型-7B «é»"
    assert wording.clean("a\tb\nc\x1b[1m\ud800") == "a b c\ufffd[1m\ufffd"
