"""Parts of a set, holdouts, and two sets that belong together."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coco_content import VALID, put, read

from mmmc.data.coco import Categories, CocoSet, check_agreement
from mmmc.errors import InputError


def random_set(folder: Path, pictures: int, seed: int, order: np.ndarray | None = None) -> CocoSet:
    rng = np.random.default_rng(seed)
    content = {
        "images": [{"id": 50 + i, "file_name": f"{i}.jpg", "width": 100, "height": 80} for i in range(pictures)],
        "annotations": [
            {
                "id": 1 + k,
                "image_id": 50 + int(rng.integers(pictures)),
                "category_id": int(rng.choice([2, 17, 90])),
                "bbox": (rng.random(4) * 39 + 1).tolist(),
                "iscrowd": int(rng.random() < 0.2),
            }
            for k in range(5 * pictures)
        ],
        "categories": VALID["categories"],
    }
    if order is not None:
        content["images"] = [content["images"][i] for i in order]
    return read(folder, content)


def as_lists(found: CocoSet, i: int) -> list[Any]:
    objects = found.objects(i)
    return [found.image_id(i), found.file(i), objects.boxes.tolist(), objects.labels.tolist(), objects.crowd.tolist()]


def test_a_subset_holds_the_same_pictures_with_the_same_objects(tmp_path: Path) -> None:
    whole = random_set(tmp_path, 12, 0)
    chosen = [7, 0, 11, 3]
    part = whole.subset(chosen)
    assert [as_lists(part, i) for i in range(4)] == [as_lists(whole, i) for i in chosen]
    ids = {whole.image_id(i) for i in chosen}
    expected = [row for row in whole.to_coco()["annotations"] if row["image_id"] in ids]
    assert sorted(part.to_coco()["annotations"], key=lambda row: row["id"]) == sorted(
        expected, key=lambda row: row["id"]
    )
    assert len(whole.subset([])) == 0
    with pytest.raises(ValueError, match="twice"):
        whole.subset([1, 1])


def test_annotations_of_a_picture_keep_the_order_of_the_file(tmp_path: Path) -> None:
    found = random_set(tmp_path, 30, 0)
    for start, end in zip(found.offsets[:-1], found.offsets[1:], strict=True):
        assert (np.diff(found.annotation_ids[start:end]) > 0).all()


def test_the_holdout_depends_on_the_file_names_alone(tmp_path: Path) -> None:
    train, held = random_set(tmp_path, 10, 0).holdout(0.3)
    # sha256sum of "0.jpg" … "9.jpg": the three that come first.
    assert held.names == ("0.jpg", "1.jpg", "5.jpg")
    assert train.names == tuple(f"{i}.jpg" for i in (2, 3, 4, 6, 7, 8, 9))
    shuffled = random_set(tmp_path, 10, 3, order=np.random.default_rng(1).permutation(10)).holdout(0.3)[1]
    assert set(shuffled.names) == set(held.names)


@pytest.mark.parametrize(("fraction", "held"), [(0.01, 1), (0.2, 1), (0.5, 2), (0.99, 4)])
def test_each_part_of_a_holdout_has_a_picture(tmp_path: Path, fraction: float, held: int) -> None:
    assert [len(part) for part in random_set(tmp_path, 5, 0).holdout(fraction)] == [5 - held, held]


def test_a_holdout_that_cannot_be_is_refused(tmp_path: Path) -> None:
    whole = random_set(tmp_path, 5, 0)
    for fraction in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(InputError, match=r"between 0 and 1"):
            whole.holdout(fraction)
    with pytest.raises(InputError, match=r"1 picture cannot be split"):
        whole.subset([0]).holdout()


def test_categories_go_to_plain_lists_and_back() -> None:
    categories = Categories(names=("cat", "dog"), ids=(2, 17))
    values = json.loads(json.dumps(categories.to_dict()))
    assert Categories.from_dict(values) == categories
    assert len(categories) == 2


def test_val_with_fewer_categories_takes_the_class_indices_of_train(tmp_path: Path) -> None:
    train = read(tmp_path, VALID)
    content = copy.deepcopy(VALID)
    content["categories"].pop(1)  # cat, class 0
    content["annotations"].pop(1)
    val = read(tmp_path, content)
    assert val.objects(1).labels.tolist() == [1, 0]
    agreed = check_agreement(train, val)
    assert agreed.objects(1).labels.tolist() == train.objects(1).labels.tolist() == [2, 1]
    assert agreed.to_coco()["annotations"] == val.to_coco()["annotations"]
    assert agreed.notes == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("categories", 0, "name", "horse"), r"not in train: 'horse'\n  train: .*'zebra'\n  val: .*'horse'"),
        (
            lambda content: content["categories"].append({"id": 91, "name": "cow"}),
            r"not in train: 'cow'\n",
        ),
    ],
)
def test_sets_that_disagree_are_refused(tmp_path: Path, change: Callable[[Any], None], message: str) -> None:
    train = read(tmp_path, VALID)
    content = copy.deepcopy(VALID)
    change(content)
    (tmp_path / "val").mkdir()
    with pytest.raises(InputError, match=r"val/set\.json: categories disagree with (.|\n)*" + message):
        check_agreement(train, read(tmp_path / "val", content))


def test_names_decide_whatever_order_and_ids(tmp_path: Path) -> None:
    train = read(tmp_path, VALID)
    content = copy.deepcopy(VALID)
    for category in content["categories"]:
        category["id"] = 200 - category["id"]
    for annotation in content["annotations"]:
        annotation["category_id"] = 200 - annotation["category_id"]
    (tmp_path / "val").mkdir()
    agreed = check_agreement(train, read(tmp_path / "val", content))
    assert agreed.labels.tolist() == train.labels.tolist()
    assert agreed.categories == train.categories
    (note,) = agreed.notes
    assert note.endswith(
        f"val/set.json has other category ids than {train.annotations}; the latter's are used, in results too"
    )
