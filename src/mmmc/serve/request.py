"""From the bytes of a request to a picture."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

from fastapi import Request
from PIL import Image, UnidentifiedImageError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from mmmc.serve.limits import Limits, Refused, too_many_bytes, too_many_pixels, too_slow

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
"""Kinds of pictures that are read; others have decoders that nobody should offer to strangers."""

SCANS = 64
"""Of a JPEG, at most. Each is a pass over all pixels, however few bytes it has; progressive pictures have about ten."""

PATIENCE = 4
"""A body may be this many times too large and still be read to its end, so that its sender can hear the answer."""


async def body_of(request: Request, limits: Limits) -> bytes:
    """The body of a request.

    Raises:
        Refused: it is too large, too slow, or its sender left.
    """
    kept, size = [], 0
    try:
        async with asyncio.timeout(limits.upload_seconds):
            if _said_length(request) > PATIENCE * limits.body:
                raise too_many_bytes(limits)
            async for chunk in request.stream():
                size += len(chunk)
                if size > PATIENCE * limits.body:
                    break
                if size <= limits.body:
                    kept.append(chunk)
    except TimeoutError:
        raise too_slow(limits) from None
    except ClientDisconnect:
        raise Refused(400, "The sender left before the body ended.") from None
    if size > limits.body:
        raise too_many_bytes(limits)
    return b"".join(kept)


async def picture_of(request: Request, limits: Limits) -> tuple[bytes, dict[str, Any]]:
    """The picture file in a request, and what else its form or JSON says.

    A form with the field `file`, JSON with the field `image` in base64, or the file itself.

    Raises:
        Refused: no such body, or no picture in it that may be decoded.
    """
    body = await body_of(request, limits)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    said: dict[str, Any] = {}
    if kind == "multipart/form-data":
        body, said = await _file_of_form(request, body)
    elif kind == "application/json":
        said = _json(body)
        body = _base64(said.pop("image", None))
    elif not (kind.startswith("image/") or kind == "application/octet-stream"):
        raise Refused(
            415, f"Content-Type is {kind!r}; allowed: multipart/form-data, application/json, image/*, octet-stream."
        )
    await asyncio.to_thread(open_picture, body, limits)  # a header may be millions of segments
    return body, said


def open_picture(data: bytes, limits: Limits) -> Image.Image:
    """A picture whose header was read and nothing more.

    Raises:
        Refused: not a picture of an allowed kind, or one of too many pixels.
    """
    if data.startswith(b"\xff\xd8") and data.count(b"\xff\xda") > SCANS:
        raise Refused(422, f"The JPEG has too many scans; allowed: {SCANS}.", scans=SCANS)
    try:
        image = Image.open(BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise too_many_pixels(limits) from None
    except UnidentifiedImageError:
        raise Refused(415, f"This is no picture; allowed: {', '.join(FORMATS)}.") from None
    except Exception as error:  # damage makes Pillow raise almost anything
        raise Refused(422, f"The picture cannot be read: {error}.") from None
    if image.width * image.height > limits.pixels:
        raise too_many_pixels(limits)
    return image


def _said_length(request: Request) -> int:
    said = request.headers.get("content-length", "")
    return int(said) if said.isascii() and said.isdigit() and len(said) < 20 else 0


async def _file_of_form(request: Request, body: bytes) -> tuple[bytes, dict[str, Any]]:
    async def stream() -> AsyncIterator[bytes]:
        yield body

    parser = MultiPartParser(request.headers, stream(), max_files=1, max_fields=8)  # type: ignore[arg-type]
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise Refused(400, f"The form cannot be read: {error.message}") from None
    except (KeyError, UnicodeDecodeError) as error:
        raise Refused(400, f"The form cannot be read: {error}.") from None
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise Refused(422, "The form has no file in the field 'file'.")
        return await file.read(), {name: value for name, value in form.items() if name != "file"}
    finally:
        await form.close()


def _json(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"The body is not JSON: {error}.") from None
    if not isinstance(said, dict):
        raise Refused(422, "The JSON is no object; allowed: one with the field 'image'.")
    return said


def _base64(text: object) -> bytes:
    if not isinstance(text, str):
        raise Refused(422, "image is missing or no text; allowed: a picture file in base64. URLs are not fetched.")
    try:
        return base64.b64decode(text.rpartition(",")[2] if text.startswith("data:") else text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(422, "image is not base64. URLs are not fetched.") from None
