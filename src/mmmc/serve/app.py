"""The application: its routes, and what surrounds each of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import swagger_ui_bundle
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.staticfiles import StaticFiles

from mmmc.environment import own_version
from mmmc.serve.batching import Batcher
from mmmc.serve.engine import Engine
from mmmc.serve.limits import Limits, Refused
from mmmc.serve.meters import Meters
from mmmc.serve.routes import PAGE, Service, router

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""Of every answer: a page may load nothing from elsewhere."""


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
    limits, meters = limits or Limits(), Meters()

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        # A batcher belongs to the event loop that it is made in.
        batcher = Batcher(engine, limits, meters.batches.observe)
        app.state.service = Service(engine, limits, name, meters, batcher)
        worker = asyncio.create_task(batcher.work())
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

    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(HTTPException, _nowhere)
    app.include_router(router)
    app.mount("/page", StaticFiles(directory=PAGE))
    app.mount("/swagger", StaticFiles(directory=swagger_ui_bundle.swagger_ui_path))
    return app


async def _refused(_: Request, refusal: Exception) -> JSONResponse:
    assert isinstance(refusal, Refused)
    return JSONResponse(refusal.detail, refusal.status_code)


async def _nowhere(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)
