"""Boxes and files of COCO's form that cannot be used: each is named, with what is allowed."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coco_content import VALID, put, read, remove, with_box, write
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mmmc.data.check import check
from mmmc.data.coco import judge, read_coco
from mmmc.data.sets import Fault
from mmmc.errors import InputError

NAN, INF = float("nan"), float("inf")


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
    told = r"wrong bbox.*mmmc data check.*bad_boxes.*\n"
    message = rf"set\.json: {told}  annotation 12 \(image 7\): bbox is .*{value}.*: {fault}"
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


def errors(content: Any, folder: Path) -> list[str]:
    """Codes of what the check finds in a file, apart from its pictures: there are none."""
    found = check(write(folder, content)).findings
    return [one.code for one in found if one.kind.level == "error" and one.code != "picture-missing"]


@pytest.mark.parametrize("change", [change for change, _ in WRONG.values()], ids=WRONG)
def test_what_reading_refuses_the_check_calls_an_error(tmp_path: Path, change: Callable[[Any], None]) -> None:
    content = copy.deepcopy(VALID)
    assert errors(content, tmp_path) == []
    change(content)
    assert errors(content, tmp_path)


@pytest.mark.parametrize("field", ["image_id", "category_id"])
@pytest.mark.parametrize("value", [[1], {}, True, 7.0, None], ids=str)
def test_a_reference_that_is_no_integer_is_named(tmp_path: Path, field: str, value: Any) -> None:
    content = copy.deepcopy(VALID)
    content["annotations"][1][field] = value
    assert errors(content, tmp_path) == [{"image_id": "picture-unknown", "category_id": "category-unknown"}[field]]


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
