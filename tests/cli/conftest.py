"""A running admin server and a way to call the command line."""

from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result

from glowplug.cli import main
from tests.cli.admin_server import AdminServer

Glowplug = Callable[..., Result]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[AdminServer]:
    server = AdminServer()
    monkeypatch.setenv("GLOWPLUG_SERVER", server.url)
    yield server
    server.close()


@pytest.fixture
def glowplug() -> Glowplug:
    def glowplug(*arguments: str) -> Result:
        result = CliRunner().invoke(main, arguments, prog_name="glowplug")
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return glowplug
