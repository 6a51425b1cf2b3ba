"""The environment that brings our folder into engines' processes."""

from glowplug import inside

FOLDER = str(inside.FOLDER)


def test_nothing_wanted_changes_nothing():
    assert inside.environment({"PYTHONPATH": "/a", "X": "1"}) == {"PYTHONPATH": "/a", "X": "1"}


def test_our_folder_comes_first_and_what_was_there_stays():
    assert inside.environment({"PYTHONPATH": "/a:/b"}, hooks=True)["PYTHONPATH"] == f"{FOLDER}:/a:/b"
    assert inside.environment({}, hooks=True)["PYTHONPATH"] == FOLDER
    assert inside.environment({"PYTHONPATH": ""}, hooks=True)["PYTHONPATH"] == FOLDER  # an empty one means nothing


def test_twice_is_once():
    once = inside.environment({"PYTHONPATH": "/a"}, hooks=True, shims=["one"])
    assert inside.environment(once, hooks=True, shims=["one"]) == once


def test_hooks_and_shims_are_asked_for_apart():
    assert inside.environment({}, hooks=True) == {"PYTHONPATH": FOLDER, "GLOWPLUG_HOOKS": "1"}
    assert inside.environment({}, shims=["b"]) == {"PYTHONPATH": FOLDER, "GLOWPLUG_SHIMS": "b"}


def test_shims_are_added_to_those_named_already():
    assert inside.environment({"GLOWPLUG_SHIMS": "a,b"}, shims=["b", "c"])["GLOWPLUG_SHIMS"] == "a,b,c"


def test_the_given_environment_is_not_changed():
    given = {"PYTHONPATH": "/a"}
    inside.environment(given, hooks=True)
    assert given == {"PYTHONPATH": "/a"}
