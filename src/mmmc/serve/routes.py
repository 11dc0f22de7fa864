"""What a request is answered with, route by route."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse
from prometheus_client import CONTENT_TYPE_LATEST

from mmmc.environment import own_version
from mmmc.serve.batching import Batcher, decoded
from mmmc.serve.engine import FIGURES, Engine, Explainer
from mmmc.serve.interface import LABELLED, PICTURE, PredictAnswer, refusals
from mmmc.serve.limits import Limits, Refused
from mmmc.serve.meters import Meters
from mmmc.serve.request import picture_of

PAGE = Path(__file__).parent / "page"

SWAGGER = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'; img-src 'self' data:"
)
"""The interface's own page starts itself by a line within."""


@dataclass(frozen=True)
class Service:
    """What the routes of one app share.

    Attributes:
        engine: the detector.
        limits: what a request may cost.
        name: of the detector, for people.
        meters: counts and times.
        batcher: who asks the engine.
    """

    engine: Engine
    limits: Limits
    name: str
    meters: Meters
    batcher: Batcher


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


Ours = Annotated[Service, Depends(_service)]
router = APIRouter()


@router.post(
    "/predict",
    response_model=None,
    openapi_extra=PICTURE,
    responses={200: {"model": PredictAnswer}, **refusals(400, 408, 413, 415, 422, 429)},
)
async def predict(
    request: Request, ours: Ours, threshold: Annotated[str, Query(description="least score, 0 to 1")] = "0.05"
) -> dict[str, Any]:
    """Objects in a picture, best first: a form's file, JSON with base64, or the file itself as the body."""
    least = _threshold(threshold)
    data, said = await picture_of(request, ours.limits)
    least = _threshold(said.pop("threshold", least))
    _no_more(said, "field")
    _no_more(request.query_params.keys() - {"threshold"}, "parameter")
    began = time.perf_counter()
    answer = await ours.batcher.ask(data)
    objects = [
        {"class": ours.engine.names[found.label], "score": found.score, "box": list(found.box)}
        for found in answer.found
        if found.score >= least
    ]
    ours.meters.objects.inc(len(objects))
    return {
        "width": answer.width,
        "height": answer.height,
        "objects": objects,
        "seconds": round(time.perf_counter() - began, 4),
    }


@router.post(
    "/figure/{figure}",
    response_class=Response,
    openapi_extra=LABELLED,
    responses={200: {"content": {"image/png": {}}}, **refusals(400, 404, 408, 409, 413, 415, 422, 429)},
)
async def draw(request: Request, ours: Ours, figure: str) -> Response:
    """Where the labels of given objects land (`labels`), or both losses at each point (`losses`), as PNG."""
    engine, limits = ours.engine, ours.limits
    if not isinstance(engine, Explainer):
        raise Refused(409, "Labels and losses are drawn for a run only; this is an exported file.")
    if figure not in FIGURES:
        raise Refused(404, f"There is no figure {figure!r}; allowed: {', '.join(FIGURES)}.")
    data, said = await picture_of(request, limits)
    boxes, classes = said.pop("boxes", None), said.pop("classes", None)
    _no_more(said, "field")
    _no_more(request.query_params, "parameter")
    async with ours.batcher.turn():  # the engine is asked by one thread at a time
        picture = await asyncio.to_thread(decoded, data, limits)
        if isinstance(picture, Refused):
            raise picture
        labels = _labels(boxes, classes, picture.size, engine.names, limits)
        drawn = await asyncio.to_thread(engine.draw, figure, picture, boxes, labels)  # type: ignore[arg-type]
    return Response(drawn, media_type="image/png")


@router.get("/health")
async def health(ours: Ours) -> dict[str, Any]:
    """That the server lives, what it serves, and its limits."""
    return {
        "status": "ok",
        "name": ours.name,
        "version": own_version(),
        "classes": ours.engine.names,
        "figures": list(FIGURES) if isinstance(ours.engine, Explainer) else [],
        "limits": asdict(ours.limits),
    }


@router.get("/metrics")
async def metrics(ours: Ours) -> Response:
    """Counts and times for Prometheus."""
    ours.meters.waiting.set(ours.batcher.queue.qsize())
    return Response(ours.meters.text(), media_type=CONTENT_TYPE_LATEST)


@router.get("/", include_in_schema=False)
async def page() -> FileResponse:
    """The page for people."""
    return FileResponse(PAGE / "index.html")


@router.get("/docs", include_in_schema=False)
async def interface() -> HTMLResponse:
    """The interface, for people."""
    html = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="mmmc",
        swagger_js_url="/swagger/swagger-ui-bundle.js",
        swagger_css_url="/swagger/swagger-ui.css",
        swagger_favicon_url="/page/icon.svg",
    )
    html.headers["Content-Security-Policy"] = SWAGGER
    return html


def _threshold(given: object) -> float:
    try:
        value = float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not 0 <= value <= 1:
        raise Refused(422, f"threshold is {str(given)[:40]!r}; allowed: 0 to 1.")
    return value


def _no_more(said: Iterable[str], what: str) -> None:
    for name in said:
        raise Refused(422, f"There is a {what} {name[:40]!r} that is not known.")


def _labels(boxes: object, classes: object, size: tuple[int, int], names: tuple[str, ...], limits: Limits) -> list[int]:
    """Class indices of given objects, all of them checked."""
    if not isinstance(boxes, list) or not isinstance(classes, list) or len(boxes) != len(classes):
        raise Refused(422, "boxes and classes are two lists of one length: a box and a class name for each object.")
    if not 1 <= len(boxes) <= limits.boxes:
        raise Refused(422, f"There are {len(boxes)} boxes; allowed: 1 to {limits.boxes}.", boxes=limits.boxes)
    width, height = size
    for box, name in zip(boxes, classes, strict=True):
        if name not in names:
            raise Refused(422, f"The class {str(name)[:40]!r} is not known; allowed: {', '.join(names)}.")
        if not (
            isinstance(box, list)
            and len(box) == 4
            and all(type(value) in (int, float) for value in box)
            and 0 <= box[0] < box[2] <= width
            and 0 <= box[1] < box[3] <= height
        ):
            raise Refused(422, f"The box {str(box)[:80]} is none of x1 < x2, y1 < y2 within {width} × {height} px.")
    return [names.index(name) for name in classes]
