import dataclasses
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from glowplug import inside
from glowplug.artifacts.digests import SETTLED, Digests
from glowplug.checkpoint.criu_binary import Criu
from glowplug.checkpoint.machine import Machine
from glowplug.config.models import ModelConfig
from glowplug.engines.base import EVERYWHERE
from glowplug.engines.command import Command
from glowplug.engines.vllm import Vllm
from glowplug.tiers.identity import Identity, IdentityError, identity_of
from glowplug.tiers.identity_differences import differences
from tests.artifacts.changes import change_in_place
from tests.engines.models import write_model
from tests.tiers.environments import install, write_environment, write_executable

MACHINE = Machine("x86_64", frozenset({"sse2", "avx2", "avx512f"}), "6.18.1", 4096)
CRIU = Criu(("criu",), (4, 2, 1), "system package")
OURS = {"PATH": "/usr/bin", "HOME": "/nowhere", "OMP_NUM_THREADS": "2", "LANG": "C", "EDITOR": "vi"}


class Installation:
    """A vLLM and a model in directories of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.prefix = folder / "engine"
        python = write_environment(self.prefix)
        self.program = write_executable(self.prefix / "bin" / "vllm", f"#!{python}\nfrom vllm import main\n")
        install(self.prefix, "vllm", "0.32.0")
        install(self.prefix, "torch", "2.11.0")
        self.weights = write_model(folder / "model", {"model.safetensors": 1000}) / "model.safetensors"

    def config(self, args: Mapping[str, Any] | None = None, env: Mapping[str, str] | None = None) -> ModelConfig:
        return ModelConfig(
            engine="vllm",
            model=str(self.weights.parent),
            options={"server": str(self.program)},
            args={"max-model-len": 2048, "seed": 0} if args is None else dict(args),
            env=dict(env or {}),
        )

    def identity(
        self,
        config: ModelConfig | None = None,
        *,
        criu: Criu = CRIU,
        ours: Mapping[str, str] = OURS,
        machine: Machine | None = MACHINE,
    ) -> Identity:
        engine, config = Vllm(), config or self.config()
        launch = engine.launch("tiny", config, 8000, EVERYWHERE)
        return identity_of("tiny", config, engine, launch, criu, settled(self.folder), ours=ours, machine=machine)


def settled(folder: Path) -> Digests:
    """Digests that are kept at once, although the files are new."""
    return Digests(folder / "state", lambda: time.time_ns() + 10 * SETTLED)


@pytest.fixture
def here(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


@pytest.fixture
def recorded(here: Installation) -> Mapping[str, Any]:
    """The identity as it comes out of a manifest."""
    return json.loads(json.dumps(here.identity().as_json()))


def test_nothing_differs_where_nothing_changed(here: Installation, recorded: Mapping[str, Any]) -> None:
    assert differences(recorded, here.identity()) == []
    assert Identity.from_json(recorded) == here.identity()


def test_the_identity_names_what_it_was_made_of(here: Installation, recorded: Mapping[str, Any]) -> None:
    assert recorded["engine_version"] == "0.32.0"
    assert set(recorded["packages"]) == {"vllm-0.32.0", "torch-2.11.0"}
    assert set(recorded["programs"]) == {str(here.program), str(here.prefix / "bin" / "python3.11")}
    of_the_model = {path for path in recorded["files"] if path.startswith(str(here.folder))}
    assert of_the_model == {str(here.weights), str(here.weights.with_name("config.json"))}
    assert recorded["arguments"][:2] == [str(here.program), "serve"]
    assert recorded["environment"].items() >= {"OMP_NUM_THREADS": "2"}.items()
    assert not recorded["environment"].keys() & {"PATH", "HOME", "LANG", "EDITOR"}
    assert recorded["criu"] == "4.2.1"


def test_this_machine_is_taken_unless_told(here: Installation) -> None:
    assert here.identity(machine=None).kernel == os.uname().release


def test_weights_changed_in_place_are_noticed_with_size_and_modification_time_put_back(
    here: Installation, recorded: Mapping[str, Any]
) -> None:
    change_in_place(here.weights, bytes(500) + b"!" + bytes(499))
    [sentence] = differences(recorded, here.identity())
    assert sentence.startswith(f"file {here.weights}: its content was blake3 ")


def test_a_file_that_came_or_went_is_noticed(here: Installation, recorded: Mapping[str, Any]) -> None:
    template = here.weights.with_name("chat_template.jinja")
    template.write_text("{{ messages }}")
    assert differences(recorded, here.identity()) == [f"file {template}: missing then, there now"]
    assert differences(here.identity().as_json(), Identity.from_json(recorded)) == [
        f"file {template}: there then, missing now"
    ]


def test_an_upgraded_engine_is_noticed(here: Installation, recorded: Mapping[str, Any]) -> None:
    install(here.prefix, "vllm", "0.33.1")
    assert differences(recorded, here.identity()) == [
        "engine version: 0.32.0 then, 0.33.1 now",
        "package vllm: 0.32.0 then, 0.33.1 now",
    ]


def test_a_package_of_the_same_version_from_another_build_is_noticed(
    here: Installation, recorded: Mapping[str, Any]
) -> None:
    install(here.prefix, "torch", "2.11.0", record="sha256=other,1")
    [sentence] = differences(recorded, here.identity())
    assert sentence.startswith("package torch 2.11.0: its record was blake3 ")


def test_a_package_that_came_is_noticed(here: Installation, recorded: Mapping[str, Any]) -> None:
    install(here.prefix, "flashinfer", "1.0")
    assert differences(recorded, here.identity()) == ["package flashinfer: missing then, 1.0 now"]


def test_of_many_changed_packages_a_few_are_named(here: Installation, recorded: Mapping[str, Any]) -> None:
    for number in range(10):
        install(here.prefix, f"package{number}", "1.0")
    assert differences(recorded, here.identity()) == [
        *(f"package package{number}: missing then, 1.0 now" for number in range(3)),
        "packages: 7 more differ",
    ]


def test_another_interpreter_is_noticed(here: Installation, recorded: Mapping[str, Any]) -> None:
    python = write_executable(here.prefix / "bin" / "python3.11", "\x7fELF of another build")
    [sentence] = differences(recorded, here.identity())
    assert sentence.startswith(f"program {python}: its content was")


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ({"max-model-len": 4096, "seed": 0}, "--max-model-len 2048 then, --max-model-len 4096 now"),
        ({"max-model-len": 2048, "seed": 1}, "--seed 0 then, --seed 1 now"),
        ({"max-model-len": 2048}, "--seed 0 then, none now"),
        ({"max-model-len": 2048, "seed": 0, "dtype": "half"}, "none then, --dtype half now"),
    ],
)
def test_other_arguments_are_noticed(
    here: Installation, recorded: Mapping[str, Any], args: Mapping[str, Any], sentence: str
) -> None:
    assert differences(recorded, here.identity(here.config(args))) == [f"arguments: {sentence}"]


def test_another_environment_is_noticed(here: Installation, recorded: Mapping[str, Any]) -> None:
    assert differences(recorded, here.identity(ours={**OURS, "OMP_NUM_THREADS": "4", "VLLM_USE_V1": "1"})) == [
        'variable OMP_NUM_THREADS: "2" then, "4" now',
        'variable VLLM_USE_V1: not set then, "1" now',
    ]
    configured = here.identity(here.config(env={"ANYTHING": "else"}))
    assert differences(recorded, configured) == ['variable ANYTHING: not set then, "else" now']


def test_what_differs_from_login_to_login_does_not_matter(here: Installation, recorded: Mapping[str, Any]) -> None:
    ours = {**OURS, "PATH": "/usr/bin:/opt/bin", "LANG": "de_AT.UTF-8", "EDITOR": "ed", "SSH_TTY": "/dev/pts/1"}
    assert differences(recorded, here.identity(ours=ours)) == []


def test_our_own_code_in_the_processes_counts_where_it_runs(here: Installation) -> None:
    engine, config = Vllm(), here.config()
    launch = engine.launch("tiny", config, 8000, EVERYWHERE)
    hooked = dataclasses.replace(launch, env=inside.environment(launch.env, hooks=True))
    digests = settled(here.folder)
    files = identity_of("tiny", config, engine, hooked, CRIU, digests, ours=OURS, machine=MACHINE).files
    assert {str(inside.FOLDER / "sitecustomize.py"), str(inside.FOLDER / "glowplug_snapshot.py")} < set(files)
    program = write_executable(here.folder / "server", "\x7fELF")
    assert command_identity(here.folder, str(program), "--port", "{port}").files == {}


def test_a_path_that_is_configured_matters(here: Installation, recorded: Mapping[str, Any]) -> None:
    [sentence] = differences(recorded, here.identity(here.config(env={"PATH": "/usr/local/bin"})))
    assert sentence.startswith("variable PATH: not set then, ")


def test_secrets_are_in_no_identity(here: Installation) -> None:
    token = "hf_" + "a" * 20
    config = here.config({"note": token}, {"HF_TOKEN": "planted-1", "VLLM_API_KEY": "planted-2"})
    text = json.dumps(here.identity(config, ours={**OURS, "HF_TOKEN": "planted-3"}).as_json())
    assert "planted" not in text
    assert token not in text


def changed(**fields: Any) -> Machine:
    return dataclasses.replace(MACHINE, **fields)


@pytest.mark.parametrize(
    ("machine", "sentences"),
    [
        (changed(kernel="6.19.0"), ["kernel: 6.18.1 then, 6.19.0 now"]),
        (changed(architecture="aarch64"), ["architecture: x86_64 then, aarch64 now"]),
        (changed(page_size=65536), ["page size: 4096 then, 65536 now"]),
        (changed(gpu="NVIDIA H100"), ["GPU: none then, NVIDIA H100 now"]),
        (changed(driver="580.159"), ["GPU driver: none then, 580.159 now"]),
        (changed(cpu_flags=frozenset({"sse2"})), ["CPU flags: avx2 and avx512f there then, missing now"]),
        (
            changed(cpu_flags=frozenset({"sse2", "avx2", "amx_tile"})),
            ["CPU flags: avx512f there then, missing now", "CPU flags: amx_tile missing then, there now"],
        ),
    ],
)
def test_another_machine_is_noticed(
    here: Installation, recorded: Mapping[str, Any], machine: Machine, sentences: list[str]
) -> None:
    assert differences(recorded, here.identity(machine=machine)) == sentences


def test_another_criu_is_noticed(here: Installation, recorded: Mapping[str, Any]) -> None:
    other = Criu(("criu",), (4, 3, 0), "elsewhere")
    assert differences(recorded, here.identity(criu=other)) == ["CRIU: 4.2.1 then, 4.3.0 now"]


def test_every_field_counts(here: Installation, recorded: Mapping[str, Any]) -> None:
    """Each field that is changed alone gives a sentence, so that none can be added and forgotten."""
    now = here.identity()
    other: Mapping[type, Any] = {int: 99, str: "other", type(None): "other", dict: {"x": "y"}, list: ["other"]}
    for name, value in recorded.items():
        assert differences({**recorded, name: other[type(value)]}, now), name


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"kernel": 6}, "Expected `str`"),
        ({"packages": ["vllm"]}, "Expected `object`"),
        ({"surprise": "x"}, "unknown field `surprise`"),
    ],
)
def test_an_identity_that_cannot_be_read_differs(
    here: Installation, recorded: Mapping[str, Any], change: Mapping[str, Any], why: str
) -> None:
    [sentence] = differences({**recorded, **change}, here.identity())
    assert sentence.startswith("The identity of the snapshot cannot be read: ")
    assert why in sentence


def test_an_identity_of_another_format_is_not_read_further(here: Installation) -> None:
    now = here.identity()
    assert differences({"format": 0, "whatever": 1}, now) == [f"format of sandboxes: 0 then, {now.format} now"]
    [sentence] = differences({}, now)
    assert "missing required field" in sentence


def test_without_weights_there_is_no_identity(here: Installation) -> None:
    (here.weights.parent / "model.safetensors.index.json").write_text('{"weight_map": {"a": "gone.safetensors"}}')
    with pytest.raises(IdentityError, match=r"gone\.safetensors cannot be read"):
        here.identity()


def command_identity(folder: Path, *run: str) -> Identity:
    config = ModelConfig(engine="command", options={"run": list(run)})
    launch = Command().launch("tiny", config, 8000, EVERYWHERE)
    return identity_of("tiny", config, Command(), launch, CRIU, settled(folder), ours=OURS, machine=MACHINE)


def test_a_plain_program_is_known_by_its_file(tmp_path: Path) -> None:
    program = write_executable(tmp_path / "llama-server", "\x7fELF 1")
    then = command_identity(tmp_path, str(program), "--port", "{port}").as_json()
    assert then["packages"] == {}
    write_executable(program, "\x7fELF of another build")
    [sentence] = differences(then, command_identity(tmp_path, str(program), "--port", "{port}"))
    assert sentence.startswith(f"program {program}: its content was")


def test_a_program_that_starts_another_one_brings_the_packages_of_that(tmp_path: Path) -> None:
    here = Installation(tmp_path)
    wrapper = write_executable(tmp_path / "numactl", "\x7fELF")
    identity = command_identity(tmp_path, str(wrapper), "-N", "0", str(here.program), "serve", "--port", "{port}")
    assert set(identity.packages) == {"vllm-0.32.0", "torch-2.11.0"}
    assert {str(wrapper), str(here.program)} < set(identity.programs)


def test_a_program_that_is_nowhere_has_no_identity(tmp_path: Path) -> None:
    with pytest.raises(IdentityError, match="The program no-such-program was not found"):
        command_identity(tmp_path, "no-such-program", "{port}")
    with pytest.raises(IdentityError, match="missing cannot be read"):
        command_identity(tmp_path, str(tmp_path / "missing"), "{port}")
