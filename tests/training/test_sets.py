"""Which pictures a recipe trains on and scores."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mmmc.errors import InputError
from mmmc.recipe import DataConfig
from mmmc.training.sets import open_sets


def test_a_folder_and_what_overrules_it(tiny_set: Path, tmp_path: Path) -> None:
    train, val = open_sets(DataConfig(path=str(tiny_set)))
    assert (len(train), len(val)) == (12, 4)
    other = shutil.copy(tiny_set / "annotations/instances_val.json", tmp_path / "other.json")
    train, val = open_sets(DataConfig(path=str(tiny_set), train_annotations=str(other)))
    assert (len(train), len(val)) == (4, 4)
    annotations, images = str(tiny_set / "annotations/instances_train.json"), str(tiny_set / "images")
    named = DataConfig(
        train_annotations=annotations, train_images=images, val_annotations=str(other), val_images=images
    )
    assert [len(pictures) for pictures in open_sets(named)] == [12, 4]


def test_a_holdout_leaves_the_validation_pictures_alone(tiny_set: Path) -> None:
    whole, _ = open_sets(DataConfig(path=str(tiny_set)))
    train, held = open_sets(DataConfig(path=str(tiny_set), holdout=0.25))
    assert (len(train), len(held)) == (9, 3)
    assert sorted(train.names + held.names) == sorted(whole.names)


def test_a_holdout_that_leaves_no_object(tiny_set: Path, tmp_path: Path) -> None:
    data = shutil.copytree(tiny_set, tmp_path / "data")
    _, held = open_sets(DataConfig(path=str(tiny_set), holdout=0.25))
    file = data / "annotations/instances_train.json"
    content = json.loads(file.read_text())
    kept = {image["id"] for image in content["images"] if image["file_name"] in held.names}
    content["annotations"] = [one for one in content["annotations"] if one["image_id"] in kept]
    file.write_text(json.dumps(content))
    with pytest.raises(
        InputError, match=r"data\.holdout is 0\.25, which leaves no object to train on\. Allowed: a share"
    ):
        open_sets(DataConfig(path=str(data), holdout=0.25))


def test_nothing_to_train_on_or_to_score(tiny_set: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing to train on: name .*data\.train_annotations and data\.train_images"):
        open_sets(DataConfig())
    data = shutil.copytree(tiny_set, tmp_path / "data")
    (data / "annotations/instances_val.json").unlink()
    with pytest.raises(InputError, match=r"data has no pictures to score\. .*holdout 0\.2.*data\.val_annotations"):
        open_sets(DataConfig(path=str(data)))
    assert len(open_sets(DataConfig(path=str(data), holdout=0.25))[1]) == 3
