import bz2
import gzip
import lzma
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowplug.coldstart.values import LogReport
from glowplug.profiling.logfile import LogError, read_file


def vllm(at: int = 0, pid: int = 1) -> list[str]:
    """The lines of a short start of vLLM that begins `at` seconds after ten."""

    def line(process: str, seconds: int, text: str) -> str:
        whole = at + seconds
        return f"({process} pid={pid}) INFO 07-21 10:{whole // 60:02}:{whole % 60:02} [made_up.py:1] {text}"

    return [
        line("APIServer", 0, "vLLM API server version 0.19.0"),
        line("EngineCore", 5, "Initializing a V1 LLM engine (v0.19.0) with config: model='org/model', seed=0"),
        line("EngineCore", 6, "Starting to load model org/model..."),
        line("EngineCore", 11, "Loading weights took 4.25 seconds"),
        line("EngineCore", 12, "Model loading took 14.2 GiB and 5.75 seconds"),
        line("EngineCore", 30, "init engine (profile, create kv cache, warmup model) took 17.90 s"),
        line("APIServer", 31, "Starting vLLM server on http://0.0.0.0:8000"),
        f"(APIServer pid={pid}) INFO:     Application startup complete.",
    ]


def text(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


@pytest.fixture
def report(tmp_path: Path) -> Callable[[bytes], LogReport]:
    def read(data: bytes) -> LogReport:
        path = tmp_path / "some.log"
        path.write_bytes(data)
        return read_file(str(path))

    return read


def why(path: Path | str) -> str:
    """The one sentence that a log is refused with."""
    with pytest.raises(LogError) as raised:
        read_file(str(path))
    sentence = str(raised.value)
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    return sentence


def refused(report: Callable[[bytes], LogReport], data: bytes) -> str:
    with pytest.raises(LogError) as raised:
        report(data)
    return str(raised.value)


def test_a_log_is_reported(report: Callable[[bytes], LogReport]) -> None:
    found = report(text(vllm()))
    assert found.engine == "vllm"
    assert found.file.endswith("some.log")
    assert found.notes == ()
    (start,) = found.starts
    assert (start.outcome, start.total, start.model) == ("ready", 31.0, "org/model")


def test_the_start_that_a_file_is_about_comes_last(report: Callable[[bytes], LogReport]) -> None:
    failed = [*vllm(200, pid=3)[:3], "RuntimeError: dry"]
    found = report(text([*vllm(), *vllm(100, pid=2), *failed]))
    assert [start.outcome for start in found.starts] == ["ready", "failed", "ready"]
    assert [start.lines[0] for start in found.starts] == [1, 17, 9]


def test_what_cannot_be_opened_is_refused_with_a_sentence(tmp_path: Path) -> None:
    assert why(tmp_path / "absent.log") == f"there is no file {tmp_path}/absent.log"
    assert why(tmp_path) == f"{tmp_path} is a directory; name the log file in it"
    assert "is no name of a file" in why("a\x00b")
    assert "cannot be read" in why(tmp_path / ("x" * 300))
    assert "cannot be read" in why("/proc/self/mem")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret.log"
    path.write_bytes(text(vllm()))
    path.chmod(0)
    assert why(path) == f"{path} cannot be read: Permission denied"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_file_that_another_user_may_not_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret.log"
    path.write_bytes(text(vllm()))
    path.chmod(0o600)
    with path.open("rb") as stream:
        # The directories above belong to root, so the file is named by its descriptor.
        name = f"/proc/{os.getpid()}/fd/{stream.fileno()}"
        before = os.geteuid()
        os.seteuid(65534)
        try:
            assert "cannot be read: Permission denied" in why(name)
        finally:
            os.seteuid(before)


def test_an_empty_file_is_refused(report: Callable[[bytes], LogReport]) -> None:
    assert "is empty; give the output of an engine's start" in refused(report, b"")


@pytest.mark.parametrize(
    ("data", "command"),
    [
        (gzip.compress(text(vllm())), "gzip -dc"),
        (bz2.compress(text(vllm())), "bzip2 -dc"),
        (lzma.compress(text(vllm())), "xz -dc"),
        (b"\x28\xb5\x2f\xfd" + bytes(40), "zstd -dc"),
        (b"\x04\x22\x4d\x18" + bytes(40), "lz4 -dc"),
    ],
)
def test_a_packed_file_is_refused_with_the_command_that_unpacks_it(
    report: Callable[[bytes], LogReport], data: bytes, command: str
) -> None:
    sentence = refused(report, data)
    assert "is packed; unpack it: " in sentence
    assert f"{command} " in sentence


def test_a_zip_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("some.log", text(vllm()))
    assert f"unzip -p {path}" in why(path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_utf16_is_refused_with_the_command_that_converts_it(
    report: Callable[[bytes], LogReport], encoding: str
) -> None:
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    sentence = refused(report, mark + text(vllm()).decode().encode(encoding))
    assert "is UTF-16; convert it: iconv -f UTF-16 -t UTF-8 " in sentence


def test_utf8_with_a_byte_order_mark_is_read(report: Callable[[bytes], LogReport]) -> None:
    assert report(b"\xef\xbb\xbf" + text(vllm())).starts[0].total == 31.0


@pytest.mark.parametrize("data", [bytes(range(256)) * 100, b"\x7fELF" + bytes(3000), bytes(1 << 21)])
def test_a_binary_file_is_refused(report: Callable[[bytes], LogReport], data: bytes) -> None:
    assert "is a binary file and holds no start of an engine" in refused(report, data)


@pytest.mark.parametrize(
    ("lines", "count"),
    [(["hello"], "1 line"), (["INFO: nothing", "of note"], "2 lines"), (["name | value"] * 400, "400 lines")],
)
def test_a_text_without_a_start_is_refused(report: Callable[[bytes], LogReport], lines: list[str], count: str) -> None:
    sentence = refused(report, text(lines))
    assert f"({count})" in sentence
    assert "known are vllm" in sentence
    assert sentence == refused(report, text(lines).removesuffix(b"\n"))


def test_a_log_that_was_rotated_while_it_was_written_is_read(report: Callable[[bytes], LogReport]) -> None:
    """A program that goes on writing at its old position leaves NUL bytes before the first line."""
    for size in (100, 20_000, 3 << 20):
        found = report(bytes(size) + text(vllm()))
        assert [(start.outcome, start.total) for start in found.starts] == [("ready", 31.0)]


@pytest.mark.parametrize("length", range(0, 640, 37))
def test_a_log_cut_off_anywhere_is_read_or_refused(report: Callable[[bytes], LogReport], length: int) -> None:
    try:
        found = report(text(vllm())[:length])
    except LogError as error:
        assert length <= text(vllm()).index(b"version ") + len("version "), error
    else:
        assert [start.outcome for start in found.starts] == ["incomplete"]


@given(data=st.binary(max_size=300), around=st.booleans())
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes, around: bool) -> None:
    path = tmp_path_factory.getbasetemp() / "any.log"
    path.write_bytes(text(vllm()[:4]) + data + b"\n" + text(vllm()[4:]) if around else data)
    try:
        assert read_file(str(path)).starts
    except LogError as error:
        assert str(error)


READ = "import sys; from glowplug.profiling.logfile import *\n" + (
    "try: found = read_file('-')\n"
    "except LogError as error: print('refused:', error)\n"
    "else: print(found.file, [(one.outcome, one.total, one.lines) for one in found.starts], found.notes)"
)


def from_pipe(data: bytes) -> str:
    done = subprocess.run([sys.executable, "-c", READ], input=data, capture_output=True, check=True)
    assert done.stderr == b""
    return done.stdout.decode().strip()


def test_standard_input_is_read_through_a_pipe() -> None:
    assert from_pipe(text(vllm())) == "standard input [('ready', 31.0, (1, 8))] ()"
    assert from_pipe(b"") == "refused: standard input is empty; give the output of an engine's start"
    assert "gzip -dc FILE | glowplug profile -" in from_pipe(gzip.compress(b"x"))
    assert from_pipe(b"hello\n").startswith("refused: no start of an engine was found in standard input (1 line)")


def newest_first() -> bytes:
    lines = [f"2026-07-21T02:00:{i:02}.000Z {line}" for i, line in enumerate(["shell", *vllm()])]
    return text(lines[::-1])


NEWEST = "[('ready', 31.0, (1, 8))] ('The log is newest line first; it was read from its end.',)"


def test_a_log_newest_line_first_is_read_from_a_file_or_a_pipe(report: Callable[[bytes], LogReport]) -> None:
    found = report(newest_first())
    assert [(start.outcome, start.total, start.lines) for start in found.starts] == [("ready", 31.0, (1, 8))]
    assert found.notes == ("The log is newest line first; it was read from its end.",)
    assert from_pipe(newest_first()) == f"standard input {NEWEST}"


def test_a_file_as_standard_input_is_read_from_where_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "some.log"
    path.write_bytes(text(["2026-07-21T03:00:00.000Z skipped"]) + newest_first())
    with path.open("rb", buffering=0) as stream:
        stream.readline()
        done = subprocess.run([sys.executable, "-c", READ], stdin=stream, capture_output=True, check=True)
    assert done.stdout.decode().strip() == f"standard input {NEWEST}"


def test_a_closed_standard_input_is_refused() -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" <&-', sys.executable, READ], capture_output=True, check=True
    )  # fmt: skip
    assert done.stderr == b""
    assert done.stdout == b"refused: standard input is closed; name a file, or pipe the log in\n"


FULL = """
import resource, signal
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
"""
NOWHERE = "import tempfile; tempfile.tempdir = '/absent'\n"


@pytest.mark.parametrize("before", [FULL, NOWHERE])
def test_a_pipe_newest_line_first_that_finds_no_room_is_refused(before: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", before + READ], input=newest_first(), capture_output=True, check=True
    )  # fmt: skip
    assert done.stderr == b""
    assert done.stdout.startswith(b"refused: a log that comes newest line first through a pipe needs room")
