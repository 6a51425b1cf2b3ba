"""What must hold between the parts of the file."""

import pytest

from glowplug.config.resolve import replicas_of
from glowplug.config.suggest import remedy


def test_an_unknown_engine_without_a_near_word_lists_the_known_ones(complaints):
    assert complaints("models: {m: {engine: whatever}}") == [
        '1:22: unknown engine "whatever"; use one of command, llama.cpp, vllm'
    ]


def test_the_nearest_word_is_found_in_any_case():
    assert remedy("LLAMACPP", ["llama.cpp", "vllm"]) == '; did you mean "llama.cpp"?'
    assert remedy("x", []) == ""
    assert remedy("x", map(str, range(100))) == ""


def test_options_are_held_against_the_engine_they_belong_to(complaints):
    text = (
        "models:\n"
        "  a:\n    engine: command\n    options:\n      command: 3\n      health: {path: /x, status: ok}\n"
        "  b:\n    engine: vllm\n    options: {command: x}\n"
        "  c:\n    engine: command\n"
        "  d:\n    engine: command\n    options: {command: [a, 1], health: {stats: 3}}\n"
    )
    assert complaints(text) == [
        '5:16: "command" must be a list or text, not 3',
        '6:34: "status" must be a whole number, not "ok"',
        '9:15: unknown key "command"',
        '10:3: "command" is missing; add it to "options"',
        '14:28: "command" must be text; put 1 in quotes',
        '14:41: unknown key "stats"; did you mean "status"?',
    ]


def test_options_that_fit_are_kept_as_they_are(load_text):
    config = load_text("models: {m: {engine: command, options: {command: serve, health: {path: /x}}}}")
    assert config.models["m"].options == {"command": "serve", "health": {"path": "/x"}}


def test_a_name_leads_to_one_model_only(complaints):
    text = "models:\n  a: {engine: vllm, aliases: [x, a]}\n  b: {engine: vllm, aliases: [x, a, y, y]}\n"
    assert complaints(text) == [
        '2:34: the alias "a" is already a model; choose another one',
        '3:31: the alias "x" is already an alias of "a"; choose another one',
        '3:34: the alias "a" is already a model; choose another one',
        '3:40: the alias "y" is already an alias of "b"; choose another one',
    ]


@pytest.mark.parametrize(
    "place", ["defaults: {{{}}}\nmodels: {{m: {{engine: vllm}}}}", "models: {{m: {{engine: vllm, {}}}}}"]
)
@pytest.mark.parametrize(
    ("tiers", "expected"),
    [
        ("[parked, cached]", "tiers must hold running"),
        ("[running, parked]", "tiers must hold cached or cold"),
        ("[running, cached, running]", 'the tier "running" is listed twice'),
    ],
)
def test_tiers_must_hold_running_and_a_base(complaints, place, tiers, expected):
    (found,) = complaints(place.format(f"tiers: {tiers}"))
    assert expected in found


def test_keep_alive_names_only_tiers_that_the_model_may_use(complaints):
    text = (
        "defaults: {tiers: [running, cached]}\n"
        "models:\n"
        "  a: {engine: vllm, keep_alive: {running: 1s, asleep: 1s}}\n"
        "  b: {engine: vllm, keep_alive: {asleep: 1s}, tiers: [running, asleep, cold]}\n"
        "  c: {engine: vllm, keep_alive: {parked: 1s}, tiers: auto}\n"
        "  d: {engine: vllm, keep_alive: {parked: 1s}, tiers: [running, cold]}\n"
    )
    assert complaints(text) == [
        '3:47: keep_alive names "asleep", which is not among the tiers here (running, cached); remove it',
        '6:34: keep_alive names "parked", which is not among the tiers here (running, cold); remove it',
    ]


def test_a_snapshot_that_is_asked_for_or_refused_must_agree_with_the_tiers(complaints):
    text = (
        "defaults: {snapshot: always, tiers: [running, cold]}\n"
        "models:\n"
        "  a: {engine: vllm, snapshot: always}\n"
        "  b: {engine: vllm, snapshot: off, tiers: [running, snapshot, cold]}\n"
        "  c: {engine: vllm, snapshot: always, tiers: [running, snapshot, cold]}\n"
        "  d: {engine: vllm, snapshot: always, tiers: auto}\n"
        "  e: {engine: vllm, snapshot: auto}\n"
        "  f: {engine: vllm}\n"
    )
    assert complaints(text) == [
        "3:31: snapshot is always, but snapshot is not among the tiers here; add it there or remove the line",
        "4:31: snapshot is off, but snapshot is among the tiers here; remove one of them",
    ]


def test_a_model_may_decline_the_snapshots_that_the_defaults_allow(load_text):
    text = "defaults: {tiers: [running, snapshot, cold]}\nmodels: {m: {engine: vllm, snapshot: off}}"
    assert load_text(text).models["m"].snapshot == "off"


def test_defaults_may_name_more_tiers_than_one_model_uses(load_text):
    load_text("defaults: {keep_alive: {parked: 1h}}\nmodels: {m: {engine: vllm, tiers: [running, cold]}}")


def test_a_model_may_give_one_limit_of_its_replicas_and_leave_the_other_to_the_defaults(load_text):
    config = load_text("defaults: {replicas: {max: 4}}\nmodels: {m: {engine: vllm, replicas: {min: 2}}}")
    replicas = replicas_of(config, config.models["m"])
    assert (replicas.min, replicas.max) == (2, 4)


@pytest.mark.parametrize(
    ("defaults", "model", "expected"),
    [
        (
            "{min: 2, max: 2}",
            "{max: 1}",
            ["2:28: with the defaults, replicas.min (2) is larger than replicas.max (1); give both"],
        ),
        (
            "{max: 4}",
            "{min: 5}",
            ["2:28: with the defaults, replicas.min (5) is larger than replicas.max (4); give both"],
        ),
        ("{}", "{min: 2}", ["2:28: with the defaults, replicas.min (2) is larger than replicas.max (1); give both"]),
        ("{max: 4}", "{min: 3, max: 2}", ["2:28: replicas.min (3) is larger than replicas.max (2); raise max"]),
        ("{min: 2}", "{target_concurrency: 3}", ["1:12: replicas.min (2) is larger than replicas.max (1)"]),
    ],
)
def test_replicas_are_checked_together_with_the_defaults(complaints, defaults, model, expected):
    text = f"defaults: {{replicas: {defaults}}}\nmodels: {{m: {{engine: vllm, replicas: {model}}}}}"
    assert complaints(text) == expected


def test_another_mistake_does_not_hide_limits_that_contradict_each_other(complaints):
    text = "models:\n  m: {engine: vllm, replicas: {min: 3, max: 2}, pin: 3}"
    assert complaints(text) == [
        "2:21: replicas.min (3) is larger than replicas.max (2); raise max",
        '2:54: "pin" must be true or false, not 3',
    ]
