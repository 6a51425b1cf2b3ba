"""The command line as a whole."""

import subprocess
import sys

import pytest

from glowplug import __version__
from glowplug.cli.tables import duration, size

HEAVY = ("pydantic", "yaml", "rich", "http.client", "aiohttp", "starlette", "uvicorn", "msgspec", "psutil", "asyncio")


def test_help_teaches_where_to_begin(glowplug):
    text = glowplug("--help").stdout
    for word in ("glowplug config example > glowplug.yaml", "glowplug serve", "glowplug ps", "exit code"):
        assert word in text
    listed = [line.split()[0] for line in text.split("Commands:\n")[1].splitlines() if line.startswith("  ")][:9]
    assert listed == ["serve", "ps", "wake", "rest", "restart", "logs", "snapshot", "doctor", "config"]


@pytest.mark.parametrize(
    "command", ["serve", "ps", "wake", "rest", "restart", "logs", "doctor", "config", "config check"]
)
def test_every_command_has_help(glowplug, command):
    result = glowplug(*command.split(), "-h")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: glowplug {command}")


def test_the_version(glowplug):
    assert glowplug("--version").stdout == f"glowplug, version {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [["wke"], ["wake"], ["ps", "--format", "xml"], ["rest", "m", "--tier", "running"], ["serve", "--port", "99999"]],
)
def test_bad_usage(glowplug, arguments):
    assert glowplug(*arguments).exit_code == 2


def test_it_runs_as_a_module():
    result = subprocess.run([sys.executable, "-m", "glowplug", "--version"], capture_output=True, text=True, check=True)
    assert result.stdout == f"glowplug, version {__version__}\n"


def test_help_loads_nothing_heavy():
    code = f"import sys, glowplug.cli; print([name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"), (59.9, "59s"), (60, "1m00s"), (3599, "59m59s"), (3600, "1h00m"), (86399, "23h59m"),
        (86400, "1d00h"), (90 * 86400 + 7200, "90d02h"),
    ],
)  # fmt: skip
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("held", "text"),
    [(0, "-"), (999, "999 B"), (1000, "0.977 KiB"), (300 * 1024**2, "300 MiB"), (1.5 * 1024**3, "1.5 GiB"),
     (3000 * 1024**4, "3e+03 TiB")],
)  # fmt: skip
def test_sizes(held, text):
    assert size(held) == text
