"""Frames of videos, and videos of frames."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mmmc.errors import InputError
from mmmc.predicting import video as module
from mmmc.predicting.sources import Source
from mmmc.predicting.video import Video, upright, write_video

RATE = Fraction(10)


def grey(value: int, height: int = 48, width: int = 64) -> Tensor:
    return torch.full((3, height, width), value, dtype=torch.uint8)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """Ten frames of a tenth of a second, each lighter than the one before."""
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    write_video(path, (grey(20 * index) for index in range(10)), RATE)
    return Source(str(path), "video")


@pytest.mark.parametrize("every", [1, 3, 20])
def test_frames_have_their_number_time_and_pixels(clip: Source, every: int) -> None:
    with Video(clip) as video:
        assert video.rate == RATE
        frames = list(video.frames(every))
    assert [frame.number for frame in frames] == list(range(0, 10, every))
    for frame in frames:
        assert frame.time == pytest.approx(frame.number / 10)
        assert frame.image.shape == (3, 48, 64)
        assert frame.image.float().mean().item() == pytest.approx(20 * frame.number, abs=3)


def test_rows_and_columns_keep_their_places(tmp_path: Path) -> None:
    image = grey(0)
    image[0, :, :32], image[2, :24] = 200, 200  # red at the left, blue above
    write_video(tmp_path / "a.mp4", [image], RATE)
    with Video(Source(str(tmp_path / "a.mp4"), "video")) as video:
        (frame,) = video.frames()
    for y, x in ((10, 10), (10, 50), (40, 10), (40, 50)):
        torch.testing.assert_close(frame.image[:, y, x].float(), image[:, y, x].float(), rtol=0, atol=30)


def test_odd_and_changing_sizes(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", [grey(50, 49, 65), grey(60, 30, 90)], RATE)
    with Video(Source(str(tmp_path / "a.mp4"), "video")) as video:
        shapes = [frame.image.shape for frame in video.frames()]
    assert shapes == [(3, 48, 64)] * 2


def test_upright() -> None:
    pixels = np.zeros((2, 3, 3), np.uint8)
    pixels[0, 0] = 1  # top left
    assert upright(pixels, 90)[-1, 0, 0] == 1, "counter-clockwise, it is at the bottom left"
    assert upright(pixels, -90)[0, -1, 0] == 1
    assert upright(pixels, -90).shape == (3, 2, 3)
    assert upright(pixels, 180)[-1, -1, 0] == 1


def test_a_camera_is_opened_by_the_systems_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg's test picture stands for it."""
    monkeypatch.setitem(module.CAMERAS, sys.platform, ("lavfi", "testsrc=size=64x48:rate={}"))
    with Video(Source("camera:5", "camera")) as camera:
        frames = camera.frames(2)
        first, second = next(frames), next(frames)
    assert (first.number, second.number) == (0, 2)
    assert second.time == pytest.approx(0.4)
    monkeypatch.setattr(sys, "platform", "plan9")
    with pytest.raises(InputError, match="Cameras are not known on plan9"):
        Video(Source("camera:0", "camera"))


def test_refusals(clip: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(InputError, match=r"text\.mp4 cannot be opened as a video: Invalid data"):
        Video(Source(str(tmp_path / "text.mp4"), "video"))
    with pytest.raises(InputError, match=r"none\.mp4 cannot be opened as a video: No such file"):
        Video(Source("none.mp4", "video"))
    with pytest.raises(InputError, match="A video needs at least one frame"):
        write_video(tmp_path / "empty.mp4", [], RATE)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InputError, match=r"Videos and cameras need PyAV\. Install it by `pip install 'mmmc\[video\]'`"):
        Video(clip)
