"""CRIU: which, from where, and whether it brings back what it dumped."""

import os
from collections.abc import Sequence

from glowplug.checkpoint import criu_binary
from glowplug.checkpoint.sandbox import sandbox_closed
from glowplug.checkpoint.trial import TrialFailed, try_snapshot
from glowplug.node.doctor.report import Finding, State, split


def snapshots() -> Sequence[Finding]:
    """The CRIU that is used, and a trial with it (0.5 s)."""
    found = criu_binary.find()
    return [_criu(found), _trial(found)]


def _criu(found: criu_binary.Criu | None) -> Finding:
    values = {"version": found.version_text if found else None, "origin": found.origin if found else None}
    if found is None or found.version < criu_binary.MINIMUM:
        reason, remedy = split(criu_binary.criu_closed() or "CRIU cannot be used")
        return Finding("criu", State.MISSING, reason, remedy, values)
    summary = f"{found.version_text} ({found.origin})"
    named = os.environ.get(criu_binary.VARIABLE)
    if named and found.argv != (named,):
        remedy = f"correct {criu_binary.VARIABLE}: {named} does not run, or others may write it"
        return Finding("criu", State.LIMITED, summary, remedy, values)
    return Finding("criu", State.OK, summary, values=values)


def _trial(found: criu_binary.Criu | None) -> Finding:
    if closed := criu_binary.criu_closed() or sandbox_closed():
        return Finding("trial", State.NONE, "not tried", values={"tried": False, "reason": closed})
    assert found is not None, "closed otherwise"
    try:
        trial = try_snapshot(found)
    except TrialFailed as error:
        return Finding("trial", State.MISSING, *split(str(error)), values={"tried": True})
    return Finding(
        "trial",
        State.OK,
        f"a small process was dumped in {trial.dump_seconds:.2f} s and restored in {trial.restore_seconds:.2f} s",
        values={
            "tried": True,
            "dump_seconds": round(trial.dump_seconds, 4),
            "restore_seconds": round(trial.restore_seconds, 4),
            "image_bytes": trial.image_bytes,
        },
    )
