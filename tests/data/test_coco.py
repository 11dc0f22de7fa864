from __future__ import annotations

import copy
import inspect
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mmmc.data.coco import Categories, CocoSet, check_agreement, judge, read_coco
from mmmc.data.sets import Fault
from mmmc.errors import InputError

NAN, INF = float("nan"), float("inf")

VALID: dict[str, Any] = {
    "images": [
        {"id": 7, "file_name": "a.jpg", "width": 100, "height": 50},
        {"id": 3, "file_name": "sub/b.jpg", "width": 40, "height": 60},
        {"id": 5, "file_name": "c.jpg", "width": 30, "height": 30},
    ],
    "annotations": [
        {"id": 11, "image_id": 3, "category_id": 90, "bbox": [1, 2, 3, 4], "area": 9, "iscrowd": 0},
        {"id": 12, "image_id": 7, "category_id": 2, "bbox": [10.25, 20, 30, 25.5], "area": 700.5, "iscrowd": 0},
        {"id": 10, "image_id": 3, "category_id": 90, "bbox": [0, 0, 40, 60], "area": 2000, "iscrowd": 1},
        {"id": 13, "image_id": 3, "category_id": 17, "bbox": [5, 5, 10, 10], "area": 100, "iscrowd": 0},
    ],
    "categories": [{"id": 90, "name": "zebra"}, {"id": 2, "name": "cat"}, {"id": 17, "name": "dog"}],
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMMC_CACHE", str(tmp_path / "cache"))


def write(folder: Path, content: Any) -> Path:
    file = folder / "set.json"
    file.write_text(json.dumps(content))
    return file


def read(folder: Path, content: Any, **options: Any) -> CocoSet:
    return read_coco(write(folder, content), folder, check_headers=False, **options)


def with_box(box: Any, **fields: Any) -> dict[str, Any]:
    """VALID with another box for annotation 12, in the picture of 100 × 50."""
    content = copy.deepcopy(VALID)
    content["annotations"][1] |= {"bbox": box, **fields}
    return content


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


# Faults of boxes. What training sees of each when it is dropped or clipped.
BAD_BOXES = [
    ([NAN, 20, 30, 25], "NaN", "not four finite numbers", None),
    ([10, 20, INF, 25], "Infinity", "not four finite numbers", None),
    ([10, 20, 30], r"\[10, 20, 30\]", "not four finite numbers", None),
    ([10, 20, 30, "40"], r'"40"', "not four finite numbers", None),
    ([10, 20, 30, True], "true", "not four finite numbers", None),
    ([10, 20, 30, 10**400], "1000", "not four finite numbers", None),
    (None, "null", "not four finite numbers", None),
    ({"x": 1}, r'\{"x": 1\}', "not four finite numbers", None),
    ([10, 20, 0, 25], r"0, 25", "without area", None),
    ([40, 20, -30, 25], "-30", "without area", None),
    ([10, 20, 30, 1e-7], "1e-07", "without area", None),
    ([120, 20, 30, 25], "120", "outside the picture", None),
    ([-30, 20, 30, 25], "-30", "outside the picture", None),
    ([100, 20, 0.5, 25], "100", "outside the picture", None),
    ([10, 20, 91.5, 25], "91.5", "reaches outside the picture by more than 1 px", [10, 20, 100, 45]),
    ([-5, -6, 300, 300], "-5", "reaches outside the picture by more than 1 px", [0, 0, 100, 50]),
    ([-1e308, -1e308, 1.7e308, 1.7e308], "e\\+308", "reaches outside the picture by more than 1 px", [0, 0, 100, 50]),
]


@pytest.mark.parametrize(("box", "value", "fault", "clipped"), BAD_BOXES)
def test_bad_boxes(tmp_path: Path, box: Any, value: str, fault: str, clipped: list[float] | None) -> None:
    content = with_box(box)
    message = rf"set\.json: wrong bbox.*bad_boxes=drop.*\n  annotation 12 \(image 7\): bbox is .*{value}.*: {fault}"
    with pytest.raises(InputError, match=message):
        read(tmp_path, content)
    dropping, clipping = (read(tmp_path, content, bad_boxes=option) for option in ("drop", "clip"))
    assert dropping.objects(0).boxes.tolist() == []
    assert clipping.objects(0).boxes.tolist() == ([clipped] if clipped else [])
    for found, action in ((dropping, "dropped"), (clipping, "clipped" if clipped else "dropped")):
        (repair,) = found.repairs
        assert (repair.annotation_id, repair.image_id, repair.fault) == (12, 7, fault)
        assert (repair.action, repair.file) == (action, tmp_path / "set.json")
        assert len(found.objects(1).boxes) == 2
        scored = {row["id"]: row for row in found.to_coco()["annotations"]}
        assert (12 in scored) == ("finite" not in fault)
        assert 12 not in scored or scored[12]["bbox"] == box


def test_all_bad_boxes_are_counted_and_five_shown(tmp_path: Path) -> None:
    content = copy.deepcopy(VALID)
    content["annotations"] += [
        {"id": id, "image_id": 5, "category_id": 2, "bbox": [1, 1, 0, id]} for id in range(100, 109)
    ]
    with pytest.raises(InputError, match=r"(?s)annotation 100 .*annotation 104 .*… 9 in all") as raised:
        read(tmp_path, content)
    assert "annotation 105" not in str(raised.value)
    found = read(tmp_path, content, bad_boxes="drop")
    assert [repair.annotation_id for repair in found.repairs] == list(range(100, 109))
    assert [repair.annotation_id for repair in found.subset([0, 1]).repairs] == []


def test_an_area_that_a_bad_box_made_meaningless_is_no_second_fault(tmp_path: Path) -> None:
    found = read(tmp_path, with_box([40, 20, -30, 25], area=-750), bad_boxes="drop")
    assert len(found.repairs) == 1


@pytest.mark.parametrize(
    ("box", "trained", "trimmed"),
    [
        ([-1, 20, 30, 25], [0, 20, 29, 45], 1),
        ([70, 25, 31, 26], [70, 25, 100, 50], 1),
        ([70.6, 25, 29.4, 25], [70.6, 25, 100, 50], 0),
        ([0, 0, 100, 50], [0, 0, 100, 50], 0),
    ],
)
def test_one_pixel_over_the_border_is_trimmed_without_fault(
    tmp_path: Path, box: list[float], trained: list[float], trimmed: int
) -> None:
    found = read(tmp_path, with_box(box))
    np.testing.assert_array_equal(found.objects(0).boxes, np.array([trained], dtype=np.float32))
    assert (found.trimmed, found.repairs) == (trimmed, [])
    assert found.to_coco()["annotations"][0]["bbox"] == box


_numbers = st.floats(width=64) | st.floats(-50, 150)


@given(st.lists(st.tuples(*[_numbers] * 4), min_size=1, max_size=5), st.integers(1, 200), st.integers(1, 200))
@settings(max_examples=200, deadline=None)
def test_boxes_fit_for_training_have_area_inside_their_picture(boxes: list[Any], width: int, height: int) -> None:
    xywh = np.array(boxes, dtype=np.float64)
    corners, faults = judge(xywh, np.tile(np.array([[width, height]]), (len(boxes), 1)))
    fit = corners[(faults <= Fault.TRIMMED) | (faults == Fault.REACHES_OUT)]
    assert (fit[:, :2] < fit[:, 2:]).all()
    assert (fit >= 0).all()
    assert (fit <= [width, height, width, height]).all()


# Wrong files: how VALID is changed, and what the message says. ImageId and the like are named by id where there is one.
def put(*path: Any) -> Callable[[dict[str, Any]], None]:
    """Set the value at a path, whose last element is the value."""

    def change(content: Any) -> None:
        *parents, key, value = path
        for parent in parents:
            content = content[parent]
        content[key] = value

    return change


def remove(*path: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: Any) -> None:
        for parent in path[:-1]:
            content = content[parent]
        del content[path[-1]]

    return change


WRONG = {
    "no images": (remove("images"), r"field images is missing\. Allowed: a list of images"),
    "no categories": (remove("categories"), r"field categories is missing\. Allowed: a list of categories"),
    "images type": (put("images", {}), r"field images is \{\}\. Allowed: a list"),
    "annotations type": (put("annotations", None), r"field annotations is null\. Allowed: a list"),
    "image type": (put("images", 1, "b.jpg"), r'images\[1\] is "b\.jpg"\. Allowed: an object'),
    "empty images": (put("images", []), r"field images is an empty list\. Allowed: at least one picture"),
    "empty categories": (put("categories", []), r"field categories is an empty list\. Allowed: at least one"),
    "no objects": (put("annotations", []), r"no object to train on\. Annotations: 0, crowd regions: 0"),
    "image id": (remove("images", 0, "id"), r"wrong id\. .*an integer\.\n  image number 1 of the list: id is missing"),
    "image id text": (put("images", 0, "id", "7"), r'image "?7"?: id is "7"'),
    "image id float": (put("images", 0, "id", 7.0), r"wrong id\. Allowed: an integer\.\n.*id is 7\.0"),
    "image id large": (put("images", 0, "id", 2**70), r"id is 1180591620717411303424"),
    "file name": (remove("images", 0, "file_name"), r"image 7: file_name is missing"),
    "file name empty": (put("images", 0, "file_name", ""), r'image 7: file_name is ""'),
    "width": (remove("images", 1, "width"), r"image 3: width is missing"),
    "width zero": (
        put("images", 1, "width", 0),
        r"wrong width\. Allowed: an integer from 1 to \d+\.\n  image 3: width is 0",
    ),
    "height float": (put("images", 1, "height", 60.5), r"image 3: height is 60\.5"),
    "height negative": (put("images", 1, "height", -60), r"image 3: height is -60"),
    "image id twice": (
        put("images", 1, "id", 7),
        r"wrong id\. Allowed: a value that no other image has\.\n  image 7: id is 7",
    ),
    "file name twice": (
        put("images", 2, "file_name", "a.jpg"),
        r'no other image has\.\n  image 5: file_name is "a\.jpg"',
    ),
    "category id": (remove("categories", 1, "id"), r"category number 2 of the list: id is missing"),
    "category name": (remove("categories", 1, "name"), r"category 2: name is missing"),
    "category id twice": (put("categories", 1, "id", 90), r"no other category has\.\n  category 90: id is 90"),
    "category name twice": (
        put("categories", 1, "name", "dog"),
        r'no other category has\.\n  category 17: name is "dog"',
    ),
    "annotation id": (remove("annotations", 0, "id"), r"annotation number 1 of the list \(image 3\): id is missing"),
    "annotation id twice": (
        put("annotations", 0, "id", 12),
        r"no other annotation has\.\n  annotation 12 .*: id is 12",
    ),
    "image_id": (remove("annotations", 0, "image_id"), r"annotation 11: image_id is missing"),
    "unknown image": (put("annotations", 0, "image_id", 4), r"the id of an image.*\n  annotation 11 .*: image_id is 4"),
    "category_id": (remove("annotations", 0, "category_id"), r"annotation 11 \(image 3\): category_id is missing"),
    "unknown category": (
        put("annotations", 0, "category_id", 91),
        r"wrong category_id\. Allowed: the id of a category of the file\.\n  annotation 11 .*: category_id is 91",
    ),
    "bbox": (remove("annotations", 0, "bbox"), r"annotation 11 \(image 3\): bbox is missing"),
    "area": (put("annotations", 0, "area", "9"), r'wrong area\. .*\n  annotation 11 .*: area is "9"'),
    "area negative": (put("annotations", 0, "area", -9), r"annotation 11 .*: area is -9"),
    "area NaN": (put("annotations", 0, "area", NAN), r"annotation 11 .*: area is NaN"),
    "iscrowd": (
        put("annotations", 0, "iscrowd", 2),
        r"wrong iscrowd\. Allowed: 0 or 1\.\n  annotation 11 .*iscrowd is 2",
    ),
    "iscrowd bool": (put("annotations", 0, "iscrowd", False), r"annotation 11 .*: iscrowd is false"),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_wrong_files_are_refused(tmp_path: Path, change: Callable[[Any], None], message: str) -> None:
    content = copy.deepcopy(VALID)
    change(content)
    with pytest.raises(InputError, match=re.escape(str(tmp_path / "set.json")) + ": (?:.|\n)*" + message):
        read(tmp_path, content)


def test_a_missing_bbox_is_refused_whatever_is_done_about_bad_boxes(tmp_path: Path) -> None:
    content = copy.deepcopy(VALID)
    del content["annotations"][0]["bbox"]
    with pytest.raises(InputError, match="bbox is missing"):
        read(tmp_path, content, bad_boxes="drop")


def test_a_results_file_is_not_coco(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"set\.json: the top level is \[\]\. Allowed: an object with images"):
        read(tmp_path, [])


def test_missing_files_folders_and_options(tmp_path: Path) -> None:
    file = write(tmp_path, VALID)
    with pytest.raises(InputError, match=r"none\.json: there is no such file"):
        read_coco(tmp_path / "none.json", tmp_path)
    with pytest.raises(InputError, match=r"nowhere: there is no such folder of pictures"):
        read_coco(file, tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"set\.json: there is no such folder of pictures"):
        read_coco(file, file)
    with pytest.raises(InputError, match=r"Option bad_boxes is 'fix'\. Allowed: error, drop, clip"):
        inspect.unwrap(read_coco)(file, tmp_path, bad_boxes="fix")  # below the type check of the tests


def test_pictures_are_checked_unless_asked_not_to(tmp_path: Path) -> None:
    content = VALID | {"images": VALID["images"][:2]}
    file = write(tmp_path, content)
    (tmp_path / "sub").mkdir()
    Image.new("RGB", (100, 50)).save(tmp_path / "a.jpg")
    Image.new("RGB", (40, 61)).save(tmp_path / "sub" / "b.jpg")
    with pytest.raises(InputError, match=r"set\.json: wrong pictures(.|\n)*b\.jpg: the JSON says width 40, height 60"):
        read_coco(file, tmp_path)
    Image.new("RGB", (40, 60)).save(tmp_path / "sub" / "b.jpg")
    assert len(read_coco(str(file), str(tmp_path))) == 2


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
    for fraction in (0.0, 1.0, -1.0, NAN):
        with pytest.raises(InputError, match=r"between 0 and 1"):
            whole.holdout(fraction)
    with pytest.raises(InputError, match=r"1 picture cannot be split"):
        whole.subset([0]).holdout()


def test_categories_go_to_plain_lists_and_back() -> None:
    categories = Categories(names=("cat", "dog"), ids=(2, 17))
    values = json.loads(json.dumps(categories.to_dict()))
    assert Categories.from_dict(values) == categories
    assert (len(categories), categories.index_of(17)) == (2, 1)
    with pytest.raises(ValueError, match="not in tuple"):
        categories.index_of(1)


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
