"""What a program writes for a terminal and not for a reader: colours, titles, markers."""

import re

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[\]_P^X][^\x07\x1b]*(?:\x07|\x1b\\)?")


def without_control(text: str) -> str:
    """The text without control sequences (ECMA-48: CSI, and OSC, APC, DCS, PM and SOS strings)."""
    return _CONTROL.sub("", text) if "\x1b" in text else text
