"""`glowplug doctor`: what this machine can do, found out by trying."""

import json
from pathlib import Path

import click

from glowplug.cli.options import format_option


@click.command(short_help="Try what each tier needs on this machine.")
@click.argument("config", type=click.Path(path_type=Path), required=False)
@format_option
@click.option("--install-criu", is_flag=True, help="Fetch CRIU from the distribution into a private folder, and end.")
def doctor(config: Path | None, form: str, install_criu: bool) -> None:
    """Try on this machine what each tier needs, and say what is closed, why, and what to do about it.

    With CONFIG, the disk of its state directory is measured and its models are judged too. No server is needed, nothing
    is changed and nothing stays; it takes some seconds.

    --install-criu fetches CRIU, which snapshots need, with the libraries that it wants. On Debian and Ubuntu it comes
    from the mirror that this machine uses, with its signatures checked, and nothing of the system is touched; on other
    systems the command of their package manager is named.
    """
    if install_criu:
        _install()
        return
    from glowplug.config.errors import ConfigError
    from glowplug.config.loader import load
    from glowplug.config.models import NodeConfig
    from glowplug.engines import registry
    from glowplug.node.doctor.examine import examine

    try:
        loaded = load(config, registry.options()) if config is not None else None
    except ConfigError as error:
        click.echo(str(error), err=True)
        raise SystemExit(1) from None
    node = loaded.node if loaded is not None else NodeConfig()
    report = examine(node.state_dir.expanduser(), loaded)
    if form == "json":
        click.echo(json.dumps(report.as_json(), indent=2))
    else:
        from glowplug.cli.doctor_table import print_report

        print_report(report)


def _install() -> None:
    from glowplug.checkpoint.criu_install import CannotInstall, install

    try:
        criu = install(lambda step: click.echo(step, err=True))
    except CannotInstall as error:
        click.echo(str(error), err=True)
        raise SystemExit(1) from None
    click.echo(f"CRIU {criu.version_text} is installed ({criu.origin}); look what it opens with: glowplug doctor")
