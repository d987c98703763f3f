"""The OpenAPI description of the intake, of this version."""

from __future__ import annotations

from importlib import metadata
from typing import Any, Final

from modelmon.identity import MAXIMUM_NAME_BYTES
from modelmon.serving.bodies import CAP, MOST_ITEMS, MOST_VALUES
from modelmon.serving.posting import MOST_SCOPES
from modelmon.stores.states import LABEL_OUTCOMES

_TIME: Final = {
    "description": "When the truth became known: seconds since the epoch, or ISO 8601 with its zone.",
    "oneOf": [{"type": "number"}, {"type": "string", "format": "date-time"}],
    "examples": [1767225600, "2026-01-01T00:00:00Z"],
}
_VALUE: Final = {
    "description": "The truth. Texts and numbers match the model's classes by their text; a list names all labels that "
    "hold (or has 0, 1 or null for each), an object says of some labels whether they hold.",
    "oneOf": [
        {"type": "string"},
        {"type": "number"},
        {"type": "boolean"},
        {"type": "array", "items": {}},
        {"type": "object", "additionalProperties": {"type": "boolean"}},
    ],
    "examples": ["fraud", 1, 3.5],
}
_LABEL: Final = {
    "type": "object",
    "required": ["id"],
    "additionalProperties": False,
    "properties": {
        "id": {"description": "The prediction's id.", "oneOf": [{"type": "string"}, {"type": "integer"}]},
        "label": _VALUE,
        "at": _TIME,
        "rev": {"type": "number", "description": "A revision; a greater one wins, whatever comes first."},
        "model": {
            "type": "string",
            "maxLength": MAXIMUM_NAME_BYTES,
            "description": "Reach only this model's prediction; all under the id if absent.",
        },
        "version": {
            "type": "string",
            "maxLength": MAXIMUM_NAME_BYTES,
            "description": "With a model: only this version's.",
        },
        "retract": {"type": "boolean", "description": "True, instead of a label: what was said before was wrong."},
    },
    "examples": [{"id": "order-17", "label": "fraud", "at": "2026-01-01T00:00:00Z"}],
}
_OUTCOME: Final = {"type": "string", "enum": list(LABEL_OUTCOMES)}
_REPORT: Final = {
    "type": "object",
    "required": ["total", "outcomes", "items"],
    "properties": {
        "total": {"type": "integer", "description": "How many labels came."},
        "outcomes": {
            "type": "object",
            "additionalProperties": {"type": "integer"},
            "description": "How many had each outcome.",
        },
        "items": {"type": "array", "items": _OUTCOME, "description": "The outcome of each, in their order."},
        "problems": {
            "type": "array",
            "description": "Why the first hundred invalid ones were.",
            "items": {
                "type": "object",
                "properties": {"item": {"type": "integer"}, "reason": {"type": "string"}},
            },
        },
    },
    "examples": [{"total": 2, "outcomes": {"joined": 1, "early": 1}, "items": ["joined", "early"]}],
}
_REFUSALS: Final = {
    "400": f"No valid JSON, a damaged body, or more than {MOST_SCOPES} models and versions.",
    "401": "No valid bearer token.",
    "403": "Without a token: the request does not name a loopback host.",
    "408": "The body took too long to arrive.",
    "413": f"More than {CAP >> 20} MiB after decompression, {MOST_ITEMS:,} labels, or {MOST_VALUES:,} values in all.",
    "415": "A media type or content encoding that is none of ours.",
    "429": "Too many requests without a valid token from this address.",
    "503": "Not committed: the store cannot be reached, or too many requests at once. Send the same again.",
}


def description(root: str = "") -> dict[str, Any]:
    """Return the description; ``root`` is where the application is mounted."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "modelmon label intake",
            "version": _version(),
            "summary": "Tell which predictions were right.",
            "description": "Labels may come late, twice, in any order, or before their predictions. "
            "An answer of 200 comes after the commit, so it may acknowledge a message of a queue; "
            "sending the same labels again changes nothing.",
        },
        "servers": [{"url": root or "/"}],
        "security": [{"token": []}],
        "paths": {"/v1/labels": {"post": _post()}},
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Label": _LABEL, "Report": _REPORT, "Error": _error()},
        },
    }


def _post() -> dict[str, Any]:
    label = {"$ref": "#/components/schemas/Label"}
    several = {"type": "array", "maxItems": MOST_ITEMS, "items": label}
    wrapped = {"type": "object", "required": ["labels"], "properties": {"labels": several}}
    refused = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        "summary": "Deliver labels",
        "operationId": "deliverLabels",
        "requestBody": {
            "required": True,
            "description": "May be compressed: Content-Encoding gzip or deflate.",
            "content": {
                "application/json": {"schema": {"oneOf": [wrapped, several, label]}},
                "application/x-ndjson": {"schema": label},
            },
        },
        "responses": {
            "200": {
                "description": "Committed. Each label has one outcome; a bad one is invalid and spoils no other.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Report"}}},
            },
            **{status: {"description": text, "content": refused} for status, text in _REFUSALS.items()},
        },
    }


def _error() -> dict[str, Any]:
    return {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}


def _version() -> str:
    try:
        return metadata.version("modelmon")
    except metadata.PackageNotFoundError:
        return "0"
