"""What is wrong with a set is named, whatever its format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmmc.data.formats import FormatName, look, read
from mmmc.errors import InputError

from .same_sets import SETS, coco_set, put, voc, voc_object, voc_set, yolo_set


@pytest.mark.parametrize(
    ("row", "fault", "clipped"),
    [
        ("0 1.2 0.5 0.9 0.2", "numbers outside 0..1", [30, 8, 40, 12]),
        ("0 0.05 0.5 0.4 0.2", "reaches outside the picture", [0, 8, 10, 12]),
        ("0 0.5 0.5 0 0.2", "without area", None),
        ("0 nan 0.5 0.1 0.2", "not four finite numbers", None),
        ("0 30 12 8 4", "numbers outside 0..1", None),
    ],
)
def test_bad_yolo_boxes(row: str, fault: str, clipped: list[int] | None, tmp_path: Path) -> None:
    yolo_set(tmp_path)
    put(tmp_path, "labels/train/b.txt", f"\n{row}\n")
    source = look(tmp_path).parts[0]
    with pytest.raises(InputError) as raised:
        read(source)
    assert f"labels/train/b.txt, line 2: `{row}`: {fault}" in str(raised.value)
    assert "Allowed: finite numbers in 0..1 (pixels are divided by the picture's width or height)" in str(raised.value)
    dropped = read(source, bad_boxes="drop")
    assert len(dropped.objects(1).labels) == 0
    assert [(repair.action, repair.image_id) for repair in dropped.repairs] == [("dropped", 2)]
    boxes = read(source, bad_boxes="clip").objects(1).boxes
    np.testing.assert_allclose(boxes, np.array(clipped or []).reshape(-1, 4), atol=1e-4)


def test_of_a_row_with_keypoints_the_box_is_taken(tmp_path: Path) -> None:
    yolo_set(tmp_path)
    data = tmp_path / "data.yaml"
    data.write_text(f"{data.read_text()}kpt_shape: [1, 2]\n")
    put(tmp_path, "labels/train/b.txt", "0 .5 .5 .5 .5 .9 .1\n")
    pictures = read(look(tmp_path).parts[0])
    np.testing.assert_allclose(pictures.objects(1).boxes, [[10, 5, 30, 15]])
    assert pictures.notes == ("of rows with keypoints the boxes are taken",)
    put(tmp_path, "labels/train/b.txt", "0 .5 .5 .5 .5 .9 .1 .2 .2\n")
    with pytest.raises(InputError, match=r"has 9 columns.*with 2 numbers of keypoints"):
        read(look(tmp_path).parts[0])


YOLO_FAULTS = {
    "columns": (
        ("labels/train/b.txt", "0 0.5 0.5 0.1\n"),
        r"b\.txt, line 1: `0 0\.5 0\.5 0\.1` has 4 columns\. Allowed",
    ),
    "even polygon": (("labels/train/b.txt", "0 .1 .1 .2 .2 .3\n"), r"line 1: .* has 6 columns"),
    "text": (("labels/train/b.txt", "dog .5 .5 .1 .1\n"), r"line 1: `dog .* is not made of numbers"),
    "class": (("labels/train/b.txt", "2 .5 .5 .1 .1\n"), r"line 1: .*: class 2\. Allowed: a class index .*: 0 to 1"),
    "fraction": (("labels/train/b.txt", "0.5 .5 .5 .1 .1\n"), r"class 0\.5"),
    "no picture": (("labels/train/c.txt", ""), r"labels/train/c\.txt: there is no picture of this name"),
    "names": (("data.yaml", "train: images/train\n"), r"data\.yaml, names: there are no names"),
    "names twice": (("data.yaml", "train: images/train\nnames: [a, a]\n"), r"names: 'a' twice"),
    "names no text": (("data.yaml", "train: images/train\nnames: [a, no]\n"), r"names is \['a', False\].*in quotes"),
    "nc": (("data.yaml", "train: images/train\nnames: [a, b]\nnc: 3\n"), r"nc is 3, and there are 2 names"),
    "folder": (("data.yaml", "train: images/no\nnames: [a, b]\n"), r"data\.yaml, train: there is no .*images/no"),
    "list": (("data.yaml", "train: l.txt\nnames: [a, b]\n"), r"data\.yaml, train: there is no .*l\.txt"),
    "no part": (("data.yaml", "names: [a, b]\n"), r"names no folder of pictures"),
    "no train": (("data.yaml", "val: images/val\nnames: [a, b]\n"), r"has no part to train on"),
    "no mapping": (("data.yaml", "- a\n"), r"the top level is \['a'\]\. Allowed: a mapping"),
    "no YAML": (("data.yaml", "a: ["), r"data\.yaml is not YAML"),
    "no day": (("data.yaml", "train: images/train\nnames: [2020-13-45]\n"), r"data\.yaml is not YAML: month must be"),
    "nested": (("data.yaml", "[" * 5000), r"data\.yaml is not YAML"),
    "indices": (("data.yaml", "train: images/train\nnames: {0: a, 2: b}\n"), r"names: the indices are \[0, 2\]"),
    "keypoints": (("data.yaml", "train: images/train\nnames: [a]\nkpt_shape: 17\n"), r"kpt_shape is 17\. Allowed: how"),
    "no path": (("data.yaml", "train: 7\nnames: [a, b]\n"), r"train is 7\. Allowed: a path, or a list of paths"),
    "long path": (("data.yaml", f"train: {'x' * 300}\nnames: [a, b]\n"), r"data\.yaml, train: there is no"),
    "aliases": (
        (
            "data.yaml",
            "".join(f"a{k}: &a{k} [{f'*a{k - 1}, ' * 9 if k else 'x'}]\n" for k in range(12)) + "train: *a11\n",
        ),
        r"train is \[\[\[.*\.\.\..*\]\. Allowed: a path",
    ),
}


@pytest.mark.parametrize(("change", "message"), YOLO_FAULTS.values(), ids=YOLO_FAULTS)
def test_faults_of_yolo_are_named(change: tuple[str, str], message: str, tmp_path: Path) -> None:
    yolo_set(tmp_path)
    put(tmp_path, *change)
    with pytest.raises(InputError, match=message):
        read(look(tmp_path).parts[0])


GOOD = voc("b", voc_object("dog", (2, 3, 12, 9)))
VOC_FAULTS = {
    "size": (GOOD.replace("size>", "siz>"), r"b\.xml, size: size is missing\. Allowed: width and height"),
    "size 0": (GOOD.replace(">40<", ">0<"), r"size: height is 20, width is 0"),
    "other size": (GOOD.replace(">40<", ">41<"), r"b\.png: the annotation says width 41, height 20; the picture has"),
    "name": (GOOD.replace("name>", "nam>").replace("filenam>", "filename>"), r"b\.xml, object 1: name is missing"),
    "no box": (GOOD.replace("bndbox", "box"), r"object 1: bndbox: xmin None"),
    "text": (GOOD.replace("<xmin>3", "<xmin>three"), r"object 1: bndbox: xmin three.*Allowed: four numbers"),
    "inverted": (GOOD.replace("<xmax>12", "<xmax>1"), r"object 1: xmin 3, .*: without area; the picture has 40 × 20"),
    "long size": (GOOD.replace(">40<", f">{'4' * 5000}<"), r"size: height is 20, width is 4444"),
    "size below 1": (GOOD.replace(">40<", ">39.5<"), r"size: height is 20, width is 39\.5"),
    "GBK": (f'<?xml version="1.0" encoding="GBK"?>{GOOD}', r"b\.xml: encoding cannot be read: .*Allowed: XML in UTF-8"),
    "no encoding": (f'<?xml version="1.0" encoding="x-9"?>{GOOD}', r"b\.xml: encoding cannot be read: unknown enc"),
    "two files": (GOOD.replace("b.png", "a.png"), r"b\.xml, filename: may be b\.png, a\.png\. Allowed: one picture"),
    "broken": (GOOD[:-3], r"b\.xml, line 1, column \d+: broken XML"),
    "other": ("<note/>", r"b\.xml: the element is note\. Allowed: annotation"),
    "entities": (f'<!DOCTYPE x [<!ENTITY a "aa">]>{GOOD}', r"b\.xml: has a DOCTYPE x\. Allowed: XML without"),
    "long DOCTYPE": (f"<!DOCTYPE {'x' * 700} [<!ENTITY a 'aa'>]>{GOOD}", r"b\.xml: has a DOCTYPE xxx"),
    "entities in UTF-16": (f'<!DOCTYPE x [<!ENTITY a "aa">]>{GOOD}', r"b\.xml: has a DOCTYPE x"),
}


@pytest.mark.parametrize("name", VOC_FAULTS)
def test_faults_of_voc_are_named(name: str, tmp_path: Path) -> None:
    voc_set(tmp_path)
    text, message = VOC_FAULTS[name]
    (tmp_path / "Annotations/b.xml").write_text(text, encoding="utf-16" if "UTF-16" in name else "utf-8")
    with pytest.raises(InputError, match=message):
        read(look(tmp_path).parts[0])


def test_voc_needs_its_pictures(tmp_path: Path) -> None:
    voc_set(tmp_path)
    (tmp_path / "JPEGImages/b.png").unlink()
    with pytest.raises(InputError, match=r"b\.xml, filename: there is no picture b\.png"):
        read(look(tmp_path).parts[0])
    put(tmp_path, "ImageSets/Main/train.txt", "a\nc\n")
    with pytest.raises(InputError, match=r"train\.txt, line 2: there is no c\. Allowed: names of pictures"):
        read(look(tmp_path).parts[0])


def test_two_xml_files_for_one_picture_are_refused(tmp_path: Path) -> None:
    voc_set(tmp_path)
    put(tmp_path, "Annotations/c.xml", voc("b", ""))
    put(tmp_path, "ImageSets/Main/train.txt", "a\nb\nc\n")
    with pytest.raises(InputError, match=r"c\.xml, filename: b\.png is the picture of .*b\.xml too\. Allowed: one XML"):
        read(look(tmp_path).parts[0])


@pytest.mark.parametrize(("kind", "name"), [("voc", "ImageSets/Main/train.txt"), ("yolo", "l.txt")])
def test_a_list_that_is_no_text_is_named(kind: FormatName, name: str, tmp_path: Path) -> None:
    SETS[kind][0](tmp_path)
    if kind == "yolo":
        put(tmp_path, "data.yaml", "train: l.txt\nnames: [a, b]\n")
    (tmp_path / name).write_bytes(b"a\n\xff")
    with pytest.raises(InputError, match=rf"{name}: not UTF-8 text \(byte 0xff\)\. Allowed: a text file"):
        read(look(tmp_path).parts[0])


def test_a_name_longer_than_a_file_can_have_is_missing(tmp_path: Path) -> None:
    voc_set(tmp_path)
    put(tmp_path, "Annotations/c.xml", voc("x" * 300, ""))
    put(tmp_path, "ImageSets/Main/train.txt", "c\n")
    with pytest.raises(InputError, match=r"c\.xml, filename: there is no picture xxx"):
        read(look(tmp_path).parts[0])
    put(tmp_path, "ImageSets/Main/train.txt", "x" * 300)
    with pytest.raises(InputError, match=r"train\.txt, line 1: there is no xxx"):
        read(look(tmp_path).parts[0])


def test_shares_may_leave_0_to_1_by_the_sixth_decimal(tmp_path: Path) -> None:
    yolo_set(tmp_path)
    put(tmp_path, "labels/train/b.txt", "0 0.5 0.5 1.000001 1\n")
    assert read(look(tmp_path).parts[0]).objects(1).boxes.tolist() == [[0, 0, 40, 20]]
    put(tmp_path, "labels/train/b.txt", "0 0.5 0.5 1.000002 1\n")
    with pytest.raises(InputError, match=r"numbers outside 0\.\.1"):
        read(look(tmp_path).parts[0])


def test_many_faults_are_counted(tmp_path: Path) -> None:
    yolo_set(tmp_path)
    put(tmp_path, "labels/train/b.txt", "0\n" * 7)
    with pytest.raises(InputError, match=r"7 faults of a kind\. Allowed: a row(.|\n)*line 5: (.|\n)*… 7 in all"):
        read(look(tmp_path).parts[0])


@pytest.mark.parametrize("format", ["yolo", "voc"])
def test_nothing_of_this_format(format: FormatName, tmp_path: Path) -> None:
    coco_set(tmp_path)
    with pytest.raises(InputError, match=f"nothing to read as {format}; looked for"):
        look(tmp_path, format)
    with pytest.raises(InputError, match=r"looked for annotations/instances_train.*Nor is there a data\.yaml"):
        look(tmp_path / "images")
