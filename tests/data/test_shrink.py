"""A smaller copy of a set is a set, with boxes to match."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from PIL import Image

from mmmc.cli import main
from mmmc.data.formats import look, read
from mmmc.data.pictures import read_picture
from mmmc.data.shrink import shrink
from mmmc.data.transforms import Resize
from mmmc.errors import InputError
from mmmc.recipe import DataConfig
from mmmc.training.sets import open_sets


def test_pictures_and_boxes_shrink_together(tiny_set: Path, tmp_path: Path) -> None:
    shrink(tiny_set, tmp_path / "small", resize=Resize(32, 48))
    before, after = (open_sets(DataConfig(path=str(path))) for path in (tiny_set, tmp_path / "small"))
    for large, small in zip(before, after, strict=True):
        assert len(large) == len(small)
        assert small.categories == large.categories
        for index in range(len(large)):
            height, width = small.size(index)
            assert (height, width) == Resize(32, 48).size(*large.size(index))
            assert read_picture(small.file(index)).shape == (3, height, width)
            factors = np.array([width, height] * 2) / np.array([*large.size(index)[::-1]] * 2)
            np.testing.assert_allclose(small.objects(index).boxes, large.objects(index).boxes * factors, rtol=1e-5)
        np.testing.assert_array_equal(small.annotation_ids, large.annotation_ids)
    # What is seen stays the same but for resampling.
    picture, copy = (read_picture(each[0].file(0)).float().mean(dim=(1, 2)) for each in (before, after))
    assert (picture - copy).abs().max() < 3


def test_every_part_of_any_format_is_shrunk(tiny_set: Path, tmp_path: Path) -> None:
    data = shutil.copytree(tiny_set, tmp_path / "data")
    shutil.copy(data / "annotations/instances_val.json", data / "annotations/instances_test.json")
    assert main(["data", "convert", str(data), "--to", "yolo", "--out", str(tmp_path / "yolo")]) == 0
    for kind, folder in (("coco", data), ("yolo", tmp_path / "yolo")):
        out = tmp_path / f"small-{kind}"
        assert main(["data", "shrink", str(folder), str(out), "--format", kind, "--short", "32"]) == 0
        parts = look(out).parts
        assert [part.part for part in parts] == ["train", "val", "test"]
        assert [len(read(part)) for part in parts] == [len(read(part)) for part in look(data).parts]


def test_pictures_are_read_as_in_training(tiny_set: Path, tmp_path: Path) -> None:
    """16 bits, and transparency laid on white; a damaged picture is named."""
    data = shutil.copytree(tiny_set, tmp_path / "data")
    deep, clear, damaged = (open_sets(DataConfig(path=str(data)))[0].file(index) for index in range(3))
    with Image.open(deep) as image:
        Image.fromarray(np.full(image.size[::-1], 40 * 257, np.uint16)).save(deep)
    with Image.open(clear) as image:
        Image.new("RGBA", image.size, (0, 0, 0, 0)).save(clear)
    shrink(data, tmp_path / "small", resize=Resize(32, 48))
    pictures, _ = open_sets(DataConfig(path=str(tmp_path / "small")))
    assert [read_picture(pictures.file(index)).unique().tolist() for index in range(2)] == [[40], [255]]
    damaged.write_bytes(damaged.read_bytes()[:-200])
    with pytest.raises(InputError, match=f"{damaged.name}: cannot be decoded"):
        shrink(data, tmp_path / "other", resize=Resize(32, 48))


def test_pictures_that_start_from_the_root_are_not_written_over(tiny_set: Path, tmp_path: Path) -> None:
    data = shutil.copytree(tiny_set, tmp_path / "data")
    for picture in (data / "images").iterdir():  # as JPEG, so that their copies would have the same names
        with Image.open(picture) as image:
            image.save(picture.with_suffix(".jpg"))
    for file in (data / "annotations").iterdir():
        content = json.loads(file.read_text())
        for image in content["images"]:
            image["file_name"] = str(data / "images" / Path(image["file_name"]).with_suffix(".jpg").name)
        file.write_text(json.dumps(content))
    before = {file: file.read_bytes() for file in data.rglob("*.*")}
    shrink(data, tmp_path / "small", resize=Resize(32, 48))
    assert {file: file.read_bytes() for file in data.rglob("*.*")} == before
    assert [len(pictures) for pictures in open_sets(DataConfig(path=str(tmp_path / "small")))] == [12, 4]


def test_a_file_of_any_name_is_found_again(tiny_set: Path, tmp_path: Path) -> None:
    data = shutil.copytree(tiny_set, tmp_path / "data")
    (data / "annotations/instances_train.json").rename(data / "annotations/instances_all.json")
    shrink(data / "annotations/instances_all.json", tmp_path / "small", resize=Resize(32, 48))
    (part,) = look(tmp_path / "small").parts
    assert (part.part, len(read(part))) == ("train", 12)


def test_two_pictures_that_would_have_one_name(tiny_set: Path, tmp_path: Path) -> None:
    data = shutil.copytree(tiny_set, tmp_path / "data")
    file = data / "annotations/instances_train.json"
    content = json.loads(file.read_text())
    first, second = content["images"][:2]
    with Image.open(data / "images" / second["file_name"]) as image:
        image.save(data / "images" / f"{first['file_name']}.jpg")
    second["file_name"] = f"{first['file_name']}.jpg"
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=f"{first['file_name']} and {second['file_name']} would both be written as"):
        shrink(data, tmp_path / "small", resize=Resize(32, 48))
    assert not (tmp_path / "small").exists()


def test_nothing_stays_of_half_a_copy(tiny_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: Path, text: str) -> NoReturn:
        raise OSError(28, f"No space left on device for {len(text)} characters in {file.name}")

    monkeypatch.setattr("mmmc.data.shrink.write_text", full)
    with pytest.raises(InputError, match=r"small could not be made: .*No space left"):
        shrink(tiny_set, tmp_path / "small", resize=Resize(32, 48))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_not_written_twice(tiny_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="exists already"):
        shrink(tiny_set, tiny_set, resize=Resize(32, 48))
    assert main(["data", "shrink", str(tiny_set), str(tmp_path / "a"), "--short", "32", "--long", "48"]) == 0
    assert "pictures:" in capsys.readouterr().out
    assert main(["data", "shrink", str(tiny_set), str(tmp_path / "b"), "--quality", "0"]) == 2
    assert "--quality is 0; allowed: 1 to 95." in capsys.readouterr().err
    assert main(["data", "shrnk"]) == 2
    assert "Did you mean 'shrink'" in capsys.readouterr().err
