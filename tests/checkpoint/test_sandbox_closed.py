"""What somebody without privileges gets: one sentence, and engines that run all the same."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from glowplug.checkpoint.sandbox import sandbox_closed

ROOT = Path(__file__).parents[2]

PLAIN = """
import asyncio, sys
from pathlib import Path
from glowplug.checkpoint.sandbox import Sandbox, sandbox_closed
from glowplug.engines.base import Launch
from glowplug.node.supervisor import Supervisor
from glowplug.tiers.base import TierError

async def main():
    supervisor = Supervisor(Path(sys.argv[1]) / "state")
    await supervisor.start()
    tree = await supervisor.spawn("plain-0", Launch(["sh", "-c", "id -u; exit 3"]))
    cause = await asyncio.shield(tree.exited)
    await tree.stop(0)
    print(tree.output(), cause.code)
    try:
        await supervisor.spawn("boxed-0", Launch(["true"]), Sandbox())
    except TierError as error:
        print(error)
    await supervisor.close(0)

print(sandbox_closed())
asyncio.run(main())
"""


@pytest.mark.root
def test_an_ordinary_user_is_told_so_once_and_runs_engines_plainly(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root, to become somebody else")
    python = next(filter(_usable, (sys.executable, "/usr/bin/python3")), None)
    if python is None:
        pytest.skip("an ordinary user cannot run a Python with what Glowplug needs")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, 65534, 65534)
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(folder.stat().st_mode | 0o011)
    done = _as_nobody(python, PLAIN, str(theirs))
    assert done.returncode == 0, done.stderr
    closed, plain, boxed = done.stdout.splitlines()
    assert closed == (
        "Engines cannot be given namespaces of their own (a process id namespace cannot be made: Operation not "
        "permitted); run Glowplug as root, in a container --privileged"
    )
    assert plain == "['65534'] 3"
    assert boxed == "The engine cannot be started: a process id namespace cannot be made: Operation not permitted."


@pytest.mark.root
def test_root_can_have_sandboxes_here_or_is_told_why_not():
    reason = sandbox_closed()
    assert reason is None or reason.startswith("Engines cannot be given namespaces of their own (")


def _as_nobody(python: str, program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    path = os.pathsep.join([str(ROOT / "src"), *(folder for folder in sys.path if "site-packages" in folder)])
    return subprocess.run(
        [python, "-c", program, *arguments],
        user=65534,
        group=65534,
        extra_groups=[],
        env={"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ["PATH"]},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
    )


def _usable(python: str) -> bool:
    try:
        return _as_nobody(python, "import glowplug.config.models, aiohttp").returncode == 0
    except OSError:
        return False
