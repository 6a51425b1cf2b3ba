"""Runs at the start of every Python process of an engine, before anything of the engine.

Python imports the first `sitecustomize` on its path. This one is put in front by Glowplug; it does what the environment
asks for, and then becomes the one that it hides, if there is any. It must never harm an engine: what fails is said in
one line.
"""

import os
import sys


def _complain(what: str, error: Exception) -> None:
    try:  # noqa: SIM105 - contextlib takes a millisecond to import
        sys.stderr.write(f"glowplug: {what}: {type(error).__name__}: {error}\n")
    except Exception:  # noqa: S110 - without a place for complaints, silence is all that is left
        pass


def _install_shims(names: str) -> None:
    for name in filter(None, names.split(",")):
        try:
            __import__("glowplug_shims." + name, fromlist=["install"]).install()
        except Exception as error:
            _complain(f"the shim {name} is not installed", error)


def _listen() -> None:
    try:
        __import__("glowplug_hooks.listener", fromlist=["start"]).start()
    except Exception as error:
        _complain("this process will not be told of snapshots", error)


def _become_the_hidden_one() -> None:
    """Run the next `sitecustomize` on the path in our place. What it raises is raised, as if it had been the first."""
    # Parts of importlib that are loaded in every Python; importing `importlib.util` would take a millisecond.
    import _frozen_importlib as importlib
    import _frozen_importlib_external as importlib_external

    ours = os.path.realpath(os.path.dirname(__file__))  # noqa: PTH120 - pathlib takes milliseconds to import
    others = [entry for entry in sys.path if os.path.realpath(entry) != ours]
    spec = importlib_external.PathFinder.find_spec(__name__, others)
    if spec is not None and spec.loader is not None:
        module = importlib.module_from_spec(spec)
        sys.modules[__name__] = module  # what is found here in the end is what the importer gets
        spec.loader.exec_module(module)


_install_shims(os.environ.get("GLOWPLUG_SHIMS", ""))
if os.environ.get("GLOWPLUG_HOOKS") == "1":
    _listen()
_become_the_hidden_one()
