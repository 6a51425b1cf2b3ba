"""Lines of LMCache, which write themselves between those of the engine it serves."""

from glowplug.coldstart.grammar import Line

LMCACHE = (
    Line(text="Creating LMCacheEngine with config", pattern=r"(?P<lmcache>LMCache)", weight=0),
    Line(text="LMCache initialized for role", pattern=r"role (?P<lmcache_role>\S+)", weight=0),
    Line(text="Registering kv caches", pattern=r"(?P<lmcache>Registering)", weight=0),
)
