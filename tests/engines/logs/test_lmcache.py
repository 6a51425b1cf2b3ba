"""LMCache's lines beside those of the engine that it serves."""

from tests.engines.logs.reading import lines_of, read

LINES = """\
[2026-11-20 10:00:05,123] LMCache INFO: Loading LMCache config file /etc/lmcache.yaml (utils.py:30:lmcache.utils)
[2026-11-20 10:00:05,200] LMCache INFO: Creating LMCacheEngine with config: LMCacheEngineConfig(chunk_size=256, \
local_cpu=True, max_local_cpu_size=5.0, local_disk=None, remote_url='lm://cache:65432') (engine.py:90:lmcache.engine)
[2026-11-20 10:00:05,300] LMCache INFO: LMCache initialized for role KVConnectorRole.WORKER (adapter.py:9:lmcache)
[2026-11-20 10:00:06,000] LMCache INFO: Registering kv caches! (adapter.py:12:lmcache)
"""


def test_its_settings_are_facts_of_the_engine() -> None:
    engine = lines_of("sglang-0.5.23.log")
    (start,) = read("\n".join([*engine[:3], *LINES.splitlines(), *engine[3:]]))
    assert (start.engine, start.outcome) == ("sglang", "ready")
    lmcache = {key: value for key, value in start.facts.items() if key.startswith("lmcache")}
    assert lmcache == {
        "lmcache": "LMCache",
        "lmcache_config_file": "/etc/lmcache.yaml",
        "lmcache_chunk_size": "256",
        "lmcache_local_cpu": "True",
        "lmcache_max_local_cpu_size": "5.0",
        "lmcache_remote_url": "lm://cache:65432",
        "lmcache_role": "KVConnectorRole.WORKER",
    }


def test_a_setting_in_the_form_of_a_dictionary() -> None:
    engine = lines_of("vllm-0.22.log")
    line = (
        "(EngineCore pid=61) [2026-05-02 08:00:21,000] LMCache INFO: Creating LMCacheEngine with config: "
        "{'chunk_size': 512, 'local_cpu': True, 'local_disk': '/var/cache/kv'} (engine.py:90:lmcache.engine)"
    )
    (start,) = read("\n".join([*engine[:6], line, *engine[6:]]))
    assert (start.engine, start.outcome, start.total) == ("vllm", "ready", 72)
    assert (start.facts["lmcache_chunk_size"], start.facts["lmcache_local_disk"]) == ("512", "/var/cache/kv")
