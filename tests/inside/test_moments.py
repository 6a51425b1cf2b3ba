"""What a process does when it is told of a snapshot: users' hooks, and new seeds for what it remembers.

Two forks of one process have the same memory, as two restored copies have, so they show what is made unlike.
"""

import json
import secrets

import pytest

from tests.inside.engine_python import EnginePython, engine_python, tell

IMPORT = "from glowplug_snapshot import register_after_restore, register_before_snapshot\ncalled = []"

TWO_FORKS = """
import json, os
def fork_and_draw():
    reading, writing = os.pipe()
    answer, draw_now = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, b"-")
        os.read(answer, 1)
        os.write(writing, json.dumps(draw()).encode())
        os._exit(0)
    os.read(reading, 1)
    return child, reading, draw_now
clones = [fork_and_draw(), fork_and_draw()]
print(*(child for child, _, _ in clones))
"""

DRAW = """
for _, _, draw_now in clones:
    os.write(draw_now, b"-")
print(*(os.read(reading, 65536).decode() for _, reading, _ in clones), sep="\\n")
"""


def drawn_by_clones(engine: EnginePython, *, told: bool) -> tuple[dict[str, object], dict[str, object]]:
    """What `draw()` of the engine gives in two forks of it."""
    assert tell(engine.pid, "before_snapshot").failure == ""
    for clone in engine.do(TWO_FORKS).split() if told else engine.do(TWO_FORKS) and ():
        assert tell(int(clone), "after_restore").failure == ""
    first, second = engine.do(DRAW).splitlines()
    return json.loads(first), json.loads(second)


def unlike(engine: EnginePython, *, told: bool) -> dict[str, bool]:
    first, second = drawn_by_clones(engine, told=told)
    return {name: first[name] != second[name] for name in first}


# Users' hooks.


def test_hooks_run_last_first_before_and_first_first_after():
    with engine_python() as engine:
        engine.do(IMPORT)
        engine.do(
            "for n in (1, 2, 3): register_before_snapshot(called.append, -n); register_after_restore(called.append, n)"
        )
        tell(engine.pid, "before_snapshot")
        assert engine.do("print(called)") == "[-3, -2, -1]"
        tell(engine.pid, "after_restore")
        assert engine.do("print(called)") == "[-3, -2, -1, 1, 2, 3]"


def test_registering_gives_the_function_back_and_passes_arguments_on():
    with engine_python() as engine:
        engine.do(IMPORT)
        engine.do("@register_before_snapshot\ndef hook(*args, **kwargs): called.append((args, kwargs))")
        engine.do("assert register_after_restore(hook, 1, two=2) is hook")
        tell(engine.pid, "before_snapshot")
        tell(engine.pid, "after_restore")
        assert engine.do("print(called)") == "[((), {}), ((1,), {'two': 2})]"


def test_what_cannot_be_called_is_refused_at_once():
    with engine_python() as engine:
        engine.do(IMPORT)
        caught = "try: register_after_restore(7)\nexcept TypeError as error: print(error)"
        assert engine.do(caught) == "7 cannot be called"


@pytest.mark.parametrize("moment", ["before_snapshot", "after_restore"])
@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("raise ValueError('no room')", "failed: ValueError: no room"),
        ("raise SystemExit", "failed: SystemExit"),
        ("raise ValueError('two\\nlines\\n')", "failed: ValueError: two lines"),
    ],
)
def test_a_hook_that_fails_is_named_and_ends_the_moment(moment, body, sentence):
    with engine_python() as engine:
        engine.do(IMPORT)
        engine.do(f"def disconnect(): {body!s}" if "\n" not in body else f"def disconnect():\n    {body!r}")
        for hook in ("called.append, 1", "disconnect", "called.append, 1"):
            engine.do(f"register_{moment}({hook})")
        assert tell(engine.pid, moment).failure == f"the {moment} hook disconnect {sentence}"
        assert engine.do("print(called)") == "[1]"
        assert engine.do("print('on')") == "on"


def test_an_asynchronous_hook_is_refused():
    with engine_python() as engine:
        engine.do(IMPORT)
        engine.do("@register_after_restore\nasync def connect(): pass")
        failure = tell(engine.pid, "after_restore").failure
        assert failure == "the after_restore hook connect is asynchronous, and there is no event loop to run it in"


def test_a_question_that_is_repeated_is_answered_again_without_a_second_run():
    with engine_python() as engine:
        engine.do(IMPORT)
        engine.do("register_after_restore(called.append, 1)")
        moment_id = secrets.token_hex(32)
        first = tell(engine.pid, "after_restore", moment_id)
        assert tell(engine.pid, "after_restore", moment_id).seconds == first.seconds
        assert engine.do("print(called)") == "[1]"
        tell(engine.pid, "after_restore")
        assert engine.do("print(called)") == "[1, 1]"


def test_hooks_hold_for_later_forks():
    with engine_python() as engine:
        engine.do(IMPORT)
        engine.do("register_after_restore(called.append, 1)\ndef draw(): return {'called': called}")
        child, _ = engine.do(TWO_FORKS).split()
        tell(int(child), "after_restore")
        assert [json.loads(line)["called"] for line in engine.do(DRAW).splitlines()] == [[1], []]


def test_seeds_are_new_when_users_hooks_run_so_a_hook_may_set_its_own():
    with engine_python() as engine:
        engine.do(IMPORT)
        engine.do("import random; register_after_restore(random.seed, 5)")
        tell(engine.pid, "before_snapshot")
        tell(engine.pid, "after_restore")
        assert engine.do("print(random.random() == random.Random(5).random())") == "True"


# What is remembered.


PYTHON_STREAMS = """
import ctypes, random, tempfile, uuid
libc = ctypes.CDLL(None)
libc.drand48.restype = ctypes.c_double
class Own(random.Random): pass
class Slots: __slots__ = ("generator",)
slots = Slots()
slots.generator = Own(3)
bound = random.Random(4).random
def draw():
    return {
        "module": random.random(), "gauss": random.gauss(0, 1), "slot": slots.generator.random(), "bound": bound(),
        "rand": libc.rand(), "drand48": libc.drand48(), "tempfile": tempfile.mktemp(), "node": uuid.uuid1().node,
    }
random.seed(1)
draw()
"""


def test_streams_of_the_standard_library_and_of_c_differ_after_they_are_told():
    with engine_python() as engine:
        engine.do(PYTHON_STREAMS)
        before = unlike(engine, told=False)
        # These notice a fork, as they do not notice a restore: test_clones.py shows that they need to be told.
        assert {name for name in before if before[name]} == {"module", "gauss", "tempfile"}
    with engine_python() as engine:
        engine.do(PYTHON_STREAMS)
        after = unlike(engine, told=True)
        assert all(after.values()), after


def test_temporary_files_have_other_names():
    """Seen in one process that goes back to what it remembered, since forks differ anyhow."""
    with engine_python() as engine:
        engine.do("import tempfile; tempfile.mktemp(); names = tempfile._get_candidate_names()")
        engine.do("state = names.rng.getstate(); first = next(names); names.rng.setstate(state)")
        tell(engine.pid, "before_snapshot")
        tell(engine.pid, "after_restore")
        assert engine.do("print(next(names) == first, tempfile._get_candidate_names() is names)") == "False False"


def test_generators_that_were_exempted_from_garbage_collection_are_found():
    with engine_python() as engine:
        engine.do("import gc, random\nkept = [random.Random(1)]\ngc.freeze()\ncount = gc.get_freeze_count()")
        engine.do("def draw(): return {'kept': kept[0].random()}")
        assert unlike(engine, told=True) == {"kept": True}
        assert engine.do("print(gc.get_freeze_count() >= count)") == "True"


def test_without_exemption_nothing_is_exempted():
    with engine_python() as engine:
        engine.do("import gc, random")
        tell(engine.pid, "before_snapshot")
        assert engine.do("print(gc.get_freeze_count())") == "0"


def test_a_generator_in_a_variable_of_a_running_function_is_found():
    with engine_python() as engine:
        engine.do(
            "import queue, random, threading\n"
            "asked, drawn = queue.Queue(), queue.Queue()\n"
            "def work():\n"
            "    local = random.Random(1)\n"
            "    while asked.get() is None: drawn.put(local.random())\n"
            "threading.Thread(target=work, daemon=True).start()\n"
        )
        first = engine.do("asked.put(None); print(drawn.get())")
        expected = engine.do("r = random.Random(1); first = r.random(); print(r.random())")
        tell(engine.pid, "before_snapshot")
        tell(engine.pid, "after_restore")
        assert engine.do("print(first)") == first
        assert engine.do("asked.put(None); print(drawn.get())") != expected


def test_looking_at_running_functions_neither_changes_them_nor_keeps_their_values_alive():
    with engine_python() as engine:
        engine.do(
            "import queue, random, threading, weakref\n"
            "class Thing: pass\n"
            "asked, said = queue.Queue(), queue.Queue()\n"
            "def work():\n"
            "    generator, thing, number = random.Random(), Thing(), 5\n"
            "    said.put(weakref.ref(thing)); asked.get()\n"
            "    thing = None; said.put(number); asked.get()\n"
            "    said.put(number)\n"
            "threading.Thread(target=work, daemon=True).start()\n"
            "seen = said.get()"
        )
        tell(engine.pid, "before_snapshot")
        tell(engine.pid, "after_restore")
        assert engine.do("asked.put(1); print(said.get(), seen())") == "5 None"
        assert engine.do("asked.put(1); print(said.get())") == "5"


def test_what_a_running_function_got_from_locals_stays_as_it_is():
    with engine_python() as engine:
        engine.do(
            "import queue, random, threading\n"
            "asked, said = queue.Queue(), queue.Queue()\n"
            "def work(left_out, kept):\n"
            "    arguments = locals()\n"
            "    del arguments['left_out']\n"
            "    said.put(1); asked.get(); said.put(arguments)\n"
            "threading.Thread(target=work, args=(1, 2), daemon=True).start()\n"
            "said.get()"
        )
        tell(engine.pid, "before_snapshot")
        assert engine.do("asked.put(1); print(said.get())") == "{'kept': 2}"


def test_generators_are_not_kept_alive():
    with engine_python() as engine:
        engine.do("import random, weakref\ngenerator = random.Random()\nseen = weakref.ref(generator)")
        tell(engine.pid, "before_snapshot")
        tell(engine.pid, "after_restore")
        assert engine.do("del generator; print(seen())") == "None"


def test_a_process_that_was_not_told_of_the_snapshot_gets_new_seeds_too():
    with engine_python() as engine:
        before = engine.do("import random; random.seed(1); print(random.getstate())")
        tell(engine.pid, "after_restore")
        assert engine.do("print(random.getstate())") != before


def test_every_restore_of_the_same_process_gives_other_seeds():
    with engine_python() as engine:
        engine.do("import random")
        states = set()
        for _ in range(3):
            tell(engine.pid, "after_restore")
            states.add(engine.do("print(hash(random.getstate()))"))
        assert len(states) == 3


def test_garbage_is_collected_before_a_snapshot():
    with engine_python() as engine:
        engine.do(
            "import gc, weakref\ngc.disable()\nclass Node: pass\n"
            "node = Node(); node.itself = node; seen = weakref.ref(node); del node"
        )
        tell(engine.pid, "before_snapshot")
        assert engine.do("print(seen())") == "None"


def test_nothing_is_loaded_that_the_engine_has_not_loaded():
    with engine_python() as engine:
        tell(engine.pid, "before_snapshot")
        tell(engine.pid, "after_restore")
        loaded = (
            "print([name for name in ('random', 'ssl', 'hashlib', 'uuid', 'tempfile', 'numpy') if name in sys.modules])"
        )
        assert engine.do(f"import sys; {loaded}") == "[]"


def test_a_generator_that_cannot_be_given_a_seed_fails_the_moment():
    with engine_python() as engine:
        engine.do("import random\nclass Stuck(random.Random):\n    def seed(self, *args): raise RuntimeError('stuck')")
        engine.do("stuck = Stuck.__new__(Stuck)")
        tell(engine.pid, "before_snapshot")
        failure = tell(engine.pid, "after_restore").failure
        assert failure == "a generator of type Stuck cannot be given a new seed: RuntimeError: stuck"
