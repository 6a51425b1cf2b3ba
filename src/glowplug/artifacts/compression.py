"""How chunks are kept on this host."""

LEVEL: int | None = 1
