"""Lines of huggingface_hub, with which most engines download their weights."""

from glowplug.coldstart.grammar import Level, Line

DOWNLOAD = (
    Line(
        # Nothing was downloaded while the clock of the bar stands at zero: the files are in the cache.
        text="Fetching ",
        pattern=r"Fetching \d+ files: .{0,200}\| \d+/\d+ \[(?P<clock>(?!00:00)[\d:]+)<",
        phase="weights_download",
        level=Level.NONE,
        bar=True,
        weight=0,
    ),
)
