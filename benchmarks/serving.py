"""A server under load: clients that ask at once, and requests that mean no good.

    python -m benchmarks.serving RUN PICTURE --clients 8 --seconds 60 --out FILE

Prints and writes medians and 95th percentiles of the answers' times, what 500 malformed requests were answered and how
soon, and the server's memory before and after. The status is 1 if an answer was wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import statistics
import struct
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks.result import machine

HOSTILE = 500
SOON = 1.0
"""Seconds within which a malformed request must be answered."""


@contextmanager
def server(run: str) -> Iterator[tuple[str, int]]:
    """Address and process id of `mmmc serve`."""
    command = [sys.executable, "-m", "mmmc", "serve", run, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.match(r"http://\S+", process.stdout.readline())
        assert found is not None, "the server did not begin"
        yield found.group(), process.pid
        process.send_signal(signal.SIGINT)


def client(address: str, picture: bytes, until: float) -> list[tuple[float, int]]:
    """Seconds and status of one request after the other."""
    seen = []
    with httpx.Client(base_url=address, timeout=60) as session:
        while time.monotonic() < until:
            began = time.perf_counter()
            answer = session.post("/predict", content=picture, headers={"content-type": "image/jpeg"})
            seen.append((time.perf_counter() - began, answer.status_code))
    return seen


def hostile(draw: random.Random, picture: bytes) -> dict[str, Any]:
    """A request that must be refused, as arguments of httpx."""
    raw = {"content-type": "image/png"}
    kinds: list[dict[str, Any]] = [
        {"content": picture[: draw.randrange(len(picture) // 2)], "headers": raw},
        {"content": bomb(30_000, 30_000), "headers": raw},
        {"content": draw.randbytes(draw.randrange(2000)), "headers": raw},
        {"content": picture, "headers": {"content-type": draw.choice(["text/html", "video/mp4", "x"])}},
        {"json": {"image": "A" * 27_000_000}},
        {"json": {"image": draw.choice(["../../../etc/passwd", "file:///etc/passwd", "http://127.0.0.1/"])}},
        {"json": {draw.choice(["picture", "url", ""]): "AAAA"}},
        {"content": b"[" * draw.randrange(1, 100_000), "headers": {"content-type": "application/json"}},
        {"files": {draw.choice(["image", "../file"]): ("../../a.png", draw.randbytes(50))}},
        {"content": draw.randbytes(300), "headers": {"content-type": "multipart/form-data; boundary=x"}},
        {"content": picture, "headers": {"content-type": "image/jpeg"}, "params": {"threshold": "nan"}},
    ]
    return draw.choice(kinds)


def bomb(width: int, height: int) -> bytes:
    """A small PNG that unpacks to three bytes of each of so many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * (3 * width + 1) * 10)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def resident(process: int) -> int:
    """Bytes of memory that a process holds."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def measured(run: str, picture: bytes, clients: int, seconds: float) -> dict[str, Any]:
    """All figures of one server."""
    draw = random.Random(0)
    with server(run) as (address, process), httpx.Client(base_url=address, timeout=60) as session:
        client(address, picture, time.monotonic() + 3)  # warm
        until = time.monotonic() + seconds
        with ThreadPoolExecutor(clients) as pool:
            answers = [
                one for each in pool.map(lambda _: client(address, picture, until), range(clients)) for one in each
            ]
        before = resident(process)
        refusals = []
        for _ in range(HOSTILE):
            request = hostile(draw, picture)
            began = time.perf_counter()
            answer = session.post("/predict", **request)
            refusals.append((time.perf_counter() - began, answer.status_code))
        after = resident(process)
        last = session.post("/predict", content=picture, headers={"content-type": "image/jpeg"}).status_code
    times = sorted(one for one, _ in answers)
    return {
        "clients": clients,
        "requests": len(answers),
        "requests a second": len(answers) / seconds,
        "status": dict(Counter(status for _, status in answers)),
        "p50": statistics.median(times),
        "p95": times[int(0.95 * (len(times) - 1))],
        "hostile": dict(Counter(status for _, status in refusals)),
        "hostile slowest": max(one for one, _ in refusals),
        "memory before": before,
        "memory after": after,
        "next": last,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    found = measured(given.run, given.picture.read_bytes(), given.clients, given.seconds)
    text = json.dumps({**found, "machine": machine()}, indent=1)
    print(text)
    if given.out:
        given.out.write_text(text + "\n", encoding="utf-8")
    sound = set(found["status"]) == {200} and found["next"] == 200 and found["hostile slowest"] <= SOON
    return 0 if sound and all(400 <= status < 500 for status in found["hostile"]) else 1


if __name__ == "__main__":
    sys.exit(main())
