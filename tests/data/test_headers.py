from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from mmmc.data import headers
from mmmc.data.headers import check_headers
from mmmc.errors import InputError


@dataclass(frozen=True)
class Listed:
    """Pictures all said to be 20 wide and 10 high."""

    images: Path
    names: tuple[str, ...]
    said: tuple[int, int] = (10, 20)

    @property
    def annotations(self) -> Path:
        return self.images / "instances.json"

    def size(self, i: int) -> tuple[int, int]:  # noqa: ARG002
        return self.said


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MMMC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    return tmp_path / "pictures"


def save(file: Path, width: int = 20, height: int = 10, orientation: int = 1) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (width, height)).save(file, exif=exif)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_size_is_that_of_the_picture_as_displayed(folder: Path, suffix: str, orientation: int) -> None:
    name = f"a{suffix}"
    if orientation in (6, 8):
        save(folder / name, 10, 20, orientation)
    else:
        save(folder / name, 20, 10, orientation)
    check_headers(Listed(folder, (name,)))
    with pytest.raises(InputError, match=r"the JSON says width 10, height 20; the picture has width 20, height 10"):
        check_headers(Listed(folder, (name,), said=(20, 10)))


def test_a_size_before_exif_orientation_is_explained(folder: Path) -> None:
    save(folder / "turned.jpg", 20, 10, orientation=6)
    with pytest.raises(InputError, match=r"turned\.jpg: .*width 10, height 20 once it is turned as its EXIF orient"):
        check_headers(Listed(folder, ("turned.jpg",)))


def cut_short(file: Path) -> None:
    save(file)
    os.truncate(file, 12)


def bomb(width: int) -> Callable[[Path], None]:
    def make(file: Path) -> None:
        save(file)
        data = bytearray(file.read_bytes())
        place = data.index(b"\xff\xc0") + 5  # height and width of a JPEG's frame
        data[place : place + 4] = (60_000).to_bytes(2, "big") + width.to_bytes(2, "big")
        file.write_bytes(data)

    return make


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: None, r"bad\.jpg: the file is missing"),
        (lambda file: file.mkdir(), r"bad\.jpg: a folder, not a file"),
        (lambda file: file.write_text("no"), r"bad\.jpg: not a picture that Pillow can read"),
        (lambda file: file.write_bytes(b""), r"bad\.jpg: not a picture that Pillow can read"),
        (cut_short, r"bad\.jpg: its header cannot be read, it may be cut short or damaged: Truncated File Read"),
        (lambda file: save(file, 21), r"bad\.jpg: the JSON says width 20, height 10; the picture has width 21"),
        (bomb(2_000), r"bad\.jpg: 2000 × 60000 are more than \d+ pixels, which Pillow takes for a decompression bomb"),
        (bomb(60_000), r"bad\.jpg: more than \d+ pixels, which Pillow takes for a decompression bomb"),
    ],
    ids=["missing", "folder", "text", "empty", "cut short", "size", "large", "huge"],
)
def test_wrong_pictures_are_named(folder: Path, make: Callable[[Path], None], message: str) -> None:
    save(folder / "good.jpg")
    make(folder / "bad.jpg")
    with pytest.raises(InputError, match=message) as raised:
        check_headers(Listed(folder, ("good.jpg", "bad.jpg")))
    assert str(folder / "instances.json") in str(raised.value)
    assert "good.jpg" not in str(raised.value)


def test_many_wrong_pictures_are_counted(folder: Path) -> None:
    with pytest.raises(InputError, match="… 9 in all") as raised:
        check_headers(Listed(folder, tuple(f"{i}.jpg" for i in range(9))))
    assert str(raised.value).count("is missing") == 5


def test_headers_are_read_once_and_again_when_the_file_changes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    original = headers._read
    monkeypatch.setattr(headers, "_read", lambda file: read.append(file.name) or original(file))
    listed = Listed(folder, ("a.jpg", "b.jpg"))
    for name in listed.names:
        save(folder / name)
    check_headers(listed)
    assert sorted(read) == ["a.jpg", "b.jpg"]
    check_headers(listed)
    assert len(read) == 2
    save(folder / "b.jpg", 30, 10)
    with pytest.raises(InputError, match=r"b\.jpg: .*width 30"):
        check_headers(listed)
    assert read[2:] == ["b.jpg"]
    check_headers(Listed(folder, ("a.jpg",)))
    assert len(read) == 3


def test_turned_pictures_are_remembered_as_turned(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(folder / "turned.jpg", 10, 20, orientation=6)
    listed = Listed(folder, ("turned.jpg",))
    check_headers(listed)
    monkeypatch.setattr(headers, "_read", None)
    check_headers(listed)
    with pytest.raises(InputError, match="once it is turned"):
        check_headers(Listed(folder, ("turned.jpg",), said=(20, 10)))


@pytest.mark.parametrize("content", ["{", "[]", '{"a.jpg": 3}', '{"a.jpg": [1, 2, 3, 4, 5]}', "\x00"])
def test_a_damaged_cache_is_no_error(folder: Path, cache: Path, content: str) -> None:
    save(folder / "a.jpg")
    listed = Listed(folder, ("a.jpg",))
    check_headers(listed)
    (file,) = (cache / "headers").iterdir()
    file.write_text(content)
    check_headers(listed)
    assert "a.jpg" in json.loads(file.read_text())


def test_a_cache_that_cannot_be_written_is_no_error(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(folder / "a.jpg")
    listed = Listed(folder, ("a.jpg",))
    cache.write_text("a file where the folder should be")
    check_headers(listed)
    cache.unlink()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    check_headers(listed)
    assert list((cache / "headers").iterdir()) == []  # nothing half-written stays


def test_pixels_are_not_decoded(folder: Path) -> None:
    for name in ("a.png", "a.jpg"):
        Image.effect_noise((20, 10), 99).convert("RGB").save(folder / name)
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[:-40])  # within the pixels, whatever the noise was
    check_headers(Listed(folder, ("a.png", "a.jpg")))
