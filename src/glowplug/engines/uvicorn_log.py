"""Lines of uvicorn, the HTTP server inside most engines. They carry no time of their own."""

from glowplug.coldstart.grammar import Line

UVICORN = (
    Line(text="Started server process [", mark="app_begin", weight=0),
    Line(text="Application startup complete", mark="app_startup", weight=0),
)
