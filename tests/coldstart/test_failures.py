import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glowplug.coldstart.failures import RULES, TEXTS, Failure, read_failure, reason

SAID = (
    ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB", None, 5),
    ("ERROR torch.cuda.OutOfMemoryError: CUDA out of memory.", "torch.cuda.OutOfMemoryError: CUDA out of memory.", 5),
    ("RuntimeError: CUDA error: device-side assert triggered", "CUDA error: device-side assert triggered", 5),
    ("ROCm error: unspecified launch failure", None, 5),
    ("OSError: [Errno 28] No space left on device", "No space left on device", 5),
    ("[Errno 98] error while attempting to bind on address ('0.0.0.0', 8000): address already in use", None, 5),
    ("error loading model: missing tensor 'blk.0'", None, 3),
    ("main: exiting due to model loading error", "exiting due to model loading error", 3),
    ("vllm: error: unrecognized arguments: --flag", "error: unrecognized arguments: --flag", 4),
    ("RuntimeError: Engine core initialization failed. See root cause above.", None, 1),
    ("Error: ShardCannotStart", None, 1),
    ("ValueError: the model is too long", None, 4),
    ("huggingface_hub.errors.RepositoryNotFoundError: 404", None, 4),
    ("Segmentation fault (core dumped)", None, 2),
    ("./serve.sh: line 3:  812 Killed   vllm serve", None, 2),
    ("Traceback (most recent call last):", "Traceback (most recent call last)", 0),
)  # fmt: skip


@pytest.mark.parametrize(("line", "told", "weight"), SAID, ids=[line for line, _, _ in SAID])
def test_engines_say_that_they_failed(line: str, told: str | None, weight: int) -> None:
    found = read_failure(f"  {line} ", 7)
    assert found is not None
    assert found.line == 7
    assert found.weight == weight
    assert found.reason == told if told is not None else found.reason in line
    # What is passed over because no text of these is in it must be no failure.
    assert any(text in line for text in TEXTS)


@pytest.mark.parametrize(
    "line",
    [
        "0 errors, 3 warnings",
        "Error correction is enabled",
        "Using the exception handler of uvicorn",
        "ErrorResponse: this name ends in no error",
        "the last ValueError: was handled",
        "Falling back because ImportError was raised earlier",
        "",
    ],
)
def test_other_lines_that_speak_of_errors_are_no_failures(line: str) -> None:
    assert read_failure(line, 1) is None


@settings(max_examples=300)
@given(data=st.data(), rule=st.sampled_from(RULES))
def test_every_line_that_a_rule_knows_has_one_of_the_texts(data: st.DataObject, rule: tuple[str, int]) -> None:
    line = data.draw(st.from_regex(re.compile(rule[0], re.ASCII)))
    if read_failure(line, 1) is not None:
        assert any(text in line for text in TEXTS)


@given(
    st.lists(st.sampled_from([*TEXTS, "CUDA", "NCCL", " ", ": ", "x.y.", "failed: ", "Abcd", "ERROR "]), max_size=20)
)
def test_texts_of_failures_in_any_order_give_one_short_line(pieces: list[str]) -> None:
    found = read_failure("".join(pieces), 3)
    if found is not None:
        assert 0 < len(found.reason) <= 300
        assert found.reason == found.reason.strip()
        assert re.search(r"[\r\n]", found.reason) is None


def test_an_exception_without_a_name_is_said_to_be_one() -> None:
    assert "line 12" in reason(Failure("Traceback (most recent call last)", 0, 12))
    assert reason(Failure("ValueError: no", 4, 13)) == "ValueError: no"
