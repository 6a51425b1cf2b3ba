"""What a single YAML value means: the core schema of YAML 1.2, and `${NAME}` filled in from the environment.

PyYAML reads values by YAML 1.1, in which `no` is false, `12:30` is 750 and `1e-5` is text. Engine flags are full of
such values, so the rules of YAML 1.2 (chapter 10.3.2 of its specification) are used, which hold no such surprises.
"""

import re
from collections.abc import Mapping

_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_INT_DIGITS = 19  # of the largest 64-bit integer; nothing in the file is meant to be larger

_REFERENCE = re.compile(r"\$\$\{|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\})?")


class ScalarError(ValueError):
    """A value cannot be read. The text is one sentence with the remedy."""


def read_plain(text: str) -> bool | int | float | str | None:
    """The value of an unquoted scalar.

    Raises:
        ScalarError: it is an integer of more than 64 bits.
    """
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        number = int(text, {"0o": 8, "0x": 16}.get(text[:2], 10)) if len(text) <= _INT_DIGITS + 1 else 2**63
        if not -(2**63) <= number < 2**63:
            raise ScalarError("this number is too large; if it is meant as text, put it in quotes")
        return number
    if _FLOAT.fullmatch(text):
        return float(text.replace(".", "") if text[-1] in "fFnN" else text)
    return text


def fill_in(text: str, environment: Mapping[str, str]) -> str:
    """`text` with `${NAME}` and `${NAME:-default}` replaced; `$${` stands for a literal `${`.

    As in a shell, the default is taken if the variable is unset or empty. What is filled in is not searched again.

    Raises:
        ScalarError: a variable without a default is unset, or a reference is malformed.
    """

    def value(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        name, default = match["name"], match["default"]
        if name is None:
            raise ScalarError("write ${NAME} or ${NAME:-default}, or $${ where ${ itself is meant")
        found = environment.get(name)
        if default is not None:
            return found or default
        if found is None:
            raise ScalarError(f"the environment variable {name} is not set; set it or write ${{{name}:-default}}")
        return found

    return _REFERENCE.sub(value, text)


def require_usable(text: str) -> None:
    """Refuse what can be no argument, path or JSON later on.

    Raises:
        ScalarError: `text` holds NUL or half of a surrogate pair.
    """
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ScalarError("this holds NUL or half of a surrogate pair, which no program can take; remove it")
