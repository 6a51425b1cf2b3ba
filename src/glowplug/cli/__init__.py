"""The command line. Each command is a thin file; it imports heavy modules only when it runs, so that help is quick."""

import click

from glowplug import __version__
from glowplug.cli.bench import bench
from glowplug.cli.compare import compare
from glowplug.cli.config import config
from glowplug.cli.doctor import doctor
from glowplug.cli.logs import logs
from glowplug.cli.profile import profile
from glowplug.cli.ps import ps
from glowplug.cli.rest import rest
from glowplug.cli.restart import restart
from glowplug.cli.serve import serve
from glowplug.cli.snapshot import snapshot
from glowplug.cli.wake import wake

_COMMANDS = (serve, ps, wake, rest, restart, logs, snapshot, doctor, config, profile, bench, compare)


class _InOrder(click.Group):
    """Lists the commands in the order in which one gets to know them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    cls=_InOrder,
    commands=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="The exit code is 0 if all went well, 1 if something failed and 2 if the command was not understood.",
)
@click.version_option(__version__, prog_name="glowplug")
def main() -> None:
    """Serve any number of language models behind one OpenAI-compatible endpoint.

    Models that nobody asks for fall asleep step by step until they cost nothing; the next request wakes them.

    \b
    Begin with:
      glowplug config example > glowplug.yaml    a commented file; put your models in
      glowplug config check                      is it right?
      glowplug doctor                            what can this machine do?
      glowplug serve                             serves http://127.0.0.1:8000/v1 until Ctrl-C

    \b
    Then, from another terminal:
      glowplug ps                                what each model does now
      glowplug wake MODEL                        have it ready before the first request
    """
