"""Draws docs/terminal.svg: what `glowplug serve examples/quickstart.yaml` and its users' commands really print.

Run it in a clone in which `make serve` has worked, with port 8000 free; it takes about three minutes, because the model
is left alone until it has parked itself and given its memory back:

    .venv/bin/python scripts/terminal_picture.py
"""

import io
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).parents[1]
WIDTH = 100
PATIENCE = 180.0
GLOWPLUG = [str(Path(sys.executable).with_name("glowplug"))]

ASK = """curl -siN http://127.0.0.1:8000/v1/chat/completions -d '{"model": "smollm2", "stream": true,
    "max_tokens": 6, "messages": [{"role": "user", "content": "Say hello"}]}' | grep . | cut -c -%d"""

# Black on light grey lines would be hard to read on GitHub's dark page and the other way round; this is dark in both.
THEME = TerminalTheme(
    (22, 27, 34),
    (201, 209, 217),
    [(72, 79, 88), (255, 123, 114), (86, 211, 100), (227, 179, 65), (121, 192, 255), (210, 168, 255), (86, 212, 221),
     (201, 209, 217)],
    [(110, 118, 129), (255, 161, 152), (126, 231, 135), (242, 204, 96), (165, 214, 255), (226, 197, 255),
     (179, 240, 255), (255, 255, 255)],
)  # fmt: skip


class Terminal:
    """A program in a pseudo-terminal; `text` is everything it printed, colours included."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        master, slave = pty.openpty()
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, cwd=ROOT, env=env, start_new_session=True
        )
        os.close(slave)
        self.text = ""
        self._master = master
        self._changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def wait_for(self, pattern: str) -> None:
        """Wait until what was printed matches."""
        with self._changed:
            if not self._changed.wait_for(lambda: re.search(pattern, self.text, re.DOTALL), PATIENCE):
                raise TimeoutError(f"{pattern!r} was never printed:\n{self.text}")

    def stop(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE)

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # the last writer has closed its end
                return
            with self._changed:
                self.text += data.decode().replace("\r\n", "\n")
                self._changed.notify_all()


def run(command: str, env: dict[str, str]) -> str:
    """What a command prints, after a prompt with the command itself."""
    done = subprocess.run(
        ["/bin/bash", "-c", command], capture_output=True, text=True, env=env, timeout=PATIENCE, check=True
    )
    return f"$ {command}\n{done.stdout.rstrip()}\n"


def record() -> tuple[str, str]:
    """Run everything once: what the server's terminal shows, and the user's."""
    with tempfile.TemporaryDirectory() as home:
        env = {**os.environ, "HOME": home, "TERM": "xterm-256color", "COLUMNS": str(WIDTH)}
        env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
        server = Terminal([*GLOWPLUG, "serve", "examples/quickstart.yaml"], env)
        ask = ASK % WIDTH
        try:
            server.wait_for("Changes of tier")
            run(ask, env)
            server.wait_for("running.{1,30}parked")
            time.sleep(3)  # so that ps has a time to show
            client = run("glowplug ps", env) + "\n" + run(ask, env)
            server.wait_for("parked.{1,30}cached")
            run(ask, env)
            server.wait_for("parked.{1,30}cached.*cached.{1,30}running.{1,30} s")
            return server.text, client
        finally:
            server.stop()


def draw(server: str, client: str) -> str:
    """Both terminals, one above the other, as SVG without anything from elsewhere."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text("$ glowplug serve examples/quickstart.yaml", style="bold"))
    console.print(Text.from_ansi(server.rstrip()))
    console.print()
    console.rule("[dim]another terminal[/]", style="dim", characters="─")
    for line in client.rstrip().splitlines():
        console.print(Text.from_ansi(line, style="bold" if line.startswith("$ ") else ""), soft_wrap=True)
    svg = console.export_svg(title="Glowplug", theme=THEME, unique_id="glowplug")
    # Without rich's comment, and without the fonts it fetches from elsewhere: every system has a monospaced one.
    svg = re.sub(r"@font-face \{.*?\}\s*|<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    return svg.replace("Fira Code", "ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono")


def main() -> None:
    """Record and draw."""
    server, client = record()
    (ROOT / "docs" / "terminal.svg").write_text(draw(server, client))


if __name__ == "__main__":
    main()
