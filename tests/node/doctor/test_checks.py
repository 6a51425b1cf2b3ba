"""Each check on the machine that the tests run on; what it finds there is compared with other sources."""

import os
import platform
import subprocess
from pathlib import Path

import pytest

from glowplug.checkpoint import cgroups, criu_binary, processes
from glowplug.checkpoint.sandbox import sandbox_closed
from glowplug.node.doctor.bandwidth import bandwidth, measure
from glowplug.node.doctor.freezing import freezer
from glowplug.node.doctor.hardware import cpu, huge_pages, memory
from glowplug.node.doctor.isolation import isolation
from glowplug.node.doctor.privileges import privileges
from glowplug.node.doctor.report import Finding, State
from glowplug.node.doctor.snapshots import snapshots


def by_check(findings: object) -> dict[str, Finding]:
    assert isinstance(findings, list)
    return {finding.check: finding for finding in findings}


# ---- privileges


def status(folder: Path, capabilities: int) -> Path:
    file = folder / "status"
    file.write_text(f"Name:\tx\nCapPrm:\t0000000000000000\nCapEff:\t{capabilities:016x}\nCapBnd:\t000001ffffffffff\n")
    return file


def test_missing_capabilities_are_named(tmp_path: Path) -> None:
    finding = privileges(status(tmp_path, (1 << 41) - 1 - (1 << 21)))
    assert finding.state is State.LIMITED
    assert finding.values["missing_capabilities"] == ["SYS_ADMIN"]
    assert "without SYS_ADMIN" in finding.summary
    assert finding.remedy


def test_all_capabilities_are_enough(tmp_path: Path) -> None:
    finding = privileges(status(tmp_path, 1 << 12 | 1 << 19 | 1 << 21))
    assert (finding.state, finding.remedy) == (State.OK, None)


# ---- isolation


def test_namespaces_filter_and_io_uring_are_tried() -> None:
    found = by_check(isolation())
    assert set(found) == {"namespaces", "sandbox", "filter", "io_uring"}
    assert (found["sandbox"].state is State.OK) == (sandbox_closed() is None)
    can_unshare = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0
    assert found["namespaces"].values["mount"] is can_unshare
    if os.geteuid() == 0 and sandbox_closed() is None:
        assert found["filter"].state is State.OK


def test_trying_leaves_this_process_where_it_was() -> None:
    def here() -> list[object]:
        spaces = [os.readlink(f"/proc/self/ns/{kind}") for kind in ("mnt", "net", "ipc", "pid")]
        return [spaces, processes.children(os.getpid())]

    before = here()
    isolation()
    assert here() == before


# ---- freezer


def test_a_process_is_frozen_and_nothing_is_left() -> None:
    before = processes.children(os.getpid())
    finding = freezer()
    hierarchy = cgroups.freezable()
    assert finding.state is (State.OK if hierarchy else State.LIMITED)
    assert finding.values["kind"] == (f"cgroup v{hierarchy.version}" if hierarchy else "signals")
    assert processes.children(os.getpid()) == before
    if hierarchy:
        assert list(hierarchy.own.glob("glowplug-doctor-*")) == []


def test_without_cgroups_signals_freeze(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "freezable", lambda: None)
    finding = freezer()
    assert (finding.state, finding.values["kind"]) == (State.LIMITED, "signals")
    assert "Delegate=yes" in str(finding.remedy)


# ---- bandwidth


def test_the_disk_is_measured_and_no_file_stays(tmp_path: Path) -> None:
    found = by_check(bandwidth(tmp_path))
    for check, key in (("disk", "read"), ("disk", "write"), ("page cache", "read")):
        rate = found[check].values[f"{key}_bytes_per_second"]
        assert isinstance(rate, int)
        assert rate > 100_000
    assert found["disk"].values["free_bytes"] == pytest.approx(
        os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize, rel=0.2
    )
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_does_not_exist_is_not_made(tmp_path: Path) -> None:
    found = by_check(bandwidth(tmp_path / "not" / "yet"))
    assert found["disk"].state is State.OK
    assert found["disk"].values["directory"] == str(tmp_path / "not" / "yet")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_cannot_be_written_is_one_sentence() -> None:
    found = by_check(bandwidth(Path("/proc/1/none")))
    assert found["disk"].state is State.MISSING
    assert found["disk"].remedy
    assert found["page cache"].state is State.NONE


def test_memory_disks_are_measured_too() -> None:
    speed = measure(Path("/dev/shm"))
    assert speed.read > 100e6
    assert speed.cached > 100e6


@pytest.mark.root
def test_a_nearly_full_disk_is_not_written(tmp_path: Path) -> None:
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "x", tmp_path], check=False).returncode != 0:
        pytest.skip("cannot mount")
    try:
        found = by_check(bandwidth(tmp_path))
    finally:
        subprocess.run(["umount", tmp_path], check=True)
    assert found["disk"].state is State.MISSING
    assert "make room" in str(found["disk"].remedy)
    assert "read_bytes_per_second" not in found["disk"].values


# ---- memory, CPU, huge pages


def test_memory_and_cores_are_those_of_the_machine() -> None:
    values = memory().values
    total, free = values["bytes"], values["available_bytes"]
    assert isinstance(total, int)
    assert isinstance(free, int)
    assert 0 < free <= total <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    found = cpu()
    assert found.values["cores"] == len(os.sched_getaffinity(0))
    assert found.values["architecture"] == platform.machine()


@pytest.mark.parametrize(
    ("text", "state", "mode"),
    [
        ("[always] madvise never\n", State.OK, "always"),
        ("always [madvise] never\n", State.LIMITED, "madvise"),
        ("always madvise [never]\n", State.LIMITED, "never"),
    ],
)
def test_huge_pages_are_advised_where_they_are_not_always_used(
    text: str, state: State, mode: str, tmp_path: Path
) -> None:
    setting = tmp_path / "enabled"
    setting.write_text(text)
    finding = huge_pages(setting)
    assert (finding.state, finding.values["mode"]) == (state, mode)
    assert (finding.remedy is None) == (state is State.OK)
    if mode != "always":
        assert "node.huge_pages" in str(finding.remedy)


def test_a_kernel_without_huge_pages_is_no_fault(tmp_path: Path) -> None:
    assert huge_pages(tmp_path / "none").state is State.NONE


# ---- CRIU


def test_without_criu_the_trial_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(criu_binary, "find", lambda: None)
    found = by_check(snapshots())
    assert found["criu"].state is State.MISSING
    assert found["criu"].remedy == "run: glowplug doctor --install-criu"
    assert found["trial"].state is State.NONE


def test_a_variable_that_names_nothing_useful_is_pointed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    other = criu_binary.Criu(("/usr/sbin/criu",), (4, 2, 1), "system package")
    monkeypatch.setattr(criu_binary, "find", lambda: other)
    monkeypatch.setattr(criu_binary, "criu_closed", lambda: "closed for the test; nothing")
    monkeypatch.setenv(criu_binary.VARIABLE, "/no/such/criu")
    finding = by_check(snapshots())["criu"]
    assert finding.state is State.LIMITED
    assert "/no/such/criu" in str(finding.remedy)


@pytest.mark.criu
@pytest.mark.root
def test_with_criu_the_trial_is_made() -> None:
    if reason := criu_binary.criu_closed() or sandbox_closed():
        pytest.skip(reason)
    trial = by_check(snapshots())["trial"]
    assert trial.state is State.OK
    assert trial.values["tried"] is True
