"""What findings mean for tiers. Pure."""

from glowplug.node.doctor.report import Finding, State, Verdict, split
from glowplug.node.doctor.verdicts import verdicts
from glowplug.scheduler.values import Tier

CHECKS = ("privileges", "criu", "trial", "namespaces", "sandbox", "filter", "io_uring", "freezer", "disk", "gpu")


def judged(*changed: Finding) -> dict[Tier, Verdict]:
    findings = {check: Finding(check, State.OK, f"{check} is fine") for check in CHECKS}
    findings |= {finding.check: finding for finding in changed}
    return {verdict.tier: verdict for verdict in verdicts(list(findings.values()))}


def test_every_tier_has_a_verdict_warmest_first() -> None:
    assert list(judged()) == list(Tier)


def test_a_machine_with_everything_has_all_tiers_that_exist() -> None:
    assert [tier for tier, verdict in judged().items() if not verdict.open] == [Tier.ASLEEP]


def test_the_first_cause_closes_snapshots_with_its_one_remedy() -> None:
    user = Finding("privileges", State.LIMITED, "user 5, without SYS_ADMIN", "become root")
    missing = Finding("criu", State.MISSING, "CRIU is not installed", "install it")
    refused = Finding("namespaces", State.MISSING, "refused: pid (no)", "ask for them")
    untried = Finding("trial", State.NONE, "not tried")
    tier = judged(user, missing, refused, untried)[Tier.SNAPSHOT]
    assert (tier.reason, tier.remedy) == (
        "needs more privileges: this is user 5, without SYS_ADMIN",
        "become root",
    )
    tier = judged(missing, refused, untried)[Tier.SNAPSHOT]
    assert (tier.reason, tier.remedy) == ("CRIU is not installed", "install it")
    tier = judged(refused, untried)[Tier.SNAPSHOT]
    assert (tier.reason, tier.remedy) == ("namespaces are refused: pid (no)", "ask for them")


def test_a_failed_trial_closes_snapshots_although_everything_seems_there() -> None:
    trial = Finding("trial", State.MISSING, "cannot dump: something", "do something")
    tier = judged(trial)[Tier.SNAPSHOT]
    assert not tier.open
    assert (tier.reason, tier.remedy) == ("cannot dump: something", "do something")


def test_a_trial_that_was_not_made_opens_nothing() -> None:
    trial = Finding("trial", State.NONE, "not tried", values={"reason": "no sandbox"})
    assert judged(trial)[Tier.SNAPSHOT].reason == "no sandbox"


def test_snapshots_are_open_where_io_uring_is_missing_or_pages_are_small() -> None:
    assert judged(Finding("io_uring", State.LIMITED, "available, and it cannot be hidden"))[Tier.SNAPSHOT].open


def test_parked_needs_a_freezer_and_nothing_else() -> None:
    assert judged(Finding("privileges", State.LIMITED, "user 5"))[Tier.PARKED].note == "frozen by freezer is fine"
    tier = judged(Finding("freezer", State.MISSING, "no /proc", "mount it"))[Tier.PARKED]
    assert (tier.reason, tier.remedy) == ("no /proc", "mount it")


def test_with_a_gpu_it_is_said_what_is_not_given_back() -> None:
    gpu = Finding("gpu", State.OK, "1 × H100", values={"gpus": 1})
    assert "GPU memory" in str(judged(gpu)[Tier.PARKED].note)
    assert "GPU" in str(judged(gpu)[Tier.SNAPSHOT].note)


def test_without_a_disk_the_base_tier_is_open_and_says_what_it_lacks() -> None:
    disk = Finding("disk", State.MISSING, "/x cannot be used (Permission denied)", "choose another")
    tier = judged(disk)[Tier.CACHED]
    assert tier.open
    assert (tier.note, tier.remedy) == (
        "without compile caches: /x cannot be used (Permission denied)",
        "choose another",
    )


def test_sentences_are_split_into_cause_and_remedy() -> None:
    assert split("CRIU is missing; run: install it; then look") == ("CRIU is missing", "run: install it; then look")
    assert split("no remedy here") == ("no remedy here", None)
