import dataclasses
import json

import pytest
from pydantic import ValidationError

from glowplug.config.models import ModelConfig
from glowplug.engines.base import CanaryAnswer
from glowplug.engines.fake import Fake, FakeOptions
from glowplug.engines.fake_server.behaviour import CHANGEABLE, Behaviour
from tests.engines.running import running

ENGINE = Fake()


def config(**options):
    return ModelConfig(engine="fake", options=options)


def test_the_program_knows_every_option_and_its_default():
    fields = {field.name for field in dataclasses.fields(Behaviour)}
    assert fields == set(FakeOptions.model_fields) | {"name", "port", "host"}
    assert {**dataclasses.asdict(Behaviour()), "phases": ()} == {
        **FakeOptions().model_dump(), "name": "fake", "port": 0, "host": "127.0.0.1",
    }  # fmt: skip
    assert fields >= CHANGEABLE


def test_options_reach_the_program_as_one_argument():
    model = config(phases=[{"phase": "weights_load", "seconds": "100ms"}], memory="1MiB")
    settings = json.loads(ENGINE.launch("m", model, 77).argv[-1])
    assert settings["phases"] == [{"phase": "weights_load", "seconds": 0.1}]
    assert (settings["memory"], settings["name"], settings["port"]) == (1024**2, "m", 77)


@pytest.mark.parametrize(
    "options",
    [
        {"crash_at": "start"},
        {"crash_at": "request:x"},
        {"crash_how": "explode"},
        {"answers_change_at": "sometimes"},
        {"tokens": 0},
        {"tokens_per_second": -1},
        {"phases": [{"phase": "x"}]},
        {"token": 3},
    ],
)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(ValidationError):
        FakeOptions.model_validate(options)


def test_the_started_program_answers_its_canary():
    with running(ENGINE, config(), "m") as server:
        assert server.canary() == CanaryAnswer(("tok0", "tok1"), (-0.125, -0.25))
        assert [model["id"] for model in server.get("/v1/models")["data"]] == ["m"]


def test_declared_memory_covers_what_the_program_holds():
    model = config(memory="32MiB")
    with running(ENGINE, model) as server, open(f"/proc/{server.process.pid}/statm") as statm:
        resident = int(statm.read().split()[1]) * 4096
    assert 32 * 1024**2 < resident < ENGINE.memory(model)
