"""The program behind the engine `fake`: `python -m glowplug.engines.fake_server SETTINGS`, settings as one JSON object.

Standard library, httptools and uvloop only, so that it starts fast and never limits a benchmark.
"""
