"""The colours of phases, for light and for dark backgrounds, and the style sheet of all drawings."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Family:
    """Phases of one kind, drawn in one colour."""

    key: str
    title: str
    light: str
    dark: str
    phases: frozenset[str]


FAMILIES = (
    Family("load", "weights", "#2f6fde", "#6ea1ff", frozenset({"weights_download", "weights_load", "model_load"})),
    Family("compile", "compilation", "#dd7a12", "#f5a14d", frozenset({"dynamo", "inductor", "torch_compile"})),
    Family("capture", "graph capture", "#8a4fd0", "#b98aef", frozenset({"graph_capture"})),
    Family(
        "warm", "profiling and warm-up", "#3f9b46", "#6fcf78",
        frozenset({"profile_kv", "kernel_warmup", "warmup", "first_token", "canary"}),
    ),
    Family(
        "restore", "restore", "#12958a", "#45c4b8",
        frozenset({"restore_read", "restore_pages", "cuda_restore", "thaw", "wake"}),
    ),
    Family("gap", "unexplained", "#c2453d", "#f0817a", frozenset({"gap"})),
)  # fmt: skip
OTHER = Family("other", "initialisation", "#6f7b88", "#9aa5b1", frozenset())
"""The family of every phase that is in none of the others."""

_FAMILY_OF = {phase: family for family in FAMILIES for phase in family.phases}


def family_of(phase: str) -> Family:
    """The family that a phase is drawn with."""
    return _FAMILY_OF.get(phase, OTHER)


def _fills(dark: bool) -> str:
    rules: list[str] = []
    for family in (*FAMILIES, OTHER):
        colour = family.dark if dark else family.light
        if family.key == "gap":  # hatched: its bars are filled with a pattern of stripes
            rules.append(f".gp-gap{{stroke:{colour}}}.gp-stripe{{fill:{colour}}}")
        else:
            rules.append(f".gp-{family.key}{{fill:{colour};stroke:{colour}}}")
    return "".join(rules)


# No custom properties (`var(--x)`): the library that makes the PNG does not know them. It skips the media query, so a
# PNG is always light.
STYLE = (
    ".gp-bg{fill:#fff;stroke:none}.gp-text{fill:#1d2530;font:12px system-ui,sans-serif}"
    ".gp-faint{fill:#5b6673;font:11px system-ui,sans-serif}.gp-caption{font-size:13px;font-weight:600}"
    ".gp-grid{stroke:#d9dee4;stroke-width:1}.gp-end{stroke:#1d2530;stroke-width:1.5}.gp-failed{stroke:#c2453d}"
    ".gp-length{paint-order:stroke;stroke:#fff;stroke-width:3}.gp-bar{stroke-width:1}.gp-around{fill-opacity:.28;stroke-opacity:.7}"
    ".gp-unplaced{fill-opacity:.35;stroke-dasharray:3 2}" + _fills(dark=False) + "@media (prefers-color-scheme:dark){"
    ".gp-bg{fill:#14181d}.gp-text{fill:#e6eaef}.gp-faint{fill:#9aa5b1}.gp-grid{stroke:#333c46}.gp-end{stroke:#e6eaef}"
    ".gp-failed{stroke:#f0817a}.gp-length{stroke:#14181d}" + _fills(dark=True) + "}"
)
"""Works in browsers and in the library that makes the PNG."""
