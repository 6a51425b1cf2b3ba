"""Two copies of one process, made by CRIU, have no random stream in common once they have been told so."""

import json
import sys
from pathlib import Path

import pytest

from glowplug import inside
from glowplug.checkpoint import hooks
from tests.inside import copies

pytestmark = [pytest.mark.criu, pytest.mark.root, pytest.mark.slow]

STREAMS = Path(__file__).parent / "programs/streams.py"
TRANSFORMERS = Path(__file__).parents[2] / ".engines/transformers/bin/python"

UNEQUAL_ANYHOW = {"uuid1", "uuid4", "secrets"}
"""What comes from the clock or the kernel each time."""


def drawn_by_two_clones(tmp_path: Path, python: Path, libraries: str, *, told: bool) -> tuple[dict, dict]:
    """What two copies of one process draw, told or not told that they are copies."""
    criu = copies.usable_criu()
    variables = [f"{name}={value}" for name, value in inside.environment({}, hooks=True).items()]
    argv = [
        "/usr/bin/env",
        "-i",
        "PATH=/usr/bin:/bin:/usr/sbin:/sbin",
        *variables,
        str(python),
        str(STREAMS),
        libraries,
    ]
    images = tmp_path / "images"
    images.mkdir()
    with copies.running(argv) as original:
        assert [report.pid for report in hooks.tell("before_snapshot", original.init, 60)] == [901]
        copies.dump(original, criu, images)
        pipe = original.pipe
    with (
        copies.restored(criu, images, tmp_path / "first", pipe) as first,
        copies.restored(criu, images, tmp_path / "second", pipe) as second,
    ):
        for clone in (first, second) if told else ():
            (report,) = hooks.tell("after_restore", clone.init, 60, expected=[901])
            assert report.notes == ()
        return json.loads(first.ask()), json.loads(second.ask())


@pytest.mark.parametrize(
    ("python", "libraries"),
    [
        pytest.param(Path(sys.executable), "cryptography", id="own"),
        pytest.param(TRANSFORMERS, "numpy,torch", id="transformers", marks=pytest.mark.transformers),
    ],
)
def test_clones_share_no_stream_once_told_and_all_of_them_before(tmp_path, python, libraries):
    if not python.exists():
        pytest.skip("the engine is not installed; run make engine-transformers")
    (tmp_path / "untold").mkdir()
    (tmp_path / "told").mkdir()

    first, second = drawn_by_two_clones(tmp_path / "untold", python, libraries, told=False)
    assert {name for name in first if first[name] != second[name]} == UNEQUAL_ANYHOW

    first, second = drawn_by_two_clones(tmp_path / "told", python, libraries, told=True)
    assert {name for name in first if first[name] == second[name]} == set()
