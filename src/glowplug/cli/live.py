"""What `glowplug serve` prints while it runs: where it answers, and a line for every change of a replica's tier."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.logging import RichHandler
from rich.text import Text

from glowplug.cli.tables import STYLES
from glowplug.config.models import Config

_REPLICA_WIDTH = 20


class LiveLines:
    """Lines on standard output, coloured on a terminal."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        handler = RichHandler(console=self._console, show_path=False, show_level=True, log_time_format="%H:%M:%S")
        logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])

    def ready(self, url: str, config: Config) -> None:
        """The server takes requests."""
        model = next(iter(config.models))
        models = ", ".join(config.models)
        key = "" if config.server.api_keys_file is None else " -H 'Authorization: Bearer YOUR-KEY'"
        self._console.print(Text.assemble("Glowplug serves ", (models, "bold"), " on ", (f"{url}/v1", "bold cyan")))
        self._console.print("Try:\n", style="dim")
        self._console.print(
            f"  curl {url}/v1/chat/completions{key} -H 'Content-Type: application/json' \\\n"
            f'    -d \'{{"model": "{model}", "messages": [{{"role": "user", "content": "Say hello"}}]}}\'\n',
            markup=False,
        )
        self._console.print("Ctrl-C stops it. Changes of tier:", style="dim")

    def event(self, event: Mapping[str, Any]) -> None:
        """Something happened in the cluster."""
        if event["type"] == "tier" and ":" not in event["after"]:
            self._console.print(_tier_line(event))
        elif event["type"] == "reload":
            self._console.print(Text.assemble(_now(), "configuration read again: ", ", ".join(event["models"])))

    def stopped(self) -> None:
        """The server has ended, and so has every engine."""
        self._console.print("Glowplug has stopped.", style="dim")


def _tier_line(event: Mapping[str, Any]) -> Text:
    """`replica  from → to  seconds`; for what failed the tier it should have reached, and why it did not."""
    origin, after, reason = event["origin"], event["after"], event["reason"]
    wanted = _target(event["before"]) or after
    line = Text.assemble(
        _now(),
        (f"{event['replica']:<{_REPLICA_WIDTH}} ", "bold"),
        (f"{origin:>8}", STYLES.get(origin, "")),
        " → ",
        (f"{wanted:<8}", STYLES.get(wanted, "") if reason is None else "red"),
    )
    if event["seconds"] is not None:
        line.append(f" {event['seconds']:9.3f} s")
    if reason is not None:
        line.append(f"  {'failed' if wanted != after else 'ended'}, now {after}: {reason}", style="red")
    return line


def _target(transition: str) -> str | None:
    """Where a transition was to lead; None if the state is no transition."""
    kind, _, tier = transition.partition(":")
    return "running" if kind == "waking" else tier or None


def _now() -> tuple[str, str]:
    return f"{datetime.now().astimezone():%H:%M:%S}  ", "dim"
