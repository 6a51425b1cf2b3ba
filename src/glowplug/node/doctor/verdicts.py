"""From what was found to what it means for each tier. Pure."""

from collections.abc import Mapping, Sequence

from glowplug.node.doctor.report import Finding, State, Verdict
from glowplug.scheduler.values import Tier

_FOR_SNAPSHOTS = ("privileges", "criu", "namespaces", "filter", "sandbox", "trial")
"""In this order: what comes first is often the cause of what comes later."""


def verdicts(findings: Sequence[Finding]) -> Sequence[Verdict]:
    """One for each tier, warmest first."""
    by_check = {finding.check: finding for finding in findings}
    return [
        Verdict(Tier.RUNNING),
        _asleep(),
        _parked(by_check),
        _snapshot(by_check),
        _cached(by_check),
        Verdict(Tier.COLD),
    ]


def _asleep() -> Verdict:
    return Verdict(
        Tier.ASLEEP,
        "not built yet as a tier of its own",
        "use parked, before which an engine gives back what it can by its own sleep call",
    )


def _parked(by_check: Mapping[str, Finding]) -> Verdict:
    freezer, gpu = by_check["freezer"], by_check["gpu"]
    if freezer.state is State.MISSING:
        return Verdict(Tier.PARKED, freezer.summary, freezer.remedy)
    note = f"frozen by {freezer.summary}"
    if gpu.values.get("gpus"):
        note += "; GPU memory is given back only as far as the engine's own sleep call does"
    return Verdict(Tier.PARKED, note=note)


def _snapshot(by_check: Mapping[str, Finding]) -> Verdict:
    for check in _FOR_SNAPSHOTS:
        finding = by_check[check]
        lacking = finding.state is State.MISSING or (check == "privileges" and finding.state is State.LIMITED)
        if lacking:
            return Verdict(Tier.SNAPSHOT, _subject(finding), finding.remedy)
    trial = by_check["trial"]
    if trial.state is not State.OK:
        return Verdict(Tier.SNAPSHOT, str(trial.values.get("reason", trial.summary)), trial.remedy)
    note = trial.summary
    if by_check["gpu"].values.get("gpus"):
        note += "; not for engines that use the GPU yet"
    return Verdict(Tier.SNAPSHOT, note=note)


def _cached(by_check: Mapping[str, Finding]) -> Verdict:
    disk = by_check["disk"]
    if disk.state is State.MISSING:
        return Verdict(Tier.CACHED, note=f"without compile caches: {disk.summary}", remedy=disk.remedy)
    return Verdict(Tier.CACHED, note=f"weights on disk: {disk.summary.partition(';')[0]}")


def _subject(finding: Finding) -> str:
    prefixes = {"privileges": "needs more privileges: this is ", "namespaces": "namespaces are "}
    return prefixes.get(finding.check, "") + finding.summary
