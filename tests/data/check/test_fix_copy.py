"""The repaired copy as files: pictures saved upright, folders, sets that cannot be copied, the command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmmc.cli import main
from mmmc.data.check.fix import fix
from mmmc.errors import InputError

from .planted import FIRST, ROWS, append, box, digest, spoiled, turned


def test_a_turned_picture_looks_as_before(clean: dict[str, Path], tmp_path: Path) -> None:
    at = spoiled(clean, tmp_path, "coco", turned)
    fix(at, tmp_path / "out")
    with Image.open(at / FIRST) as before, Image.open(tmp_path / "out" / FIRST) as after:
        assert after.getexif().get(0x0112, 1) == 1
        np.testing.assert_array_equal(np.asarray(after), np.asarray(before.rotate(180)))


def test_what_a_turned_picture_is_saved_as(clean: dict[str, Path], tmp_path: Path) -> None:
    """By its content: a lossless file stays so, of a phone's file with two pictures the first is a good JPEG."""
    at = spoiled(clean, tmp_path, "coco", turned)
    exif = Image.Exif()
    exif[0x0112] = 3
    with Image.open(at / FIRST) as picture:
        pixels = picture.convert("RGB")
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*pixels.size[::-1], 3), dtype=np.uint8))
    noise.save(at / FIRST, format="WEBP", exif=exif, lossless=True)
    fix(at, tmp_path / "webp")
    with Image.open(at / FIRST) as before, Image.open(tmp_path / "webp" / FIRST) as after:
        assert after.format == "WEBP"
        np.testing.assert_array_equal(np.asarray(after), np.asarray(before.rotate(180)))
    noise.save(at / FIRST, format="MPO", exif=exif, append_images=[noise], save_all=True)
    fix(at, tmp_path / "mpo")
    with Image.open(tmp_path / "mpo" / FIRST) as after:
        assert (after.format, after.quantization[0][0]) == ("JPEG", 2), "8 is quality 75, Pillow's own"


def test_the_copy_of_a_set_that_nobody_may_write_to(clean: dict[str, Path], tmp_path: Path) -> None:
    at = spoiled(clean, tmp_path, "coco", turned)
    for place in (at, *(folder for folder in at.rglob("*") if folder.is_dir())):
        place.chmod(0o555)
    try:
        fix(at, tmp_path / "out")
    finally:
        for place in (at, *(folder for folder in at.rglob("*") if folder.is_dir())):
            place.chmod(0o755)
    # Root may write anywhere, so the modes are looked at.
    assert all(place.stat().st_mode & 0o700 == 0o700 for place in (tmp_path / "out").rglob("*") if place.is_dir())


def test_a_set_that_lies_elsewhere_is_not_repaired(clean: dict[str, Path], tmp_path: Path) -> None:
    at = spoiled(clean, tmp_path, "yolo", append(ROWS, "0 1.2 0.5 0.9 0.2\n"))
    (at / "data.yaml").write_text(f"path: {at}\n" + (at / "data.yaml").read_text())
    before = digest(at)
    with pytest.raises(InputError, match="train lies outside"):
        fix(at, tmp_path / "out")
    assert digest(at) == before
    assert not (tmp_path / "out").exists()
    for out, why in ((at / "in", "lies in"), (clean["coco"], "exists already")):
        with pytest.raises(InputError, match=why):
            fix(at, out)


def test_the_command(clean: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = spoiled(clean, tmp_path, "coco", box(58, 9, 9, 9))
    assert main(["data", "check", str(at), "--fix", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "1 repairs:\n  1 × box-reaches-out: " in said
    assert "0 findings left" in said
    box(70, 9, 5, 5)(at)
    assert main(["data", "check", str(at), "--fix", str(tmp_path / "other")]) == 1
    assert "error 1 × box-outside. See whether" in capsys.readouterr().out
    assert main(["data", "check", str(at), "--fix", "x", "--out", "y"]) == 2
    assert "allowed: one of them" in capsys.readouterr().err
