"""SVG elements as text, with everything escaped that comes from a log."""

import unicodedata
from html import escape

from glowplug.profiling.wording import clean

_NARROW = 0.58  # of the font size: the mean advance of a Latin letter in the sans-serif fonts that are common
_ELLIPSIS = "…"


def element(name: str, content: str = "", **attributes: str | float | None) -> str:
    """An element. `content` is markup; attribute values are escaped, and an attribute that is None is left out.

    A trailing underscore of an attribute's name falls off (`class_`), the others become hyphens.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{written}>{content}</{name}>" if content else f"<{name}{written}/>"


def text(content: str, x: float, y: float, style: str = "gp-text", anchor: str | None = None) -> str:
    """A line of text whose baseline begins (or, with `anchor`, ends) at a point."""
    return element("text", markup(content), x=x, y=y, class_=style, text_anchor=anchor)


def title(content: str) -> str:
    """A tooltip; its lines stay lines."""
    return element("title", "\n".join(markup(line) for line in content.splitlines()))


def markup(content: str) -> str:
    """Any text as markup."""
    return escape(clean(content))


def width(content: str, size: float) -> float:
    """About how wide the text is, in pixels, at a font size in pixels."""
    return size * sum(1.0 if unicodedata.east_asian_width(c) in "WF" else _NARROW for c in content)


def shortened(content: str, size: float, room: float) -> str:
    """The text, cut off with an ellipsis if it is wider than `room` pixels."""
    if width(content, size) <= room:
        return content
    content = content[: int(room / (size * _NARROW)) + 1]
    while content and width(content + _ELLIPSIS, size) > room:
        content = content[:-1]
    return content.rstrip() + _ELLIPSIS


def _value(value: str | float | None) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, int | float) else markup(str(value))
