from __future__ import annotations

from pathlib import Path

import pytest

from mmmc.data.find import SetFiles, find_sets
from mmmc.errors import InputError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


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
    assert find_sets(str(tmp_path)) == SetFiles(
        tmp_path / "annotations/instances_train2017.json",
        tmp_path / train,
        tmp_path / "annotations/instances_val2017.json",
        tmp_path / val,
    )


def test_val_may_be_missing(tmp_path: Path) -> None:
    touch(tmp_path, "annotations/instances_train.json", "images/a.jpg")
    found = find_sets(tmp_path)
    assert found.train_images == tmp_path / "images"
    assert (found.val_annotations, found.val_images) == (None, None)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), r"looked for annotations/instances_train\*\.json, found in annotations/: no such folder\."),
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
        find_sets(tmp_path)


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: there is no such folder"):
        find_sets(tmp_path / "nowhere")
