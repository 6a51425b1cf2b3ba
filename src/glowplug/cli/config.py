"""`glowplug config`: check a configuration file, or get what is needed to write one."""

from pathlib import Path

import click


@click.group()
def config() -> None:
    """Check a configuration file, or get help with writing one."""


@config.command()
@click.argument("file", type=click.Path(path_type=Path), default=Path("glowplug.yaml"))
def check(file: Path) -> None:
    """Name everything that is wrong in FILE (by default glowplug.yaml), by line and column.

    A file can be right and meant for another machine, so models that could not start on this one are only noted.
    """
    from glowplug.config.errors import ConfigError
    from glowplug.config.loader import load
    from glowplug.engines import registry
    from glowplug.engines.base import EngineError

    try:
        loaded = load(file, registry.options())
    except ConfigError as error:
        click.echo(str(error), err=True)
        raise SystemExit(1) from None
    count = len(loaded.models)
    click.echo(f"{file} is right: {count} {'model' if count == 1 else 'models'}")
    for name, model in loaded.models.items():
        try:
            registry.get(model.engine).check(model)
        except EngineError as error:
            click.echo(f"note: model {name!r} cannot start on this machine: {error}", err=True)


@config.command()
def schema() -> None:
    """Print the JSON Schema of the file, for editors and pipelines."""
    import json

    from glowplug.config.schema import json_schema
    from glowplug.engines import registry

    click.echo(json.dumps(json_schema(registry.options()), indent=2))


@config.command()
def example() -> None:
    """Print a commented file with every key."""
    from importlib import resources

    click.echo(resources.files("glowplug.config").joinpath("example.yaml").read_text(encoding="utf-8"), nl=False)


@config.command(hidden=True)
def reference() -> None:
    """Print docs/configuration.md."""
    from glowplug.config.reference import markdown
    from glowplug.engines import registry

    click.echo(markdown(registry.options()), nl=False)


@config.command()
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--queue-share",
    type=click.FloatRange(0, 1, min_open=True),
    help="Part of a model's queue that this key may fill, instead of server.key_share.",
)
def add_key(name: str, file: Path, queue_share: float | None) -> None:
    """Make an API key for NAME, print it, and store its hash in FILE (see server.api_keys_file)."""
    from glowplug.config.apikeys import add_key
    from glowplug.config.errors import ConfigError

    try:
        key = add_key(file, name, queue_share)
    except ConfigError as error:
        click.echo(str(error), err=True)
        raise SystemExit(1) from None
    click.echo(key)
    click.echo(f"Its hash is in {file}. Keep the key: it is stored nowhere and cannot be shown again.", err=True)
