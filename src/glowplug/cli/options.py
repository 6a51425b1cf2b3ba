"""The options that several commands share."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

import click

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from glowplug.cli.client import AdminClient

Arguments = ParamSpec("Arguments")

format_option = click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="A table for people or JSON for programs.",
)


def _server(_context: click.Context, _parameter: click.Parameter, value: str) -> "SplitResult":
    from glowplug.cli.client import parse_server

    try:
        return parse_server(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r}: {error}") from None


def _api_key(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not (value.isascii() and value.isprintable()):
        raise click.BadParameter("a key is printable ASCII")
    return value


def with_client(command: "Callable[Concatenate[AdminClient, Arguments], None]") -> Callable[..., None]:
    """Give a command the options that name a server, and the client of that server as its first argument."""

    @click.option(
        "--server",
        envvar="GLOWPLUG_SERVER",
        default="http://127.0.0.1:8000",
        show_default=True,
        show_envvar=True,
        metavar="URL",
        callback=_server,
        help="Where the server is.",
    )
    @click.option(
        "--api-key",
        envvar="GLOWPLUG_API_KEY",
        show_envvar=True,
        metavar="KEY",
        callback=_api_key,
        help="Its API key; the variable is safer, because others can see command lines.",
    )
    @functools.wraps(command)
    def run(server: "SplitResult", api_key: str | None, *args: Any, **options: Any) -> None:
        from glowplug.cli.client import AdminClient

        command(AdminClient(server, api_key), *args, **options)

    return run
