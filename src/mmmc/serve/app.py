"""The routes."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import swagger_ui_bundle
from fastapi import FastAPI, Query, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.staticfiles import StaticFiles

from mmmc.environment import own_version
from mmmc.serve.batching import Batcher, decoded
from mmmc.serve.engine import FIGURES, Engine, Explainer
from mmmc.serve.interface import LABELLED, PICTURE, PredictAnswer, refusals
from mmmc.serve.limits import Limits, Refused
from mmmc.serve.request import picture_of

PAGE = Path(__file__).parent / "page"

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""Of every answer: a page may load nothing from elsewhere."""

SWAGGER = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'; img-src 'self' data:"
)
"""The interface's own page starts itself by a line within."""


def make_app(
    engine: Engine, limits: Limits | None = None, *, name: str = "", hosts: list[str] | None = None
) -> FastAPI:
    """The server's routes, for uvicorn or any other ASGI server.

    Args:
        engine: the detector.
        limits: what a request may cost.
        name: of the detector, for people.
        hosts: names by which the server may be called, so that no page of a stranger's reaches it through a name that
            resolves to this machine; None for any.
    """
    limits = limits or Limits()
    meters = _Meters()
    batcher: list[Batcher] = []

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        batcher.append(Batcher(engine, limits, meters.batches.observe))
        worker = asyncio.create_task(batcher[0].work())
        yield
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker

    app = FastAPI(
        title="mmmc", version=own_version(), description=f"Objects in pictures. {name}", docs_url=None, redoc_url=None,
        lifespan=life,
    )  # fmt: skip
    app.openapi_version = "3.0.3"  # the newest that the bundled interface page reads
    if hosts is not None:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts)

    @app.middleware("http")
    async def measured(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        began = time.perf_counter()
        status = 500
        try:
            answer = await call_next(request)
            status = answer.status_code
        finally:
            path = getattr(request.scope.get("route"), "path", "other")
            meters.requests.labels(path, str(status)).inc()
        meters.seconds.labels(path).observe(time.perf_counter() - began)
        for header, value in HEADERS.items():
            answer.headers.setdefault(header, value)
        return answer

    @app.exception_handler(Refused)
    async def refused(_: Request, refusal: Refused) -> JSONResponse:
        return JSONResponse(refusal.detail, refusal.status_code)

    @app.exception_handler(HTTPException)
    async def nowhere(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)

    @app.post(
        "/predict",
        response_model=None,
        openapi_extra=PICTURE,
        responses={200: {"model": PredictAnswer}, **refusals(400, 408, 413, 415, 422, 429)},
    )
    async def predict(
        request: Request, threshold: Annotated[str, Query(description="least score, 0 to 1")] = "0.05"
    ) -> dict[str, Any]:
        """Objects in a picture, best first: a form's file, JSON with base64, or the file itself as the body."""
        least = _threshold(threshold)
        data, said = await picture_of(request, limits)
        least = _threshold(said.pop("threshold", least))
        _no_more(said, "field")
        _no_more(request.query_params.keys() - {"threshold"}, "parameter")
        began = time.perf_counter()
        answer = await batcher[0].ask(data)
        objects = [
            {"class": engine.names[found.label], "score": found.score, "box": list(found.box)}
            for found in answer.found
            if found.score >= least
        ]
        meters.objects.inc(len(objects))
        return {
            "width": answer.width,
            "height": answer.height,
            "objects": objects,
            "seconds": round(time.perf_counter() - began, 4),
        }

    @app.post(
        "/figure/{figure}",
        response_class=Response,
        openapi_extra=LABELLED,
        responses={200: {"content": {"image/png": {}}}, **refusals(400, 404, 408, 409, 413, 415, 422, 429)},
    )
    async def draw(request: Request, figure: str) -> Response:
        """Where the labels of given objects land (`labels`), or both losses at each point (`losses`), as PNG."""
        if not isinstance(engine, Explainer):
            raise Refused(409, "Labels and losses are drawn for a run only; this is an exported file.")
        if figure not in FIGURES:
            raise Refused(404, f"There is no figure {figure!r}; allowed: {', '.join(FIGURES)}.")
        data, said = await picture_of(request, limits)
        boxes, classes = said.pop("boxes", None), said.pop("classes", None)
        _no_more(said, "field")
        _no_more(request.query_params, "parameter")
        async with batcher[0].turn():  # the engine is asked by one thread at a time
            picture = await asyncio.to_thread(decoded, data, limits)
            if isinstance(picture, Refused):
                raise picture
            labels = _labels(boxes, classes, picture.size, engine.names, limits)
            drawn = await asyncio.to_thread(engine.draw, figure, picture, boxes, labels)  # type: ignore[arg-type]
        return Response(drawn, media_type="image/png")

    @app.get("/health")
    async def health() -> dict[str, Any]:
        """That the server lives, what it serves, and its limits."""
        return {
            "status": "ok",
            "name": name,
            "version": own_version(),
            "classes": engine.names,
            "figures": list(FIGURES) if isinstance(engine, Explainer) else [],
            "limits": {key: getattr(limits, key) for key in limits.__dataclass_fields__},
        }

    @app.get("/metrics")
    async def metrics() -> Response:
        """Counts and times for Prometheus."""
        meters.waiting.set(batcher[0].queue.qsize())
        return Response(generate_latest(meters.registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(PAGE / "index.html")

    @app.get("/docs", include_in_schema=False)
    async def interface() -> HTMLResponse:
        html = get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="mmmc",
            swagger_js_url="/swagger/swagger-ui-bundle.js",
            swagger_css_url="/swagger/swagger-ui.css",
            swagger_favicon_url="/page/icon.svg",
        )
        html.headers["Content-Security-Policy"] = SWAGGER
        return html

    app.mount("/page", StaticFiles(directory=PAGE))
    app.mount("/swagger", StaticFiles(directory=swagger_ui_bundle.swagger_ui_path))
    return app


class _Meters:
    """What `/metrics` tells; each app has its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "mmmc_requests", "Requests by route and status.", ["path", "status"], registry=self.registry
        )
        self.seconds = Histogram("mmmc_request_seconds", "Time of a request.", ["path"], registry=self.registry)
        self.batches = Histogram(
            "mmmc_batch_pictures", "Pictures of a batch.", buckets=(1, 2, 4, 8, 16, 32), registry=self.registry
        )
        self.objects = Counter("mmmc_objects", "Objects found.", registry=self.registry)
        self.waiting = Gauge("mmmc_waiting_requests", "Pictures that wait for a batch.", registry=self.registry)


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
