"""Glowplug: a serverless runtime for large language models that makes cold starts disappear."""

__version__ = "0.1.0"
