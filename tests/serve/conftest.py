"""Servers of tests."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="needs the extra serve")

from fastapi.testclient import TestClient

from mmmc.serve import Found, Limits, make_app


class Mute:
    """An engine that finds a cat as large as the picture, as sure as its first pixel is bright, and a dog below 0.3."""

    names = ("cat", "dog")

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, pictures: Sequence[Image.Image]) -> list[list[Found]]:
        self.batches.append(len(pictures))
        return [
            [
                Found(0, picture.convert("L").getpixel((0, 0)) / 255, (0, 0, *picture.size)),  # type: ignore[operator]
                Found(1, 0.3, (0, 0, 1, 1)),
            ]
            for picture in pictures
        ]


class Grey(Mute):
    """One that draws as well."""

    def draw(self, figure: str, picture: Image.Image, boxes: Any, labels: Any) -> bytes:
        return f"{figure} {picture.size} {boxes} {labels}".encode()


def picture(size: tuple[int, int] = (20, 10), grey: int = 204, kind: str = "PNG", **more: Any) -> bytes:
    """A picture file of one grey."""
    file = io.BytesIO()
    Image.new("RGB", size, (grey,) * 3).save(file, kind, **more)
    return file.getvalue()


LIMITS = Limits(body=20_000, pixels=10_000, upload_seconds=1, seconds=5, queue=8, batch=4, boxes=3)


@pytest.fixture
def engine() -> Grey:
    return Grey()


@pytest.fixture
def client(engine: Grey) -> Iterator[TestClient]:
    with TestClient(make_app(engine, LIMITS, name="grey", hosts=["testserver"])) as client:
        yield client
