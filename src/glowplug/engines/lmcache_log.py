"""Lines of LMCache, which write themselves between those of the engine it serves.

`[2025-12-01 10:00:00,123] LMCache INFO: message (file.py:12:logger)`
"""

from glowplug.coldstart.grammar import Level, Line


def _config(name: str) -> Line:
    return Line(
        text="Creating LMCacheEngine with config",
        pattern=rf"\b{name}'?[=:] ?(?!None\b)'?(?P<lmcache_{name}>[^,'(){{}}]+)",
        weight=0,
    )


LMCACHE = (
    Line(text="LMCACHE_CONFIG_FILE", pattern=r"LMCACHE_CONFIG_FILE: (?P<lmcache_config_file>\S+)", weight=0),
    Line(text="Loading LMCache config file", pattern=r"config file (?P<lmcache_config_file>\S+)", weight=0),
    Line(text="Creating LMCacheEngine with config", pattern=r"(?P<lmcache>LMCache)", weight=0),
    *(_config(name) for name in ("chunk_size", "local_cpu", "max_local_cpu_size", "local_disk", "remote_url")),
    Line(text="LMCache initialized for role", pattern=r"role (?P<lmcache_role>\S+)", weight=0),
    Line(text="Registering kv caches", pattern=r"(?P<lmcache>Registering)", weight=0),
    Line(text="No supported ", pattern=r"(?P<lmcache_failure>No supported \w+ connector found)", weight=0),
    Line(
        text="LMCache hit tokens",
        pattern=r"LMCache hit tokens: (?P<lmcache_first_hit_tokens>\d+)",
        level=Level.NONE,
        weight=0,
    ),
)
