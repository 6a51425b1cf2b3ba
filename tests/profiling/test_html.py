"""The page, read as markup and shown by a real browser."""

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from glowplug.coldstart.values import LogReport
from glowplug.profiling.html import html
from glowplug.profiling.profile import Profile
from tests.gateway.browser import PROGRAM, browsing
from tests.profiling import samples

PAGE = html([Profile(samples.report(samples.FAILED, samples.VLLM), (samples.ADVICE,))])
in_a_browser = pytest.mark.skipif(PROGRAM is None, reason="chromium is not installed")


class Elements(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(re.sub(r"<(script|style)>.*?</\1>", "", page, flags=re.DOTALL))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_needs_nothing_from_elsewhere():
    for tag, attributes in Elements(PAGE).found:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base")
        assert not {"src", "href", "srcset", "action", "style", "onclick"} & set(attributes), (tag, attributes)
    assert "url(" not in PAGE.replace("url(#gp-hatch", "") and "@import" not in PAGE


def test_its_policy_forbids_fetching_and_allows_its_own_scripts_and_styles_only():
    policy = next(a["content"] for tag, a in Elements(PAGE).found if a.get("http-equiv") == "content-security-policy")
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for tag in ("script", "style"):
        for inline in re.findall(rf"<{tag}>(.*?)</{tag}>", PAGE, re.DOTALL):
            digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in policy


def test_it_holds_everything_that_is_known():
    text = Elements(PAGE).text
    for part in (
        "vllm V1 0.25.1 Qwen/Qwen3-14B", "ready after 184.20 s", "torch.compile57.62 s31.3 %", "other initialisation",
        "torch_compile (draft model)", "4 ranks: 5.02 s to 5.41 s, rank 0 5.10 s", "lines 44-58",
        "[worker.py:76] Available KV cache: 21.4 GiB", "it computed: 7.10 s of CPU time, read 41.0 MB",
        "compile_kernel (triton/compiler.py:288)", "compile_cache_hit", "torch_compile_reported", "VLLM_CACHE_ROOT",
        "saves about 49.0 s", "The log has stamps of whole seconds.", "org/broken · failed after 38.00 s",
    ):  # fmt: skip
        assert part in text, part


def test_rows_of_the_table_and_the_drawing_belong_together():
    found = Elements(PAGE).found
    rows = [attributes["data-span"] for tag, attributes in found if tag == "tr" and "data-span" in attributes]
    drawn = [attributes["data-span"] for tag, attributes in found if attributes.get("class") == "gp-row"]
    assert rows == drawn and len(rows) == len(list(samples.VLLM.walk()))


def test_texts_from_logs_stay_texts():
    page = html([Profile(LogReport(samples.MARKUP, "vllm", (samples.ODD,), (samples.MARKUP,)))])
    assert "<script>alert" not in page
    assert "script" not in {tag for tag, _ in Elements(page).found}
    page.encode()  # no lone surrogates


def test_parts_that_would_be_empty_are_left_out():
    text = Elements(html([Profile(samples.report(samples.NOTHING))])).text
    for heading in ("Where the time went", "Waterfall", "Phases", "Unexplained", "Conditions", "Notes", "Other starts"):
        assert heading not in text


def test_a_log_without_a_start_says_so():
    text = Elements(html([Profile(LogReport("empty.log", "unknown", ()))])).text
    assert "empty.log" in text and "No start of an engine is in it." in text


@in_a_browser
@pytest.mark.slow
async def test_a_browser_shows_it_zooms_into_it_and_fetches_nothing(tmp_path: Path):
    file = tmp_path / "report.html"
    file.write_text(PAGE)
    async with browsing(tmp_path / "profile") as page:
        await page.open(file.as_uri())
        shown = await page.run(
            """
            const before = document.querySelector('[data-span="0-12"] .gp-bar').getBoundingClientRect();
            const table = document.querySelector('tr[data-span="0-12"]');
            table.dispatchEvent(new MouseEvent("mouseover", {bubbles: true}));
            const lit = document.querySelectorAll(".gp-hover").length;
            const svg = document.querySelector("svg.gp-waterfall");
            const at = (type, x) => svg.dispatchEvent(new PointerEvent(type, {
              clientX: x, clientY: before.top, pointerId: 1, bubbles: true}));
            svg.setPointerCapture = () => {};
            at("pointerdown", before.left - 10); at("pointermove", before.right); at("pointerup", before.right + 10);
            const after = document.querySelector('[data-span="0-12"] .gp-bar').getBoundingClientRect();
            const hidden = document.querySelector('[data-span="0-0"] .gp-bar').style.display;
            const ticks = [...svg.querySelectorAll(".gp-ticks text")].filter(t => /^1\\d\\d s$/.test(t.textContent));
            svg.dispatchEvent(new MouseEvent("dblclick"));
            const back = document.querySelector('[data-span="0-12"] .gp-bar').getBoundingClientRect();
            return {
              lit, hidden, ticks: ticks.length, grown: after.width / before.width, back: back.width / before.width,
              fetched: performance.getEntriesByType("resource").length,
              styled: getComputedStyle(svg.querySelector(".gp-load")).fill,
              pageStyled: getComputedStyle(document.querySelector("td.number")).textAlign,
            };
            """
        )
    assert (shown["lit"], shown["hidden"], shown["fetched"]) == (2, "none", 0)
    assert shown["ticks"] > 2
    assert shown["grown"] > 4
    assert shown["back"] == pytest.approx(1.0, abs=0.01)
    assert (shown["styled"], shown["pageStyled"]) == ("rgb(47, 111, 222)", "right")


@in_a_browser
@pytest.mark.slow
async def test_scripts_in_texts_from_logs_do_not_run_in_a_browser(tmp_path: Path):
    nasty = "</title></svg><img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"
    start = replace(samples.ODD, model=nasty, reason=nasty)
    file = tmp_path / "report.html"
    file.write_text(html([Profile(LogReport(nasty, "vllm", (start,), (nasty,)))]))
    async with browsing(tmp_path / "profile") as page:
        await page.open(file.as_uri())
        found = await page.run("return [document.title, document.images.length, document.scripts.length]")
    assert found[0].endswith(nasty)
    assert found[1:] == [0, 1]  # the page's own script
