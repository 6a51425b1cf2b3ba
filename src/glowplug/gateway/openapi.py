"""The OpenAPI 3.1 document of the admin API."""

from typing import Any

from glowplug import __version__
from glowplug.scheduler.values import Tier

_TIERS = [tier.value for tier in Tier]
_NUMBER = {"type": "number"}
_INTEGER = {"type": "integer"}
_STRING = {"type": "string"}
_TEXT_OR_NULL = {"type": ["string", "null"]}
_TIER = {"type": "string", "enum": _TIERS}


def _object(required: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": required, "required": list(required)}


def _list(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _mapping(values: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": values}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


_SCHEMAS: dict[str, Any] = {
    "Replica": _object(
        {
            "id": _STRING,
            "model": _STRING,
            "state": {"type": "string", "description": "A tier, or waking:TIER or resting:TIER."},
            "since": {"type": "number", "description": "Seconds in this state."},
            "in_flight": _INTEGER,
            "address": {"type": ["string", "null"]},
            "pid": {"type": ["integer", "null"]},
            "memory": _mapping(_INTEGER),
        }
    ),
    "Model": _object(
        {
            "name": _STRING,
            "engine": _STRING,
            "aliases": _list(_STRING),
            "tier": {**_TIER, "description": "The warmest tier that any replica is in."},
            "queued": _INTEGER,
            "in_flight": _INTEGER,
            "pin": {"type": "boolean"},
            "replicas": _list(_ref("Replica")),
            "last_wake": {"type": ["object", "null"]},
            "quarantine": {**_mapping(_STRING), "description": "Tiers that failed, and why."},
            "closed_tiers": {**_mapping(_STRING), "description": "Tiers that cannot be used here, and why."},
            "snapshot": {
                "type": ["object", "null"],
                "additionalProperties": _INTEGER,
                "description": "Bytes that its snapshot holds, by kind; null if there is none.",
            },
        }
    ),
    "Snapshot": _object(
        {
            "id": _STRING,
            "model": _STRING,
            "created_at": {"type": "string", "format": "date-time"},
            "raw_bytes": {"type": "integer", "description": "Bytes that are restored."},
            "stored_bytes": {"type": "integer", "description": "Bytes on the disk when it was made."},
            "engine": {"type": ["string", "null"]},
            "engine_version": {"type": ["string", "null"]},
            "pause": {"type": ["number", "null"], "description": "Seconds that the engine stood still."},
            "fits": {
                "type": ["boolean", "null"],
                "description": "Whether it could be restored now; null if that cannot be told.",
            },
            "why": {**_list(_STRING), "description": "What differs, or why that cannot be told."},
        }
    ),
    "SnapshotProblem": _object(
        {
            "name": {"type": "string", "description": "An id, or a file."},
            "reason": _STRING,
            "quarantined": {"type": "boolean", "description": "It was used once and found bad."},
        }
    ),
    "SnapshotMade": _object(
        {
            "model": _STRING,
            "id": _STRING,
            "raw_bytes": _INTEGER,
            "stored_bytes": _INTEGER,
            "pause": {"type": ["number", "null"], "description": "Seconds that the engine stood still."},
            "seconds": {"type": "number", "description": "All of it, from the request on."},
        }
    ),
    "Move": _object({"model": _STRING, "tier": _TIER, "seconds": _NUMBER}),
    "Examination": _object(
        {
            "schema": {"type": "integer", "description": "Version of this form."},
            "tiers": _list(
                _object(
                    {
                        "tier": _TIER,
                        "open": {"type": "boolean"},
                        "reason": {**_TEXT_OR_NULL, "description": "Why it is closed."},
                        "remedy": _TEXT_OR_NULL,
                        "note": {**_TEXT_OR_NULL, "description": "How it works here, if it is open."},
                    }
                )
            ),
            "checks": _list(
                _object(
                    {
                        "check": _STRING,
                        "state": {"type": "string", "enum": ["ok", "limited", "missing", "none"]},
                        "summary": _STRING,
                        "remedy": _TEXT_OR_NULL,
                        "values": {"type": "object", "description": "In bytes, seconds and bytes per second."},
                    }
                )
            ),
            "models": _list(
                _object(
                    {
                        "model": _STRING,
                        "engine": _STRING,
                        "error": {**_TEXT_OR_NULL, "description": "Why its engine cannot start here."},
                        "closed_tiers": {**_mapping(_STRING), "description": "Tiers it cannot use here, and why."},
                    }
                )
            ),
        }
    ),
    "Error": _object(
        {
            "error": _object(
                {
                    "message": _STRING,
                    "type": _STRING,
                    "param": {"type": ["string", "null"]},
                    "code": _STRING,
                }
            )
        }
    ),
}

_NAME = {"name": "name", "in": "path", "required": True, "schema": _STRING, "description": "Model name or alias."}


def _query(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


def _operation(
    summary: str,
    schema: Any,
    *,
    parameters: list[Any] | None = None,
    media: str = "application/json",
    errors: dict[int, str] | None = None,
) -> dict[str, Any]:
    responses: dict[str, Any] = {"200": {"description": summary, "content": {media: {"schema": schema}}}}
    for status, description in (errors or {}).items():
        responses[str(status)] = {
            "description": description,
            "content": {"application/json": {"schema": _ref("Error")}},
        }
    return {"summary": summary, "parameters": parameters or [], "responses": responses}


_UNKNOWN = {404: "There is no such model."}
_BUSY = {**_UNKNOWN, 409: "A replica is busy or pinned.", 503: "The server is shutting down."}

_PATHS: dict[str, Any] = {
    "/models": {"get": _operation("All configured models.", _object({"models": _list(_ref("Model"))}))},
    "/models/{name}": {"get": _operation("One model.", _ref("Model"), parameters=[_NAME], errors=_UNKNOWN)},
    "/models/{name}/wake": {
        "post": _operation(
            "Wake a replica and wait until it runs.",
            _ref("Move"),
            parameters=[_NAME],
            errors={**_UNKNOWN, 503: "It could not be woken; the message says what was tried."},
        )
    },
    "/models/{name}/rest": {
        "post": _operation(
            "Rest the idle replicas and wait for it.",
            _ref("Move"),
            parameters=[_NAME, _query("tier", _TIER, "Tier to rest to; without it, one step colder.")],
            errors={400: "The model cannot use that tier.", **_BUSY},
        )
    },
    "/models/{name}/restart": {
        "post": _operation(
            "End the processes once idle, and forget quarantines.", _ref("Move"), parameters=[_NAME], errors=_BUSY
        )
    },
    "/models/{name}/snapshot": {
        "post": _operation(
            "Start the model anew, make a snapshot of it, and wait until it is published.",
            _ref("SnapshotMade"),
            parameters=[_NAME],
            errors={
                **_UNKNOWN,
                409: "A replica is busy, or there can be no snapshot; the message says why.",
                503: "The model could not be started; the message says what was tried.",
            },
        )
    },
    "/snapshots": {
        "get": _operation(
            "The snapshots that are kept here, newest first.",
            _object({"snapshots": _list(_ref("Snapshot")), "problems": _list(_ref("SnapshotProblem"))}),
            errors={409: "They cannot be read."},
        )
    },
    "/replicas": {"get": _operation("All replicas.", _object({"replicas": _list(_ref("Replica"))}))},
    "/replicas/{id}/logs": {
        "get": _operation(
            "Lines that the engine printed, oldest first.",
            _STRING,
            parameters=[
                {"name": "id", "in": "path", "required": True, "schema": _STRING, "description": "Replica."},
                _query("follow", {"type": "boolean", "default": False}, "Stay, and send lines to come."),
            ],
            media="text/plain",
            errors={404: "There is no such replica."},
        )
    },
    "/cold-starts": {
        "get": _operation(
            "Recorded cold starts, newest first.",
            _object({"cold_starts": _list({"type": "object"})}),
            parameters=[
                _query("limit", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}, "How many at most.")
            ],
            errors={400: "The limit is out of range."},
        )
    },
    "/doctor": {
        "get": _operation(
            "What the server's machine can do, found out by trying. Takes some seconds.", _ref("Examination")
        )
    },
    "/events": {
        "get": _operation("Tier changes and wakes, as server-sent events.", _STRING, media="text/event-stream")
    },
    "/openapi.json": {"get": _operation("This document.", {"type": "object"})},
}


def openapi_document() -> dict[str, Any]:
    """The document. Paths are relative to `/glowplug/v1`, which its `servers` entry names."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Glowplug admin API", "version": __version__},
        "servers": [{"url": "/glowplug/v1"}],
        "security": [{}, {"bearer": []}, {"key": []}],
        "paths": _PATHS,
        "components": {
            "schemas": _SCHEMAS,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
    }
