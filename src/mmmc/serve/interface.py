"""What the server's own description (`/openapi.json`) says of requests, answers and refusals."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class FoundObject(BaseModel):
    """One object: its class, its score, and `x1 y1 x2 y2` in pixels of the picture as displayed."""

    model_config = ConfigDict(populate_by_name=True)

    name: str = Field(alias="class")
    score: float = Field(ge=0, le=1)
    box: tuple[float, float, float, float]


class PredictAnswer(BaseModel):
    """Size of the picture in pixels, its objects, best first, and the seconds that they took."""

    width: int
    height: int
    objects: list[FoundObject]
    seconds: float


class Refusal(BaseModel):
    """Why a request is not served, and the limit that it broke, if it was one."""

    error: str
    limit: dict[str, float] | None = None


REASONS = {
    400: "The body cannot be read.",
    404: "There is no such thing.",
    408: "The body did not arrive in time.",
    409: "An exported file has no recipe to draw with.",
    413: "The body or the picture is too large.",
    415: "This is no picture that is read.",
    422: "A field or the picture is not as it must be.",
    429: "Too many requests wait, or the answer took too long.",
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Descriptions of these answers."""
    return {status: {"model": Refusal, "description": REASONS[status]} for status in statuses}


_IMAGE = {"type": "string", "format": "byte", "description": "the picture's file in base64"}
_FILE = {"type": "string", "format": "binary"}
_THRESHOLD = {"type": "number", "minimum": 0, "maximum": 1, "default": 0.05, "description": "least score"}


def _body(content: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "requestBody": {"required": True, "content": {kind: {"schema": schema} for kind, schema in content.items()}}
    }


def _object(required: list[str], **properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


PICTURE = _body(
    {
        "multipart/form-data": _object(["file"], file=_FILE, threshold=_THRESHOLD),
        "application/json": _object(["image"], image=_IMAGE, threshold=_THRESHOLD),
        "image/*": _FILE,
        "application/octet-stream": _FILE,
    }
)
"""A picture, in any of four ways."""

LABELLED = _body(
    {
        "application/json": _object(
            ["image", "boxes", "classes"],
            image=_IMAGE,
            boxes={
                "type": "array",
                "items": {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4},
                "description": "x1 y1 x2 y2 in pixels",
            },
            classes={"type": "array", "items": {"type": "string"}, "description": "a class name for each box"},
        )
    }
)
"""A picture with objects."""
