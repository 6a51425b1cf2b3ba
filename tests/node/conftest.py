"""Supervisors with each kind of containment that a host may offer."""

import pytest

from glowplug.checkpoint import cgroups
from glowplug.node.supervisor import Supervisor
from tests.checkpoint.trees import writable


@pytest.fixture(
    params=[
        pytest.param("v2", marks=pytest.mark.root),
        pytest.param("v1", marks=pytest.mark.root),
        "none",
    ]
)
def containment(request, monkeypatch):
    """How engines are held together: a cgroup of version 2 or 1, or nothing but their guardian."""
    hierarchy = None if request.param == "none" else writable("" if request.param == "v2" else "freezer")
    monkeypatch.setattr(cgroups, "freezable", lambda: hierarchy)
    return request.param


@pytest.fixture
async def supervisor(tmp_path, containment):
    """A started supervisor; what it started is ended with the test."""
    supervisor = Supervisor(tmp_path / "state")
    await supervisor.start()
    yield supervisor
    await supervisor.close(0)
