"""Python examples out of the documentation, so that tests can run what users read."""

import re
import sys
import types
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str) -> dict[str, str]:
    """The ```python blocks of a page that begin with a comment naming their file, by that file name."""
    found = re.findall(r"```python\n# (\S+\.py)\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    return dict(found)


def load(page: str, path: str) -> types.ModuleType:
    """Execute one block as the module it would be in the source tree."""
    name = path.removeprefix("src/").removesuffix(".py").replace("/", ".")
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(compile(blocks(page)[path], f"{page}:{path}", "exec"), module.__dict__)
    return module
