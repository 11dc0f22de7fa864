"""`mmmc predict` on videos and cameras."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from torch import Tensor

import mmmc
from mmmc.data.pictures import read_picture
from mmmc.predicting import video as video_module
from mmmc.predicting.sources import Source
from mmmc.predicting.video import Video

from .commands import LOW, RATE, Capture, listed, names, predict


def test_frames_of_a_video(tiny_run: Path, files: list[str], clip: Path, tmp_path: Path, capsys: Capture) -> None:
    predict(tiny_run, tmp_path, str(clip), files[0], *LOW, "--every", "2")
    assert re.fullmatch(r"\d+ objects in 1 picture and 4 frames: .*\n", capsys.readouterr().out)
    *frames, picture = listed(tmp_path)
    assert [(frame["frame"], frame["time"], frame["copy"]) for frame in frames] == [
        (number, number / 10, "a.clip.mp4") for number in (0, 2, 4, 6)
    ]
    assert "frame" not in picture
    assert names(tmp_path) == ["a.clip.mp4", "detections.json", "val_00000.jpg"]
    with Video(Source(str(tmp_path / "a.clip.mp4"), "video")) as copy:
        assert copy.rate == RATE / 2
        images = [frame.image for frame in copy.frames()]
    assert len(images) == 4
    predict(tiny_run, tmp_path / "bare", str(clip), "--threshold", "1", "--every", "2")
    with Video(Source(str(tmp_path / "bare/a.clip.mp4"), "video")) as copy:
        bare = [frame.image for frame in copy.frames()]
    # Without boxes a frame is its picture but for what a codec loses; with boxes it is more than that.
    originals = [read_picture(file) for file in files]
    for image, without, original in zip(images, bare, originals, strict=True):
        lost = difference(without, original)
        assert lost == min(difference(without, other) for other in originals)
        assert difference(image, original) > 1.5 * lost


def difference(image: Tensor, other: Tensor) -> float:
    return (image.float() - other.float()).abs().mean().item()


def test_frames_as_pictures_and_labels(tiny_run: Path, clip: Path, tmp_path: Path) -> None:
    some = ("--every", "3", "--limit", "2", "--frames", "true", "--format", "yolo")
    predict(tiny_run, tmp_path, str(clip), *LOW, *some)
    frames = ("a.clip/000000", "a.clip/000003")
    assert names(tmp_path) == [
        *(f"{f}.jpg" for f in frames),
        "classes.txt",
        *(f"labels/{f}.txt" for f in frames),
        "pictures.csv",
    ]


def test_a_camera_ends_by_the_limit_or_ctrl_c(tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(video_module.CAMERAS, sys.platform, ("lavfi", "testsrc=size=64x64:rate=5:n={}"))
    predict(tiny_run, tmp_path / "a", "camera:0", *LOW, "--limit", "2")
    assert [entry["frame"] for entry in listed(tmp_path / "a")] == [0, 1]
    assert names(tmp_path / "a") == ["camera-0.mp4", "detections.json"]

    reading = Video.frames

    def interrupted(self: Video, every: int = 1) -> Iterator[Any]:
        for frame in reading(self, every):
            if frame.number == 3:
                os.kill(os.getpid(), signal.SIGINT)
            yield frame

    monkeypatch.setattr(Video, "frames", interrupted)
    handler = signal.getsignal(signal.SIGINT)
    predict(tiny_run, tmp_path / "b", "camera:0", *LOW)
    assert [entry["frame"] for entry in listed(tmp_path / "b")] == [0, 1, 2]
    assert names(tmp_path / "b") == ["camera-0.mp4", "detections.json"]
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.parametrize("kind", ["video", "frames"])
def test_an_interrupted_video_leaves_nothing(
    tiny_run: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    reading = Video.frames

    def interrupted(self: Video, every: int = 1) -> Iterator[Any]:
        for frame in reading(self, every):
            if frame.number == 3:
                raise KeyboardInterrupt
            yield frame

    monkeypatch.setattr(Video, "frames", interrupted)
    predict(tiny_run, tmp_path, str(clip), "--batch", "1", "--frames", str(kind == "frames").lower(), status=130)
    assert list(tmp_path.iterdir()) == []


def test_a_video_that_breaks_off_leaves_nothing_of_itself(
    tiny_run: Path, files: list[str], clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = Video.frames

    def breaking(self: Video, every: int = 1) -> Iterator[Any]:
        for frame in reading(self, every):
            if frame.number == 3:
                raise mmmc.InputError("a.clip.mp4 cannot be decoded after frame 3.")
            yield frame

    monkeypatch.setattr(Video, "frames", breaking)
    for frames in ("true", "false"):
        out = tmp_path / frames
        predict(tiny_run, out, str(clip), files[0], *LOW, "--batch", "2", "--frames", frames, status=1)
        assert [entry["file"] for entry in listed(out)] == files[:1]
        assert names(out) == ["detections.json", "val_00000.jpg"]


def test_frames_of_ones_own_are_not_overwritten(tiny_run: Path, clip: Path, tmp_path: Path, capsys: Capture) -> None:
    own = tmp_path / clip.stem / "000000.jpg"
    own.parent.mkdir()
    Image.new("RGB", (8, 8)).save(own)
    predict(tiny_run, tmp_path, str(clip), *LOW, "--frames", "true", status=2)
    assert f"would overwrite {own}, which is no copy" in capsys.readouterr().err
    own.unlink()
    for frames in ("true", "false"):
        for _ in range(2):
            predict(tiny_run, tmp_path, str(clip), *LOW, "--limit", "2", "--frames", frames)


def test_a_video_is_not_overwritten(tiny_run: Path, clip: Path, capsys: Capture) -> None:
    before = clip.read_bytes()
    predict(tiny_run, clip.parent, str(clip), status=2)
    assert f"copy of {clip} would overwrite" in capsys.readouterr().err
    assert clip.read_bytes() == before
