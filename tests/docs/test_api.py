"""docs/api.md names every route, metric, header, event and error code that there is, and none that there is not."""

import ast
import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.routing import Route

import glowplug.gateway
from glowplug.gateway.admin import Admin
from glowplug.gateway.errors import _REJECTIONS
from glowplug.gateway.health import health_routes
from glowplug.gateway.metrics import Metrics
from tests.docs.examples import DOCS
from tests.gateway.fleet import Fleet

PAGE = (DOCS / "api.md").read_text()
GATEWAY = Path(glowplug.gateway.__file__).parent


def section(title: str) -> str:
    """The text below a heading, up to the next heading of the same or a higher level."""
    level, text = re.search(rf"^(#+) {title}\n(.*)", PAGE, re.DOTALL | re.MULTILINE).groups()
    return re.split(rf"^#{{1,{len(level)}}} ", text, maxsplit=1, flags=re.MULTILINE)[0]


def first_cells(text: str) -> list[str]:
    """What stands in backquotes in the first column of the tables."""
    return [word for row in re.findall(r"^\| (.*?) \|", text, re.MULTILINE) for word in re.findall(r"`([^`]+)`", row)]


def calls_of(name: str) -> Iterator[ast.Call]:
    for file in GATEWAY.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
                yield node


def written(route: Route) -> set[str]:
    """A route as the page writes it."""
    path = re.sub(r"\{(\w+):path\}", r"{\1}", route.path)
    return {f"{method} {path}" for method in route.methods or () if method != "HEAD"}


@pytest.fixture
async def fleet() -> Fleet:
    return Fleet()


async def test_every_admin_route_is_in_the_page_and_no_other(fleet):
    routes = set().union(*(written(route) for route in Admin(fleet, asyncio.Event()).routes()))
    assert set(first_cells(section("Admin API").partition("### Events")[0])) == routes


async def test_every_probe_is_in_the_page_and_no_other(fleet):
    assert set(first_cells(section("Probes"))) == set().union(*map(written, health_routes(fleet)))


async def test_every_metric_with_its_labels_is_in_the_page_and_no_other(fleet):
    metrics = Metrics(fleet)
    families = list(text_string_to_metric_families(metrics.exposition().decode()))
    named = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in families
        if family.name.startswith("glowplug_") and not family.name.endswith("_created")
    }
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", section("Metrics"), re.MULTILINE)
    assert {name for name, _ in rows} == named
    for name, labels in rows:
        collector = metrics._registry._names_to_collectors[name]
        family = next(f for f in collector.describe() if f.name == name.removesuffix("_total"))
        real = getattr(collector, "_labelnames", None) or getattr(family, "_labelnames", ())
        assert re.findall(r"`(\w+)`", labels) == list(real), name


def test_every_error_code_with_its_status_is_in_the_page_and_no_other():
    raised = {(status, code) for status, code in _REJECTIONS.values()}
    for call in calls_of("ApiError"):
        status, code = call.args[:2]
        if isinstance(code, ast.Constant):
            # Starlette's own errors other than 405 are all 404: there is no such path.
            raised.add((status.value if isinstance(status, ast.Constant) else 404, code.value))
    rows = re.findall(r"^\| (\d{3}) \| (.*?) \|", section("Errors"), re.MULTILINE)
    assert {(int(status), code) for status, codes in rows for code in re.findall(r"`(\w+)`", codes)} == raised


def test_every_header_of_ours_is_in_the_page_and_no_other():
    literals = [
        node.value
        for file in GATEWAY.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, bytes)
    ]
    used = {value.decode() for value in literals if re.fullmatch(rb"x-glowplug-[a-z-]+[a-z]", value)}
    assert set(re.findall(r"x-glowplug-[a-z-]+", PAGE)) == used


def test_every_event_is_in_the_page_and_no_other():
    source = (GATEWAY.parent / "cluster" / "local.py").read_text()
    sent = set(re.findall(r"_broadcast\.send\(\s*\"(\w+)\"", source))
    assert set(re.findall(r"^\| `(\w+)` \|", section("Events"), re.MULTILINE)) == sent
