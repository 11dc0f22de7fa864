"""Pictures and a video of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmmc.data.pictures import read_picture
from mmmc.predicting.video import write_video

from .commands import RATE


@pytest.fixture(scope="module")
def files(tiny_set: Path) -> list[str]:
    return sorted(map(str, (tiny_set / "images").glob("val_*.png")))


@pytest.fixture(scope="module")
def clip(files: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The four scored pictures, each for two frames."""
    path = tmp_path_factory.mktemp("clip") / "a.clip.mp4"
    write_video(path, [read_picture(file) for file in files for _ in range(2)], RATE)
    return path
