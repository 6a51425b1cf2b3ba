"""`glowplug snapshot create`: make a snapshot now, through the server or without one."""

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from glowplug.cli.options import format_option, with_client
from glowplug.cli.snapshot_place import with_place

if TYPE_CHECKING:
    from glowplug.cli.client import AdminClient
    from glowplug.cli.snapshot_place import Place
    from glowplug.config.models import Config


@click.command(short_help="Make a snapshot of a model now.")
@click.argument("model")
@with_client
@with_place
@format_option
def create(place: "Place", client: "AdminClient", model: str, form: str) -> None:
    """Start MODEL anew, make a snapshot of it and wait until it is stored, worth it or not.

    Where a server works in the state directory, or one is named with --server, it does so, once no request is at work.
    Without a server the engine is started here, and ended when it is done.
    """
    source = click.get_current_context().get_parameter_source("server")
    if place.config is None or source is not ParameterSource.DEFAULT:
        made = _by_server(client, model)
    else:
        made = _alone_or_by_server(place, place.config, client, model)
    if form == "json":
        click.echo(json.dumps(made, indent=2))
    else:
        from glowplug.cli.snapshot_tables import print_made

        print_made(made)


def _by_server(client: "AdminClient", model: str) -> Mapping[str, Any]:
    _tell(f"the server at {client.url} starts {model} anew and stores its image")
    return client.create_snapshot(model)


def _alone_or_by_server(place: "Place", config: "Config", client: "AdminClient", asked: str) -> Mapping[str, Any]:
    from glowplug.cli.client import NoServer, parse_server
    from glowplug.cli.interruptible import run_interruptible
    from glowplug.cluster.specs import aliases
    from glowplug.engines.base import EngineError
    from glowplug.node.snapshot_creation import create_snapshot
    from glowplug.node.snapshot_orders import NotMade
    from glowplug.node.snapshot_views import SnapshotMade
    from glowplug.node.state_lock import StateDirError, StateDirInUse
    from glowplug.tiers.base import TierError

    model = aliases(config).get(asked)
    if model is None:
        raise click.ClickException(f"there is no model {asked!r}; configured: {', '.join(config.models)}")
    logging.getLogger("glowplug").addHandler(logging.NullHandler())  # the reason is told once, as the error
    began = time.monotonic()
    try:
        manifest = run_interruptible(create_snapshot(config, place.state_dir, model, _tell))
    except StateDirInUse:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.server.host, config.server.host)  # noqa: S104
        shown = f"[{host}]" if ":" in host else host
        working = client.at(parse_server(f"http://{shown}:{config.server.port}"))
        try:
            return _by_server(working, model)
        except NoServer:
            raise click.ClickException(
                f"a server works in {place.state_dir}, but none answers at {working.url}; name its address with "
                "--server"
            ) from None
    except (NotMade, StateDirError, EngineError, TierError) as error:
        raise click.ClickException(str(error)) from None
    return asdict(SnapshotMade.of(manifest, time.monotonic() - began))


def _tell(line: str) -> None:
    click.echo(line, err=True)
