"""COCO files and pictures of a folder, found by customary names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmmc.data.formats import Found, look
from mmmc.data.formats.coco import customary
from mmmc.data.formats.find import find_annotations
from mmmc.errors import InputError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def places(found: Found, folder: Path) -> dict[str, tuple[str, str]]:
    """File and folder of pictures of each part."""
    return {
        source.part: (source.annotations.relative_to(folder).as_posix(), source.images.relative_to(folder).as_posix())
        for source in found.parts
    }


@pytest.mark.parametrize(
    ("pictures", "train", "val"),
    [
        (("images/a.jpg",), "images", "images"),
        (("train2017/a.jpg", "val2017/b.png"), "train2017", "val2017"),
        (("images/train2017/a.jpg", "images/val2017/b.JPG"), "images/train2017", "images/val2017"),
        (("train/a.jpg", "val/sub/b.jpg"), "train", "val"),
        (("images/train/a.jpg", "images/val/b.jpg"), "images/train", "images/val"),
        (("train2017/a.jpg", "train/b.jpg", "images/c.jpg"), "train2017", "images"),
        (("train/a.jpg", "images/train/b.jpg", "images/val/c.jpg"), "train", "images/val"),
        (("train2017/readme.txt", "images/c.jpg"), "images", "images"),
        (("a.jpg",), "", ""),
    ],
)
def test_customary_layouts(tmp_path: Path, pictures: tuple[str, ...], train: str, val: str) -> None:
    touch(tmp_path, "annotations/instances_train2017.json", "annotations/instances_val2017.json", *pictures)
    assert places(customary(tmp_path), tmp_path) == {
        "train": ("annotations/instances_train2017.json", train or "."),
        "val": ("annotations/instances_val2017.json", val or "."),
    }


def test_val_may_be_missing(tmp_path: Path) -> None:
    touch(tmp_path, "annotations/instances_train.json", "images/a.jpg")
    assert places(customary(tmp_path), tmp_path) == {"train": ("annotations/instances_train.json", "images")}


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (("train.json", "val.json", "test.json"), {"train": "train.json", "val": "val.json", "test": "test.json"}),
        (("train.json", "valid.json"), {"train": "train.json", "val": "valid.json"}),
        (("instances_default.json",), {"train": "instances_default.json"}),
        (("instances_Train.json", "train.json"), {"train": "train.json"}),
        (("instances_train.json", "train.json"), {"train": "instances_train.json"}),
    ],
)
def test_names_that_other_tools_write(tmp_path: Path, names: tuple[str, ...], parts: dict[str, str]) -> None:
    touch(tmp_path, "images/a.jpg", *(f"annotations/{name}" for name in names))
    found = look(tmp_path)
    assert places(found, tmp_path) == {part: (f"annotations/{name}", "images") for part, name in parts.items()}
    assert find_annotations(tmp_path, "train") == tmp_path / "annotations" / parts["train"]


def test_the_folder_that_holds_the_named_picture_is_taken(tmp_path: Path) -> None:
    """Not the first one with any pictures, as `train/` is here; and a name may lead on from a folder above."""
    touch(tmp_path, "train/crop.jpg", "images/train/a.jpg", "images/val/sub/b.jpg")
    for part, name in (("train", "a.jpg"), ("val", "val/sub/b.jpg")):
        file = tmp_path / "annotations" / f"instances_{part}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({"info": {}, "images": [{"id": 1, "file_name": name}]}))
    assert [source.images for source in customary(tmp_path).parts] == [tmp_path / "images/train", tmp_path / "images"]
    one = tmp_path / "annotations" / "instances_train.json"
    assert look(one).parts[0].images == tmp_path / "images/train"
    one.write_text('{"images": [{"id": 1, "file_name": "ä\\u00e4\\".jpg"}]}')
    assert look(one).parts[0].images == tmp_path / "images"
    (tmp_path / 'ää".jpg').touch()
    assert look(one).parts[0].images == tmp_path


def test_test_pictures_that_are_not_there_are_left_out(tmp_path: Path) -> None:
    names = [f"annotations/instances_{part}.json" for part in ("train", "test")]
    touch(tmp_path, "train/a.jpg", *names)
    found = customary(tmp_path)
    assert [source.part for source in found.parts] == ["train"]
    assert "annotations/instances_test.json is left out, there are no pictures of it" in found.seen
    assert [(flaw.code, flaw.file) for flaw in found.left_out] == [("test-missing", tmp_path / names[1])]
    touch(tmp_path, "test/a.jpg")
    assert places(customary(tmp_path), tmp_path)["test"] == (names[1], "test")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), r"looked for annotations/instances_train\*\.json or train\.json, found in annotations/: no such folder\."),
        (("annotations/other.json", "annotations/instances_val.json"), r"found .*: instances_val\.json, other\.json\."),
        (
            ("annotations/instances_train2014.json", "annotations/instances_train2017.json"),
            r"2 files match instances_train\*\.json: instances_train2014\.json, instances_train2017\.json\. Allowed",
        ),
        (
            ("annotations/instances_train.json", "photos/a.jpg"),
            r"pictures of instances_train\.json in train/, images/train/, images/ and .*: annotations/, photos/\.",
        ),
        (
            ("annotations/instances_train.json", "annotations/instances_val.json", "train/a.jpg"),
            r"pictures of instances_val\.json in val/",
        ),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    touch(tmp_path, *names)
    with pytest.raises(InputError, match=message):
        customary(tmp_path)


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: there is no such folder"):
        customary(tmp_path / "nowhere")
