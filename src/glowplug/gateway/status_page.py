"""The plain page at `/`: every model with its tier, queue and last wake. The page keeps itself up to date."""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from glowplug import __version__
from glowplug.cluster.base import Cluster, ModelView

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid #8884; vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
small { opacity: .75; }
"""

# The table is rendered by the server and replaced as a whole, so names are escaped in one place only.
_SCRIPT = """
const refresh = async () => {
  const page = new DOMParser().parseFromString(await (await fetch("/")).text(), "text/html");
  document.querySelector("tbody").replaceWith(page.querySelector("tbody"));
};
const events = new EventSource("/glowplug/v1/events");
for (const type of ["tier", "wake"]) events.addEventListener(type, refresh);
setInterval(refresh, 5000);
"""


def _source_hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


_HEADERS = {
    "content-security-policy": (
        f"default-src 'none'; connect-src 'self'; script-src {_source_hash(_SCRIPT)}; "
        f"style-src {_source_hash(_STYLE)}; frame-ancestors 'none'; base-uri 'none'"
    ),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
}


def status_route(cluster: Cluster) -> Route:
    """The page's route."""

    async def page(request: Request) -> Response:
        return HTMLResponse(render(cluster.models()), headers=_HEADERS)

    return Route("/", page)


def render(models: Iterable[ModelView]) -> str:
    """The whole page."""
    rows = "\n".join(_row(model) for model in models)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Glowplug</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>Glowplug</h1>
<table>
<thead><tr><th>Model</th><th>Tier</th><th>Replicas</th><th class="number">Queued</th>
<th class="number">In flight</th><th>Last wake</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
<p><small>Glowplug {escape(__version__)}. OpenAI clients use /v1 here; the admin API is at
<a href="/glowplug/v1/models">/glowplug/v1</a>, its description at
<a href="/glowplug/v1/openapi.json">openapi.json</a>, metrics at <a href="/metrics">/metrics</a>.</small></p>
<script>{_SCRIPT}</script>
</body>
</html>
"""


def _row(model: ModelView) -> str:
    states = ", ".join(escape(replica.state) for replica in model.replicas) or "none"
    notes = "".join(f"<br><small>{escape(tier)}: {escape(reason)}</small>" for tier, reason in model.quarantine.items())
    return (
        f"<tr><td>{escape(model.name)}<br><small>{escape(model.engine)}</small></td>"
        f"<td>{escape(model.tier.value)}{notes}</td><td>{states}</td>"
        f'<td class="number">{model.queued}</td><td class="number">{model.in_flight}</td>'
        f"<td>{_last_wake(model.last_wake)}</td></tr>"
    )


def _last_wake(wake: Mapping[str, Any] | None) -> str:
    if wake is None:
        return "never"
    return "<br>".join(f"{escape(str(name))}: {escape(str(value))}" for name, value in wake.items())
