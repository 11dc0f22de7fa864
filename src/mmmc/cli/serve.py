"""`mmmc serve`."""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import Namespace

from mmmc.cli.arguments import add_run, open_run, parse, verb_parser
from mmmc.errors import InputError
from mmmc.runtime import OPENERS, load

if TYPE_CHECKING:
    from mmmc.serve import Engine

LIMITS = {
    "body": "bytes of a request",
    "pixels": "pixels of a picture",
    "upload_seconds": "seconds that a body may take to arrive",
    "seconds": "seconds that a request may wait for its answer",
    "queue": "requests that wait at a time",
    "batch": "pictures that go through the network at once",
}
"""Limits that flags set; they are those of `mmmc.serve.Limits`."""


def run(arguments: Sequence[str]) -> None:
    """Serve a detector over HTTP until interrupted."""
    try:
        import uvicorn

        from mmmc.serve import Limits, make_app
    except ImportError as error:
        raise InputError(f"mmmc serve needs {error.name}: pip install 'mmmc[serve]'") from error
    parser = verb_parser(
        "serve",
        "Serve a detector over HTTP: a page for people at /, POST /predict for programs, /docs describes it.",
    )
    add_run(parser, exported=True)
    parser.add_argument("--host", type=str, default="127.0.0.1", help="address to listen on; 0.0.0.0 for all")
    parser.add_argument("--port", type=int, default=8000, help="0 for any that is free")
    defaults = {field.name: field.default for field in fields(Limits)}
    for name, sentence in LIMITS.items():
        parser.add_argument(f"--{name}", type=type(defaults[name]), default=defaults[name], help=sentence)
    config = parse(parser, arguments)
    limits = Limits(**{name: config[name] for name in LIMITS})
    engine = _engine(config)
    local = config.host in ("127.0.0.1", "localhost", "::1")
    app = make_app(
        engine,
        limits,
        name=Path(config.run).resolve().name,
        hosts=["127.0.0.1", "localhost", "[::1]", "::1"] if local else None,
    )
    listening = _listen(config.host, config.port)
    host, port = listening.getsockname()[:2]
    print(f"http://{f'[{host}]' if ':' in host else host}:{port}  (Ctrl-C ends it)", flush=True)
    if not local:
        print(
            "It listens beyond this machine, without passwords or encryption: put a proxy in front of it.", flush=True
        )
    # It warns of each malformed form, and strangers may send as many as they like.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    settings = uvicorn.Config(app, log_level="warning", timeout_keep_alive=5, timeout_graceful_shutdown=5)
    uvicorn.Server(settings).run(sockets=[listening])


def _engine(config: Namespace) -> Engine:
    from mmmc.serve import FileEngine, RunEngine

    if Path(config.run).suffix not in OPENERS:
        return RunEngine(open_run(config))
    if config.weights != "best":
        raise InputError(f"--weights is {config.weights}; an exported file holds those that it was written with.")
    if config.device not in ("auto", "cpu"):
        raise InputError(f"--device is {config.device}; an exported file runs on the CPU.")
    return FileEngine(load(config.run))


def _listen(host: str, port: int) -> socket.socket:
    # Some C libraries take a larger number modulo 65,536.
    if not 0 <= port <= 65535:
        raise InputError(f"--port is {port}; allowed: 0 to 65535.")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise InputError(f"--host {host} --port {port} cannot be listened on: {error}.") from error
