"""What Glowplug puts into the Python processes of an engine, by way of a folder at the front of their PYTHONPATH.

The files below this folder run in any Python >= 3.8, without Glowplug and with the standard library only, and at the
start of every Python process of an engine: they are small, and nothing that fails in them may harm the engine.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

FOLDER = Path(__file__).parent
"""The folder to be put on the PYTHONPATH of engines."""

HOOKS = "GLOWPLUG_HOOKS"
"""Environment variable: `1` lets every Python process listen for the moments around a snapshot."""

SHIMS = "GLOWPLUG_SHIMS"
"""Environment variable: names of modules in `glowplug_shims`, separated by commas, to be installed at start."""

_PATH = "PYTHONPATH"


def environment(env: Mapping[str, str], *, hooks: bool = False, shims: Sequence[str] = ()) -> dict[str, str]:
    """The environment with what the processes need to find our folder and to know what is wanted of them.

    What is there already is kept: folders on the PYTHONPATH come after ours, and shims are added to those named.
    If nothing is wanted, nothing is changed.
    """
    result = dict(env)
    if not hooks and not shims:
        return result
    folder = str(FOLDER)
    others = [entry for entry in env.get(_PATH, "").split(":") if entry != folder] if env.get(_PATH) else []
    result[_PATH] = ":".join([folder, *others])
    if hooks:
        result[HOOKS] = "1"
    if shims:
        result[SHIMS] = ",".join(_unique([*env.get(SHIMS, "").split(","), *shims]))
    return result


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name for name in names if name))
