"""What `/openapi.json` says of requests whose bodies the framework does not read itself."""

from typing import Any

DESCRIPTION = "Answers images with the probabilities of their classes."
_IMAGE = {"schema": {"type": "string", "format": "binary"}}
_FORM = {
    "schema": {
        "type": "object",
        "required": ["file"],
        "properties": {"file": {"type": "array", "items": {"type": "string", "format": "binary"}}},
    },
    "encoding": {"file": {"contentType": "image/*"}},
}
_CLASS = {"type": "object", "properties": {"label": {"type": "string"}, "probability": {"type": "number"}}}
_ERROR = {
    "type": "object",
    "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
}
_ANSWER = {
    "type": "object",
    "properties": {
        "model": {"type": "string"},
        "version": {"type": "string", "nullable": True},
        "predictions": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "file": {"type": "string"},
                    "label": {"type": "string"},
                    "confidence": {"type": "number"},
                    "classes": {"type": "array", "items": _CLASS},
                    "error": _ERROR,
                },
            },
        },
    },
}
_REFUSED = {"application/json": {"schema": {"type": "object", "properties": {"error": _ERROR}}}}
_WHY = {
    "400": "The form or the request can't be read.",
    "401": "The token is missing or wrong.",
    "408": "The body took too long.",
    "413": "The request is too large.",
    "415": "The body is of another kind, or compressed.",
    "422": "No file, too many files, a parameter out of range, or no image can be decoded.",
    "503": "Too much at the same time: come again after the seconds of Retry-After.",
    "504": "The model did not answer in time.",
}

PREDICT: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"multipart/form-data": _FORM, "image/*": _IMAGE, "application/octet-stream": _IMAGE},
    },
    "responses": {
        "200": {"description": "An answer an image.", "content": {"application/json": {"schema": _ANSWER}}},
        **{status: {"description": why, "content": _REFUSED} for status, why in _WHY.items()},
    },
}
