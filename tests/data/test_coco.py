"""COCO files by hand, and as pycocotools reads them."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path

import numpy as np
import pytest
from coco_content import VALID, read, with_box

from mmmc.data.coco import Categories, read_coco
from mmmc.errors import InputError


def test_objects_labels_and_crowd_by_hand(tmp_path: Path) -> None:
    found = read(tmp_path, VALID)
    assert len(found) == 3
    assert found.categories == Categories(names=("cat", "dog", "zebra"), ids=(2, 17, 90))
    assert [found.image_id(i) for i in range(3)] == [7, 3, 5]
    assert [found.size(i) for i in range(3)] == [(50, 100), (60, 40), (30, 30)]
    assert found.file(1) == tmp_path / "sub" / "b.jpg"
    first, second, third = (found.objects(i) for i in range(3))
    assert first.boxes.tolist() == [[10.25, 20, 40.25, 45.5]]
    assert first.labels.tolist() == [0]
    assert second.boxes.tolist() == [[1, 2, 4, 6], [5, 5, 15, 15]]
    assert second.labels.tolist() == [2, 1]
    assert second.crowd.tolist() == [[0, 0, 40, 60]]
    assert (third.boxes.shape, third.labels.shape, third.crowd.shape) == ((0, 4), (0,), (0, 4))
    assert (first.boxes.dtype, first.labels.dtype, second.crowd.dtype) == (np.float32, np.int64, np.float32)
    assert (found.repairs, found.trimmed) == ([], 0)


def test_crowd_as_background_is_neither_object_nor_ignored(tmp_path: Path) -> None:
    objects = read(tmp_path, VALID, crowd="background").objects(1)
    assert objects.boxes.tolist() == [[1, 2, 4, 6], [5, 5, 15, 15]]
    assert objects.crowd.shape == (0, 4)


def test_boxes_only(tmp_path: Path) -> None:
    content = copy.deepcopy(VALID)
    for annotation in content["annotations"]:
        del annotation["area"], annotation["iscrowd"]
    found = read(tmp_path, content)
    assert found.to_coco()["annotations"][0]["area"] == 30 * 25.5
    assert len(found.objects(1).boxes) == 3


def test_shapes_and_unknown_fields_change_nothing(tmp_path: Path) -> None:
    content = copy.deepcopy(VALID) | {"info": {"id": 1}, "licenses": [{"id": "x"}]}
    shapes = [[[1, 2, 3, 4, 5, 6.5]], [], {"counts": "abc", "size": [60, 40]}, {"counts": [1, 2], "size": [60, 40]}]
    for annotation, shape in zip(content["annotations"], shapes, strict=True):
        annotation |= {"segmentation": shape, "attributes": {"bbox": 1}}
    assert read(tmp_path, content).to_coco() == read(tmp_path, VALID).to_coco()


def test_list_of_pictures_without_annotations(tmp_path: Path) -> None:
    content = {key: VALID[key] for key in ("images", "categories")}
    found = read(tmp_path, content, require_objects=False)
    assert [len(found.objects(i).boxes) for i in range(3)] == [0, 0, 0]
    assert found.to_coco()["annotations"] == []
    with pytest.raises(InputError, match=r"set\.json: no object to train on\. Annotations: 0"):
        read(tmp_path, content)


def test_to_coco_gives_back_the_file(tmp_path: Path) -> None:
    content = with_box([90, 40, 0, -3])
    back = read(tmp_path, content, bad_boxes="drop").to_coco()
    assert back["images"] == content["images"]
    for field in ("annotations", "categories"):
        assert sorted(back[field], key=lambda row: row["id"]) == sorted(content[field], key=lambda row: row["id"])
    json.dumps(back, allow_nan=False)


@pytest.mark.skipif("MMMC_DATA" not in os.environ, reason="MMMC_DATA does not name the folder of real sets")
@pytest.mark.parametrize(("split", "pictures", "boxes"), [("train", 292, 3941), ("val", 72, 945)])
def test_bccd_is_read_as_pycocotools_reads_it(split: str, pictures: int, boxes: int) -> None:
    pycocotools = pytest.importorskip("pycocotools.coco")
    folder = Path(os.environ["MMMC_DATA"]) / "bccd"
    file = folder / "annotations" / f"instances_{split}.json"
    found = read_coco(file, folder / "images")
    assert (len(found), sum(len(found.objects(i).boxes) for i in range(len(found)))) == (pictures, boxes)
    assert sorted(found.categories.names) == ["Platelets", "RBC", "WBC"]
    assert found.repairs == []
    theirs = pycocotools.COCO(file)
    for i in range(len(found)):
        rows = theirs.loadAnns(theirs.getAnnIds(found.image_id(i)))
        xywh = np.array([row["bbox"] for row in rows]).reshape(-1, 4)
        objects = found.objects(i)
        np.testing.assert_array_equal(
            objects.boxes, np.hstack([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]]).astype(np.float32)
        )
        assert [found.categories.ids[label] for label in objects.labels] == [row["category_id"] for row in rows]
