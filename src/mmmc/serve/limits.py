"""What a request may cost."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import HTTPException

from mmmc.errors import InputError


@dataclass(frozen=True)
class Limits:
    """Bounds of a server.

    Args:
        body: bytes of a request.
        pixels: of a picture, as its header says; checked before it is decoded.
        upload_seconds: that a body may take to arrive.
        seconds: that a request may wait for its answer.
        queue: requests that wait at a time.
        batch: pictures that go through the network at once.
        wait: seconds that a picture waits for others to share a batch.
        boxes: labels of one picture to be drawn.
    """

    body: int = 20_000_000
    pixels: int = 40_000_000
    upload_seconds: float = 10.0
    seconds: float = 30.0
    queue: int = 64
    batch: int = 8
    wait: float = 0.005
    boxes: int = 300

    def __post_init__(self) -> None:
        for name in ("body", "pixels", "upload_seconds", "seconds", "queue", "batch", "boxes"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is {getattr(self, name)}; allowed: above 0.")
        if self.wait < 0:
            raise InputError(f"wait is {self.wait}; allowed: at least 0.")


class Refused(HTTPException):
    """A request that is not served, with the reason in words and the limit that it broke, if it was one."""

    def __init__(self, status: int, error: str, **limit: float) -> None:
        super().__init__(status, {"error": error, **({"limit": limit} if limit else {})})


def too_many_bytes(limits: Limits) -> Refused:
    return Refused(413, f"The body is too large; allowed: {limits.body} bytes.", body=limits.body)


def too_many_pixels(limits: Limits) -> Refused:
    return Refused(413, f"The picture is too large; allowed: {limits.pixels} pixels.", pixels=limits.pixels)


def too_slow(limits: Limits) -> Refused:
    seconds = limits.upload_seconds
    return Refused(408, f"The body did not arrive in time; allowed: {seconds:g} s.", upload_seconds=seconds)


def too_busy(limits: Limits) -> Refused:
    return Refused(429, f"{limits.queue} requests are waiting already; try again later.", queue=limits.queue)


def too_late(limits: Limits) -> Refused:
    return Refused(429, f"No answer within {limits.seconds:g} s; try again later.", seconds=limits.seconds)
