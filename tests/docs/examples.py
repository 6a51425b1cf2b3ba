"""Examples out of the documentation, so that tests can run what users read."""

import re
import sys
import types
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def blocks(page: str, language: str = "python") -> dict[str, str]:
    """The blocks of a page under docs/ that begin with a comment naming their file, by that file name."""
    found = re.findall(rf"```{language}\n# (\S+\.\w+)\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    return dict(found)


def load(page: str, path: str) -> types.ModuleType:
    """Execute one block as the module it would be in the source tree."""
    name = path.removeprefix("src/").removesuffix(".py").replace("/", ".")
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(compile(blocks(page)[path], f"{page}:{path}", "exec"), module.__dict__)
    return module
