"""The example of the page about snapshot hooks, in a process that is told."""

import re

from tests.docs.examples import DOCS
from tests.inside.engine_python import engine_python, tell

EXAMPLE = re.search(r"```python\n(.*?)```", (DOCS / "snapshot-hooks.md").read_text(), re.DOTALL).group(1)  # pyright: ignore


def test_the_example_closes_before_and_opens_after_with_a_new_name():
    with engine_python() as engine:
        engine.do(EXAMPLE)
        assert tell(engine.pid, "before_snapshot").failure == ""
        assert engine.do("print(metrics.connection.fileno())") == "-1"
        assert tell(engine.pid, "after_restore").failure == ""
        assert engine.do("print(metrics.connection.fileno() >= 0, metrics.name.startswith('worker-'))") == "True True"


def test_the_example_runs_without_glowplug():
    with engine_python() as engine:
        engine.do("import sys; sys.modules['glowplug_snapshot'] = None")  # its import fails
        engine.do(EXAMPLE)
        assert engine.do("print(metrics.connection.fileno() >= 0)") == "True"
