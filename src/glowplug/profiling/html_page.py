"""The frame of a report page: one HTML file that needs nothing else and may fetch nothing."""

import base64
import hashlib
from collections.abc import Iterable
from importlib import resources

from glowplug import __version__
from glowplug.profiling.palette import STYLE
from glowplug.profiling.svg import markup


def page(title: str, articles: Iterable[str]) -> str:
    """The whole page. `title` is any text, `articles` are markup.

    Its content security policy forbids every fetch, and every script and style but its own.
    """
    style, script = _resource("page.css"), _resource("page.js")
    policy = (
        f"default-src 'none'; style-src {_hash(style)} {_hash(STYLE)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    content = "\n".join(f"<article>\n{article}\n</article>" for article in articles)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="content-security-policy" content="{policy}">
<meta name="viewport" content="width=device-width">
<meta name="generator" content="Glowplug {markup(__version__)}">
<title>{markup(title)}</title>
<style>{style}</style>
</head>
<body>
{content}
<footer>Made by Glowplug {markup(__version__)}.</footer>
<script>{script}</script>
</body>
</html>
"""


def _resource(name: str) -> str:
    return resources.files("glowplug.profiling").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
