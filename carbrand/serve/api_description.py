"""The description of the endpoints in OpenAPI 3.1, from which clients are generated."""

from __future__ import annotations

from typing import Any

_PHOTO = {"type": "string", "format": "binary"}
_REFUSED = {
    "400": "empty or malformed",
    "408": "too slow",
    "413": "too large",
    "415": "not a photo",
    "422": "a broken photo, or too many pixels",
    "503": "too busy, with Retry-After",
}
# What is said of one photo; a `heatmap` is there unless it is not wanted.
PREDICTION = {
    "brand": {"type": "string"},
    "confidence": {"type": "number", "minimum": 0, "maximum": 1},
    "probabilities": {"type": "object", "additionalProperties": {"type": "number"}},
    "unknown": {"type": "boolean", "description": "whether it looks like none of the brands"},
    "unknown_score": {"type": ["number", "null"], "description": "above 1 is unknown"},
    "set": {
        "type": "array",
        "items": {"type": "string"},
        "description": "brands that hold the right one with the promised chance",
    },
    "width": {"type": "integer"},
    "height": {"type": "integer"},
    "heatmap": {"type": "string", "description": "a data URI of a PNG to lay over the photo"},
}
# Of every answer.
ANSWER = {
    "milliseconds": {"type": "number"},
    "model": {"type": "string", "description": "the beginning of the SHA-256 of model.h5"},
}


def describe_api() -> dict[str, Any]:
    """The document, as plain data."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "carbrand serve", "version": "1"},
        "paths": {
            "/predict": {"post": _predict()},
            "/health": {"get": _get("whether it is up", _object(model=ANSWER["model"]))},
            "/openapi.json": {"get": _get("this document", {"type": "object"})},
        },
    }


def _predict() -> dict[str, Any]:
    one = _object(**PREDICTION, **ANSWER)
    error = _object(error={"type": "string"})
    each = {"anyOf": [_object(**PREDICTION), error]}
    several = _object(predictions={"type": "array", "items": each}, **ANSWER)
    form = _object(photo={"type": "array", "items": _PHOTO})
    heatmap = {"name": "heatmap", "in": "query", "schema": {"type": "boolean", "default": True}}
    return {
        "summary": "The brands of a photo, or of each photo of a form",
        "parameters": [heatmap],
        "requestBody": {
            "required": True,
            "content": {"image/*": {"schema": _PHOTO}, "multipart/form-data": {"schema": form}},
        },
        "responses": {
            "200": _response("of one photo; of several, a list", {"anyOf": [one, several]}),
            **{status: _response(why, error) for status, why in _REFUSED.items()},
        },
    }


def _get(what: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"summary": what, "responses": {"200": _response(what, schema)}}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def _response(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
