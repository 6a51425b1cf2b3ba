"""How long each process of an engine imported before its first words."""

from glowplug.node.speakers import Speakers
from glowplug.node.tree_sampler import Lifetime

MAIN = Lifetime(10, 1, "vllm", 100.0, 140.0, 9.0, "python vllm serve m")
CORE = Lifetime(11, 10, "VLLM::EngineCore", 108.0, 140.0, 9.0, "python -c spawn_main(11)")
WORKER = Lifetime(12, 11, "VLLM::Worker", 118.0, 140.0, 9.0, "python -c spawn_main(12)")


def spans(speakers, *lifetimes):
    found = speakers.imports(lifetimes, main=10, origin=100.0)
    return [(span.phase, span.label, span.start, span.end) for span in found]


def test_a_process_imports_from_its_start_to_its_first_words():
    speakers = Speakers()
    speakers.feed(b"(APIServer pid=10) INFO hello\n", 107.0)
    speakers.feed(b"(EngineCore pid=11) INFO hello\n(EngineCore pid=11) INFO again\n", 116.0)
    speakers.feed(b"(EngineCore pid=11) INFO later\n", 117.0)
    speakers.feed(b"(EngineCore pid=11) (Worker rank=0 pid=12) INFO hello\n", 128.0)
    assert spans(speakers, MAIN, CORE, WORKER) == [
        ("python_import", "EngineCore", 8.0, 16.0),
        ("python_import", "Worker", 18.0, 28.0),
    ]


def test_words_that_are_cut_between_two_pieces_of_output_count_when_they_are_complete():
    speakers = Speakers()
    speakers.feed(b"something\n(EngineCore p", 115.0)
    speakers.feed(b"id=11) INFO hello\n", 116.0)
    assert spans(speakers, MAIN, CORE) == [("python_import", "EngineCore", 8.0, 16.0)]


def test_a_forked_process_imports_nothing():
    forked = Lifetime(11, 10, "VLLM::EngineCore", 108.0, 140.0, 9.0, MAIN.command)
    speakers = Speakers()
    speakers.feed(b"(EngineCore pid=11) INFO hello\n", 116.0)
    assert spans(speakers, MAIN, forked) == []


def test_a_process_that_nobody_saw_or_that_speaks_at_once_has_no_import():
    speakers = Speakers()
    speakers.feed(b"(EngineCore pid=11) INFO hello\n(Other pid=99) INFO hello\n", 108.05)
    assert spans(speakers, MAIN, CORE) == []


def test_a_title_of_its_own_tells_the_end_of_the_import_too():
    titled = Lifetime(11, 10, "x", 108.0, 140.0, 9.0, "python -c spawn_main(11)", "sglang::scheduler", 115.0)
    speakers = Speakers()
    assert spans(speakers, MAIN, titled) == [("python_import", "sglang::scheduler", 8.0, 15.0)]
    speakers.feed(b"(Scheduler pid=11) INFO hello\n", 116.0)
    assert spans(speakers, MAIN, titled) == [("python_import", "Scheduler", 8.0, 15.0)]
    speakers = Speakers()
    speakers.feed(b"(Scheduler pid=11) INFO hello\n", 114.0)
    assert spans(speakers, MAIN, titled) == [("python_import", "Scheduler", 8.0, 14.0)]


def test_colours_around_the_name_do_not_hide_it():
    speakers = Speakers()
    speakers.feed(b"\x1b[1;36m(EngineCore_DP0 pid=11)\x1b[0;0m INFO hello\n", 116.0)
    assert spans(speakers, MAIN, CORE) == [("python_import", "EngineCore_DP0", 8.0, 16.0)]
