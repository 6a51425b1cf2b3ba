"""The report of a run as one self-contained page."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from glowplug.coldstart.values import ColdStart, Span, from_json
from glowplug.profiling.bench.paths import known_paths, parse_path
from glowplug.profiling.bench.plots import Strip, strip_plot
from glowplug.profiling.bench.repeat import METRICS, Metric, Repeat
from glowplug.profiling.bench.statistics import LEVEL, OUTLIER_MINIMUM, OUTLIER_SCORE, RESAMPLES
from glowplug.profiling.bench.summary import Ratio, Results, ScenarioResult
from glowplug.profiling.bench.table import faster, interval_text, notes, number
from glowplug.profiling.bench.tier_table import TierRow, tier_table
from glowplug.profiling.html_blocks import facts, paragraphs, section, table, waterfall_block
from glowplug.profiling.html_page import page
from glowplug.profiling.svg import markup

_NOTHING = "–"
_QUIET: Mapping[str, Any] = {"trouble": None}
_SHOWN_METRIC: Mapping[str, str] = {
    "cold_start": "From the request that found no running replica to its first token",
    "ttft": "Time to first token of the next request, when the replica runs",
    "tokens_per_second": "Tokens per second while decoding, after the first token",
}
_SETTINGS: Mapping[str, str] = {
    "governor": "CPU frequency governor",
    "transparent_huge_pages": "transparent huge pages",
    "swap": "swap",
    "bytecode": "Python bytecode",
}
_SOFTWARE: Mapping[str, str] = {"glowplug": "Glowplug", "python": "Python", "implementation": "Python implementation"}


def report(results: Results) -> str:
    """The whole page."""
    models = ", ".join(results.models)
    return page(f"Cold starts: {models}", ["\n".join(part for part in _article(results) if part)])


def _article(results: Results) -> Iterator[str]:
    engines = list(dict.fromkeys(scenario.engine for scenario in results.scenarios))
    yield f"<h1>Cold starts of {markup(' · '.join(engines))}</h1>"
    yield f'<p class="dim">{markup(_subtitle(results))}</p>'
    yield section("The engines side by side", _scrolled(_overview(results)))
    yield section("What has to be known", paragraphs(notes(results)))
    for metric in METRICS:
        yield section(_SHOWN_METRIC[metric.name], _scrolled(_strips(results, metric)))
    yield section("Every start path in numbers", _scrolled(_scenarios(results)))
    yield section("What each tier is worth", _scrolled(_tiers(tier_table(results))))
    yield section("Where the time goes", _waterfalls(results))
    yield section("Conditions", facts(_conditions(results)))
    yield section("Method", paragraphs(_method(results)))
    yield section("Every repeat, in the order in which they ran", _scrolled(_repeats(results)))


def _subtitle(results: Results) -> str:
    repeats = [repeat for scenario in results.scenarios for repeat in scenario.repeats]
    began = sorted(repeat.began for repeat in repeats)
    when = f"{began[0][:16].replace('T', ' ')} to {began[-1][:16].replace('T', ' ')} UTC" if began else "not begun"
    machine = results.about["machine"]
    return (
        f"{len(repeats)} repeats of {len(results.scenarios)} start paths · {when} · {machine['host']}, "
        f"{machine['cores']} cores of {machine['cpu']}, {machine['memory_gib']} GiB"
    )


def to_first_token(repeat: Repeat) -> ColdStart:
    """The cold start of a repeat up to what its client waited for: the first token, which the server's record of the
    wake does not hold any more. Raises ValueError if it has no record."""
    start, first = from_json(repeat.cold_start or {}), repeat.first
    if first is None or first.waited is None or start.total is None:
        return start
    token = Span("first_token", first.ttft - first.waited, first.waited, first.ttft)
    return replace(start, total=first.ttft, spans=(*start.spans, token))


def _overview(results: Results) -> str:
    """One row for each model: what a client gets from each path, and from the engine once it runs."""
    order = list(known_paths())
    paths = list(dict.fromkeys(scenario.path for scenario in results.scenarios))
    paths.sort(key=lambda path: (order.index(parse_path(path).family), path))
    rows: list[Sequence[str]] = []
    for model in results.models:
        own = {scenario.path: scenario for scenario in results.scenarios if scenario.model == model}
        failed = sum(len(scenario.failures) for scenario in own.values())
        odd = sum(len(scenario.metrics["cold_start"].outliers) for scenario in own.values() if scenario.metrics)
        rows.append(
            (
                model,
                _engine(list(own.values())),
                *(_cell(own[path], "cold_start") if path in own else _NOTHING for path in paths),
                _pooled(list(own.values()), "ttft"),
                _pooled(list(own.values()), "tokens_per_second"),
                _memory(list(own.values())),
                str(failed or _NOTHING),
                str(odd or _NOTHING),
            )
        )
    heading = ("Model", "Engine", *(f"From {path}" for path in paths), "TTFT", "Tokens/s", "RAM", "Failed", "Outliers")
    return table(heading, rows, range(2, len(heading)))


def _scenarios(results: Results) -> str:
    heading = (
        "Start path", "n", "Median", "95 % interval", "p10 to p90", "Range", "Of the coldest", "Times as fast",
        "Failed", "Outliers",
    )  # fmt: skip
    rows: list[Sequence[str]] = []
    for scenario in results.scenarios:
        start = scenario.metrics.get("cold_start")
        failed = str(len(scenario.failures) or _NOTHING)
        if start is None:
            rows.append((scenario.name, "0", *[_NOTHING] * 6, failed, _NOTHING))
            continue
        rows.append(
            (
                scenario.name,
                str(start.n),
                number(start.median, "s"),
                interval_text(start.interval, "s") or _NOTHING,
                f"{number(start.p10, 's')} to {number(start.p90, 's')}",
                f"{number(start.least, 's')} to {number(start.greatest, 's')}",
                _ratio(scenario.speed_up),
                faster(scenario.speed_up),
                failed,
                str(len(start.outliers) or _NOTHING),
            )
        )
    return table(heading, rows, range(1, len(heading)))


def _tiers(rows: Sequence[TierRow]) -> str:
    heading = ("Model", "Tier", "Mechanism", "Best", "After idle", "Depends on traffic", "Captures warm-up")
    cells = [
        (
            row.model if number == 0 or rows[number - 1].model != row.model else "",
            row.tier.value,
            row.mechanism,
            _NOTHING if row.best is None else _seconds(row.best),
            row.idle_note if row.after_idle is None else f"{_seconds(row.after_idle)} ({row.idle_note})",
            row.traffic,
            row.warm,
        )
        for number, row in enumerate(rows)
    ]
    return table(heading, cells, (3,))


def _strips(results: Results, metric: Metric) -> str:
    strips = [
        Strip(scenario.name, scenario.metrics[metric.name])
        for scenario in results.scenarios
        if metric.name in scenario.metrics
    ]
    return strip_plot(strips, metric.unit, _SHOWN_METRIC[metric.name])


def _waterfalls(results: Results) -> str:
    """For each model the typical repeat of every path, under each other on one time axis."""
    parts: list[str] = []
    for model in results.models:
        shown = [scenario for scenario in results.scenarios if scenario.model == model and scenario.typical]
        starts = [to_first_token(scenario.typical) for scenario in shown if scenario.typical is not None]
        captions = [f"{scenario.name}: {_cell(scenario, 'cold_start')} to the first token" for scenario in shown]
        if starts:
            parts.append(f"<h3>{markup(model)}</h3>\n{waterfall_block(starts, captions)}")
    return "\n".join(parts)


def _conditions(results: Results) -> Mapping[str, Any]:
    machine = results.about["machine"]
    gpus = ", ".join(f"{gpu['name']} ({gpu['memory']}, driver {gpu['driver']})" for gpu in machine["gpus"])
    versions = {
        f"version of {scenario.engine}": ", ".join(scenario.versions)
        for scenario in results.scenarios
        if scenario.versions
    }
    return {
        "host": machine["host"],
        "CPU": f"{machine['cpu']}, {machine['cores']} cores ({' '.join(machine['flags'])})",
        "memory": f"{machine['memory_gib']} GiB",
        "GPU": gpus or "none",
        "kernel": machine["kernel"],
        **{_SOFTWARE[key]: value for key, value in results.about["software"].items()},
        **versions,
        **{_SETTINGS[key]: _NOTHING if value is None else value for key, value in results.about["settings"].items()},
    }


def _method(results: Results) -> Iterator[str]:
    yield (
        "Each repeat started a glowplug serve of its own, with the caches and the page cache as the start path wants "
        "them, asked it through its gateway and ended it. Repeats ran one at a time, in rounds of all scenarios; the "
        f"order in each round was random (seed {results.about['seed']}) and is shown below."
    )
    yield (
        f"Intervals are bootstrap percentile intervals of the median, or of a ratio of medians: {RESAMPLES} resamples, "
        f"nominal coverage {LEVEL:.0%}, seed {results.about['seed']}. p10 and p90 are interpolated between repeats."
    )
    yield (
        f"A repeat is marked as an outlier if its modified z-score, 0.6745 · |x - median| / MAD, is above "
        f"{OUTLIER_SCORE}, provided there are {OUTLIER_MINIMUM} or more. Outliers count in all numbers."
    )
    if results.fills:
        fills = ", ".join(f"{repeat.scenario.rpartition('/')[0]} {repeat.took:.0f} s" for repeat in results.fills)
        yield f"Before the first repeat that needs filled caches, a start that counts nowhere filled them: {fills}."
    requests = list(dict.fromkeys(_request(scenario.definition) for scenario in results.scenarios))
    yield f"Each request asked for {' or '.join(requests)}; no two prompts of a repeat begin alike."


def _repeats(results: Results) -> str:
    repeats = sorted(
        (repeat for scenario in results.scenarios for repeat in scenario.repeats), key=lambda repeat: repeat.id
    )
    odd = {repeat.id for scenario in results.scenarios for repeat in scenario.odd}
    rows = [
        (
            repeat.id.partition("-")[0],
            f"{repeat.round}.{repeat.position}",
            repeat.scenario,
            _value(repeat.value("cold_start"), "s"),
            _value(repeat.value("ttft"), "s"),
            _value(repeat.value("tokens_per_second"), "tokens/s"),
            f"{repeat.conditions['load'][0]:.2f}" if "load" in repeat.conditions else _NOTHING,
            _cached(repeat.conditions.get("weights_cached")),
            _cached(repeat.conditions.get("image_cached")),
            "; ".join(_remarks(repeat, odd)),
        )
        for repeat in repeats
    ]
    heading = (
        "No", "Round", "Start path", "Cold start", "TTFT", "Tokens/s", "Load before", "Weights in page cache",
        "Snapshot in page cache", "Remarks",
    )  # fmt: skip
    return table(heading, rows, (3, 4, 5, 6, 7, 8))


def _remarks(repeat: Repeat, odd: Collection[str]) -> Iterator[str]:
    if repeat.failure is not None:
        yield repeat.failure
    if repeat.id in odd:
        yield "outlier"
    if trouble := repeat.conditions.get("settled", _QUIET)["trouble"]:
        yield trouble


def _engine(scenarios: Sequence[ScenarioResult]) -> str:
    versions = dict.fromkeys(version for scenario in scenarios for version in scenario.versions)
    return " ".join([scenarios[0].engine, *versions])


def _cell(scenario: ScenarioResult, metric: str) -> str:
    summary = scenario.metrics.get(metric)
    return _NOTHING if summary is None else _value(summary.median, _unit(metric))


def _pooled(scenarios: Sequence[ScenarioResult], metric: str) -> str:
    """The range of the medians over the paths: to a running engine it should not matter where it came from."""
    found = [scenario.metrics[metric].median for scenario in scenarios if metric in scenario.metrics]
    if not found:
        return _NOTHING
    low, high = (_value(value, _unit(metric)) for value in (min(found), max(found)))
    return low if low == high else f"{low} to {high}"


def _memory(scenarios: Sequence[ScenarioResult]) -> str:
    found = [scenario.memory for scenario in scenarios if scenario.memory is not None]
    return f"{max(found) / 1024**2:.0f} MiB" if found else _NOTHING


def _ratio(ratio: Ratio | None) -> str:
    if ratio is None:
        return _NOTHING
    between = f" ({ratio.interval.low:.3g} to {ratio.interval.high:.3g})" if ratio.interval else ""
    return f"{ratio.value:.3g} × {ratio.base}{between}"


def _request(definition: Mapping[str, Any]) -> str:
    request = definition["request"]
    return f"{request['tokens']} tokens of /v1/{'chat/' if request['api'] == 'chat' else ''}completions"


def _unit(metric: str) -> str:
    return next(known.unit for known in METRICS if known.name == metric)


def _value(value: float | None, unit: str) -> str:
    return _NOTHING if value is None else number(value, unit)


def _seconds(value: float) -> str:
    return number(value, "s")


def _cached(share: float | None) -> str:
    return _NOTHING if share is None else f"{share:.0%}"


def _scrolled(content: str) -> str:
    """Content that may be wider than a narrow screen."""
    return f'<div class="scroll">{content}</div>' if content else ""
