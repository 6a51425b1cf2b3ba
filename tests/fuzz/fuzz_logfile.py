"""Coverage-guided fuzzing of the log reader with Atheris; `make fuzz` runs it.

Arguments are those of libFuzzer; the first that is no option is the folder that inputs are kept in.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["glowplug.coldstart", "glowplug.profiling.logfile", "glowplug.engines"]):
    from glowplug.engines.logs import GRAMMARS
    from tests.fuzz.checks import check_log

from glowplug.coldstart.failures import TEXTS
from tests.coldstart.kettle import stamped
from tests.coldstart.prefixes import PREFIXES

_TOKENS = (
    "%| 1/2 [00:01<00:01, ",
    "it/s]",
    "took 1.5 s",
    "\r\n",
    "\x1b[1;36m",
    "\\r\\n",
    "(Worker_TP1 pid=7) ",
    " rank=1",
)


def one_input(data: bytes) -> None:
    """Read an input whose first byte is the size of the pieces that it comes in."""
    if data:
        check_log(data[1:], 1 + data[0])


def write_seeds(folder: Path) -> None:
    """A log for every engine and every prefix, of its lines as they are looked for, in the order of the grammar."""
    for number, grammar in enumerate(GRAMMARS):
        for place, prefix in enumerate(PREFIXES):
            lines = [
                prefix.wrap(f"(EngineCore pid=7) {stamped(at)} {line.text} 1.5 s{_TOKENS[at % len(_TOKENS)]}")
                for at, line in enumerate(grammar.lines)
                if (at + place) % 4 == 0
            ]
            text = "\n".join(lines).encode("utf-8", "replace")
            (folder / f"seed-{number}-{place}").write_bytes(bytes([64 + place]) + text)


def write_dictionary(path: Path) -> None:
    """The texts that lines are known by, in the form that libFuzzer reads."""
    texts = {line.text for grammar in GRAMMARS for line in grammar.lines} | {*TEXTS, *_TOKENS}
    texts |= {prefix.wrap("") for prefix in PREFIXES}
    entries = ("".join(f"\\x{byte:02x}" for byte in text.encode()) for text in sorted(texts))
    path.write_text("".join(f'"{entry}"\n' for entry in entries))


def main() -> None:
    """Fuzz until an option of libFuzzer ends it, or something does not hold."""
    folders = [Path(argument) for argument in sys.argv[1:] if not argument.startswith("-")]
    for folder in folders[:1]:
        folder.mkdir(parents=True, exist_ok=True)
        write_seeds(folder)
    with tempfile.NamedTemporaryFile(suffix=".dict") as dictionary:
        write_dictionary(Path(dictionary.name))
        atheris.Setup([*sys.argv, f"-dict={dictionary.name}"], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
