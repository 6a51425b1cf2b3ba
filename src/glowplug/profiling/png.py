"""A drawing as PNG, made from its SVG."""

_ZOOM = 2.0  # sharp on screens with two pixels a point and in print
_EMPTY = '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20">{}</svg>'


class PngError(Exception):
    """No PNG can be made here; the text says what to install."""


def png(svg: str) -> bytes:
    """The drawing as PNG.

    Raises:
        PngError: the library for it is not installed, the machine has no font, or the drawing is too large.
    """
    try:
        from resvg_py import svg_to_bytes
    except ImportError:
        raise PngError("PNG needs the package resvg-py; install glowplug[report], or write an .svg file") from None
    # Without a font the library leaves out all text without a word.
    if svg_to_bytes(_EMPTY.format('<text y="15">0</text>')) == svg_to_bytes(_EMPTY.format("")):
        raise PngError(
            "PNG needs a font, and none is installed; install one such as fonts-dejavu, or write an .svg file"
        )
    try:
        return svg_to_bytes(svg, background="#ffffff", zoom=_ZOOM)
    except ValueError as error:
        raise PngError(f"the drawing does not become a PNG ({error}); write an .svg file") from error
