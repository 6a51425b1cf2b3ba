"""The result directory: nothing finished is lost, and nothing is mixed that must not be."""

import json

import pytest

from glowplug.profiling.bench.conditions import Conditions
from glowplug.profiling.bench.journal import Journal, JournalError
from glowplug.profiling.bench.repeat import Repeat, Timing, from_json, to_json

HERE = Conditions({"cpu": "a", "cores": 2}, {"glowplug": "1"}, {"swap": "0"})
DEFINITION = {"m/cold": {"model": "m", "config": {"args": {"x": 1}}}}


def repeat(number: int, scenario: str = "m/cold", kind: str = "measured", failure: str | None = None) -> Repeat:
    timing = Timing(1.5, 2.0, 8, "usage", "cached", 1.25)
    return Repeat(f"{number:04}-x", scenario, kind, number, 1, "2026-01-01T00:00:00.000+00:00", 3.0, failure, timing)


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "out"


def test_repeats_are_there_when_the_directory_is_opened_again(directory):
    written = [repeat(1, kind="fill"), repeat(2), repeat(3, "m/ü ☃"), repeat(4, failure="it \n broke")]
    first = Journal(directory)
    for one in written:
        first.add(one)
    first.close()
    second = Journal(directory)
    assert second.repeats == written
    assert second.finished() == {"m/cold": 2, "m/ü ☃": 1}
    assert second.next_id("m/ü ☃").startswith("0005-m_ü__")


def test_every_repeat_is_one_line(directory):
    journal = Journal(directory)
    journal.add(repeat(1, failure="two\nlines"))
    journal.add(repeat(2))
    lines = (directory / "repeats.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["0001-x", "0002-x"]


def test_half_a_line_of_a_killed_bench_is_cut_off_and_the_next_one_is_whole(directory):
    first = Journal(directory)
    first.add(repeat(1))
    first.close()
    with (directory / "repeats.jsonl").open("a") as file:
        file.write('{"id": "0002-x", "scen')
    second = Journal(directory)
    assert [one.id for one in second.repeats] == ["0001-x"]
    second.add(repeat(2))
    second.close()
    assert [one.id for one in Journal(directory).repeats] == ["0001-x", "0002-x"]


@pytest.mark.parametrize("line", ["nonsense", '{"id": 3}', "[]"])
def test_a_damaged_line_is_named(directory, line):
    first = Journal(directory)
    first.add(repeat(1))
    first.close()
    with (directory / "repeats.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(JournalError, match=r"line 2 of .*repeats\.jsonl cannot be read"):
        Journal(directory)


def test_only_one_bench_works_in_a_directory(directory):
    first = Journal(directory)
    with pytest.raises(JournalError, match="another glowplug bench works in"):
        Journal(directory)
    first.close()
    Journal(directory).close()


def test_a_directory_with_other_files_is_left_alone(directory):
    directory.mkdir()
    (directory / "thesis.txt").write_text("mine")
    with pytest.raises(JournalError, match="holds other files"):
        Journal(directory)
    assert [file.name for file in directory.iterdir()] == ["thesis.txt"]


def test_a_file_in_the_place_of_the_directory(directory):
    directory.write_text("")
    with pytest.raises(JournalError, match="cannot be used"):
        Journal(directory)


@pytest.mark.parametrize(
    ("definitions", "conditions", "seed", "complaint"),
    [
        (DEFINITION, Conditions({"cpu": "b", "cores": 2}, HERE.software, {}), 1, r'machine\.cpu \("a", now "b"\)'),
        (DEFINITION, Conditions(HERE.machine, {"glowplug": "2"}, {}), 1, r'software\.glowplug \("1", now "2"\)'),
        (DEFINITION, HERE, 2, r"bench\.seed \(1, now 2\)"),
        (
            {"m/cold": {"model": "m", "config": {"args": {"x": 1, "y": True}}}},
            HERE,
            1,
            r"scenario m/cold\.config\.args\.y \(null, now true\)",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_and_the_difference_named(
    directory, definitions, conditions, seed, complaint
):
    journal = Journal(directory)
    journal.agree(DEFINITION, HERE, 1)
    before = (directory / "bench.json").read_bytes()
    with pytest.raises(JournalError, match=f"another {complaint}.*give --out"):
        journal.agree(definitions, conditions, seed)
    assert (directory / "bench.json").read_bytes() == before


def test_new_scenarios_may_come_and_settings_may_change(directory):
    journal = Journal(directory)
    journal.agree(DEFINITION, HERE, 1)
    journal.agree({"m/parked": {"model": "m"}}, Conditions(HERE.machine, HERE.software, {"swap": "1"}), 1)
    assert list(journal.about["scenarios"]) == ["m/cold", "m/parked"]
    assert journal.about["settings"] == {"swap": "1"}


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 99}'])
def test_a_bench_json_that_is_none_of_ours(directory, text):
    Journal(directory).close()
    (directory / "bench.json").write_text(text)
    with pytest.raises(JournalError, match=r"bench\.json"):
        Journal(directory).agree(DEFINITION, HERE, 1)


def test_the_json_of_a_repeat_gives_it_back_and_other_json_does_not():
    assert from_json(json.loads(json.dumps(to_json(repeat(1))))) == repeat(1)
    for document in ({}, {**to_json(repeat(1)), "more": 1}, {**to_json(repeat(1)), "first": {"ttft": 1}}):
        with pytest.raises(ValueError, match="no repeat"):
            from_json(document)


def test_speed_is_that_after_the_first_token():
    assert Timing(1.0, 3.0, 21, "usage", "running", 0.0).tokens_per_second == 10.0
    assert Timing(1.0, 1.0, 21, "usage", "running", 0.0).tokens_per_second is None
    assert Timing(1.0, 3.0, 1, "chunks", "running", 0.0).tokens_per_second is None


def test_a_failed_repeat_has_no_values():
    good, bad = repeat(1), repeat(2, failure="broken")
    assert (good.value("cold_start"), good.after_ready) == (1.5, 0.25)
    assert (bad.value("cold_start"), bad.after_ready) == (None, None)
