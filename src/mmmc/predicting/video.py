"""Frames of video files and cameras, and videos of annotated frames, through PyAV."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from mmmc.errors import InputError
from mmmc.predicting.sources import CAMERA, Source

CAMERAS = {"linux": ("v4l2", "/dev/video{}"), "darwin": ("avfoundation", "{}")}
"""By system: FFmpeg's name of its cameras, and how it names one of them."""


@dataclass(frozen=True)
class Frame:
    """One frame.

    Attributes:
        number: its place among the frames of the video, from 0.
        time: seconds since the first.
        image: as it is displayed: the rotation that phones note beside the pixels is applied.
    """

    number: int
    time: float
    image: UInt8[Tensor, "3 H W"]


class Video:
    """An open video file or camera; to be used in a `with` block.

    Raises:
        InputError: PyAV is not installed, the file or camera cannot be opened, or it has no pictures; names it.
    """

    def __init__(self, source: Source) -> None:
        av = _av()
        self._name = source.name
        self._error = av.FFmpegError
        try:
            if source.kind == "camera":
                kind, place = _camera()
                self._container: Any = av.open(place.format(source.name.removeprefix(CAMERA)), format=kind)
            else:
                self._container = av.open(source.name)
        except (av.FFmpegError, OSError) as error:
            raise InputError(f"{source.name} cannot be opened as a video: {error.strerror}.") from error
        if not self._container.streams.video:
            self._container.close()
            raise InputError(f"{source.name} holds no moving pictures.")
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    @property
    def rate(self) -> Fraction:
        """Frames of a second, on average; 25 where the file does not say."""
        return self._stream.average_rate or self._stream.guessed_rate or Fraction(25)

    def frames(self, every: int = 1) -> Iterator[Frame]:
        """Every so many frames, beginning with the first.

        Raises:
            InputError: the video is damaged; names it and the frame.
        """
        number, start = 0, None
        try:
            for frame in self._container.decode(self._stream):
                # A stream's clock may begin anywhere, and some frames have no time.
                seconds = float(number / self.rate) if frame.time is None else frame.time
                start = seconds if start is None else start
                if number % every == 0:
                    pixels = upright(frame.to_ndarray(format="rgb24"), frame.rotation)
                    yield Frame(number, seconds - start, torch.from_numpy(pixels.copy()).permute(2, 0, 1))
                number += 1
        except self._error as error:
            raise InputError(f"{self._name} cannot be decoded after frame {number}: {error.strerror}.") from error
        if number == 0:
            raise InputError(f"{self._name} holds no frame that can be decoded.")


def upright(pixels: UInt8[np.ndarray, "H W 3"], degrees: float) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Pixels turned counter-clockwise by a multiple of 90 degrees; other angles are rounded to one."""
    return np.rot90(pixels, round(degrees / 90))


def write_video(path: Path, images: Iterable[UInt8[Tensor, "3 _ _"]], rate: Fraction, *, comment: str = "") -> None:
    """Write an MP4 video, perhaps with a comment: H.264 where PyAV brings an encoder, otherwise MPEG-4.

    Colours are stored for blocks of 2 × 2 pixels, so an odd side loses its last row or column of pixels.

    Raises:
        InputError: there is no frame.
        OSError: the file cannot be written.
    """
    av = _av()
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    stream: Any = None
    with _encoding(av), av.open(str(path), "w", format="mp4") as container:
        if comment:
            container.metadata["comment"] = comment
        for image in images:
            if stream is None:
                stream = container.add_stream(codec, rate=rate)
                stream.height, stream.width = (max(2, side - side % 2) for side in image.shape[1:])
                stream.pix_fmt = "yuv420p"
            frame = av.VideoFrame.from_ndarray(_fitted(image, stream.height, stream.width), format="rgb24")
            container.mux(stream.encode(frame))
        if stream is None:
            raise InputError("A video needs at least one frame.")
        container.mux(stream.encode())


def comment_of(path: Path) -> str:
    """The comment that a video carries; nothing of what cannot be opened."""
    av = _av()
    try:
        with av.open(str(path)) as container:
            return str(container.metadata.get("comment", ""))
    except (av.FFmpegError, OSError):
        return ""


@contextmanager
def _encoding(av: Any) -> Iterator[None]:
    try:
        yield
    except av.FFmpegError as error:
        # Not all of PyAV's errors are errors of the system, but here a file is what they are about.
        raise OSError(error.errno, error.strerror) from error


def _fitted(image: UInt8[Tensor, "3 H W"], height: int, width: int) -> UInt8[np.ndarray, "height width 3"]:
    """The pixels of a frame, cut or filled up with black to the size of the video, which its first frame decides."""
    pixels = np.zeros((height, width, 3), np.uint8)
    part = image[:, :height, :width]
    pixels[: part.shape[1], : part.shape[2]] = part.permute(1, 2, 0).numpy()
    return pixels


def _camera() -> tuple[str, str]:
    if sys.platform not in CAMERAS:
        raise InputError(f"Cameras are not known on {sys.platform}. Allowed: {', '.join(CAMERAS)}.")
    return CAMERAS[sys.platform]


def _av() -> Any:
    try:
        import av
    except ImportError:
        raise InputError("Videos and cameras need PyAV. Install it by `pip install 'mmmc[video]'`.") from None
    return av
