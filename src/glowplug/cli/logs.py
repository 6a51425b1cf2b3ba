"""`glowplug logs`: what an engine printed."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from glowplug.cli.options import with_client

if TYPE_CHECKING:
    from glowplug.cli.client import AdminClient


@click.command(short_help="Print what an engine printed.")
@click.argument("name", metavar="MODEL_OR_REPLICA")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is printed from now on, until Ctrl-C.")
@with_client
def logs(client: "AdminClient", name: str, follow: bool) -> None:
    """Print what the engine behind a model, an alias or a replica printed."""
    replica = _replica(client.models(), name)
    try:
        for line in client.logs(replica, follow=follow):
            click.echo(line)
    except KeyboardInterrupt:
        if not follow:
            raise


def _replica(models: Sequence[Mapping[str, Any]], name: str) -> str:
    replicas = {str(replica["id"]) for model in models for replica in model["replicas"]}
    if name in replicas:
        return name
    model = next((model for model in models if name in (model["name"], *model["aliases"])), None)
    if model is None:
        known = ", ".join(str(model["name"]) for model in models)
        raise click.ClickException(f'there is no model or replica "{name}"; the models are {known}')
    own = [str(replica["id"]) for replica in model["replicas"]]
    if not own:
        raise click.ClickException(f'"{name}" has not been started yet; start it with: glowplug wake {name}')
    if len(own) > 1:
        raise click.ClickException(f'"{name}" has several replicas; name one of {", ".join(own)}')
    return own[0]
