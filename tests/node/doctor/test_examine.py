"""The whole examination and its JSON."""

import json
from pathlib import Path

import jsonschema
import pytest

from glowplug.config.models import Config, ModelConfig, NodeConfig
from glowplug.gateway.openapi import openapi_document
from glowplug.node.doctor.examine import examine
from glowplug.scheduler.values import Tier

SCHEMA = {"$ref": "#/components/schemas/Examination", "components": openapi_document()["components"]}


@pytest.mark.slow
def test_the_json_has_the_documented_form(tmp_path: Path) -> None:
    report = json.loads(json.dumps(examine(tmp_path).as_json()))
    jsonschema.validate(report, SCHEMA)
    assert [tier["tier"] for tier in report["tiers"]] == list(Tier)
    assert all(tier["open"] == (tier["reason"] is None) for tier in report["tiers"])
    assert {check["check"] for check in report["checks"]} == {
        *("privileges", "criu", "trial", "namespaces", "sandbox", "filter", "io_uring", "freezer"),
        *("disk", "page cache", "memory", "cpu", "huge pages", "gpu"),
    }
    assert report["schema"] == 1
    assert report["models"] == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_models_of_a_configuration_are_judged(tmp_path: Path) -> None:
    config = Config(
        node=NodeConfig(state_dir=tmp_path),
        models={
            "good": ModelConfig(engine="fake"),
            "secret": ModelConfig(engine="fake", env={"HF_TOKEN": "hf_abcdefghijklmnop"}),
            "bad": ModelConfig(engine="llama.cpp", model=str(tmp_path / "missing.gguf")),
        },
    )
    report = examine(tmp_path, config)
    good, secret, bad = report.models
    assert (good.model, good.engine, good.error) == ("good", "fake", None)
    assert "missing.gguf" in str(bad.error)
    assert Tier.SNAPSHOT in secret.closed_tiers
    assert Tier.CACHED not in secret.closed_tiers
    jsonschema.validate(json.loads(json.dumps(report.as_json())), SCHEMA)
