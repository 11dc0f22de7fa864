"""One small set in every format is the same set; what is wrong with it is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmmc.data.coco import check_agreement
from mmmc.data.formats import FormatName, look, read
from mmmc.data.formats.yolo import label_file
from mmmc.errors import InputError

NAMES = ("dog", "cat")
BOXES = {"a": [(0, (2, 3, 12, 9)), (1, (0, 0, 40, 20))], "b": []}
"""By picture of 40 × 20 px: class index and corners, first and last edge in continuous pixels."""


def picture(file: Path, size: tuple[int, int] = (40, 20)) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(file)


def yolo_row(label: int, corners: tuple[int, ...]) -> str:
    x1, y1, x2, y2 = corners
    return f"{label} {(x1 + x2) / 80} {(y1 + y2) / 40} {(x2 - x1) / 40} {(y2 - y1) / 20}\n"


def voc_object(name: str, corners: tuple[int, ...]) -> str:
    x1, y1, x2, y2 = corners
    sides = {"xmin": x1 + 1, "ymin": y1 + 1, "xmax": x2, "ymax": y2}
    box = "".join(f"<{side}>{value}</{side}>" for side, value in sides.items())
    return f"<object><name>{name}</name><difficult>0</difficult><bndbox>{box}</bndbox></object>"


def voc(stem: str, objects: str) -> str:
    size = "<size><width>40</width><height>20</height><depth>3</depth></size>"
    return f"<annotation><filename>{stem}.png</filename>{size}{objects}</annotation>"


def coco(images: list[str]) -> str:
    rows = [
        {"id": 10 * k + n, "image_id": k, "category_id": label, "bbox": [x1, y1, x2 - x1, y2 - y1]}
        for k, stem in enumerate(images)
        for n, (label, (x1, y1, x2, y2)) in enumerate(BOXES[stem])
    ]
    pictures = [{"id": k, "file_name": f"{stem}.png", "width": 40, "height": 20} for k, stem in enumerate(images)]
    categories = [{"id": k, "name": name} for k, name in enumerate(NAMES)]
    return json.dumps({"images": pictures, "annotations": rows, "categories": categories})


def put(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")


def yolo_set(folder: Path) -> None:
    for part in ("train", "val"):
        for stem, boxes in BOXES.items():
            picture(folder / f"images/{part}/{stem}.png")
            put(folder, f"labels/{part}/{stem}.txt", "".join(yolo_row(*box) for box in boxes))
    put(folder, "data.yaml", f"train: images/train\nval: images/val\nnc: 2\nnames: {list(NAMES)}\n")


def voc_set(folder: Path) -> None:
    for stem, boxes in BOXES.items():
        picture(folder / f"JPEGImages/{stem}.png")
        put(folder, f"Annotations/{stem}.xml", voc(stem, "".join(voc_object(NAMES[k], c) for k, c in boxes)))
    for part in ("train", "val"):
        put(folder, f"ImageSets/Main/{part}.txt", "a\nb\n")


def coco_set(folder: Path) -> None:
    for stem in BOXES:
        picture(folder / f"images/{stem}.png")
    for part in ("train", "val"):
        put(folder, f"annotations/instances_{part}.json", coco(["a", "b"]))


def roboflow(kind: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        for part in ("train", "valid", "test"):
            for stem, boxes in BOXES.items():
                inside = "images/" if kind == "yolo" else ""
                picture(folder / part / f"{inside}{stem}.png")
                if kind == "yolo":
                    put(folder, f"{part}/labels/{stem}.txt", "".join(yolo_row(*box) for box in boxes))
                if kind == "voc":
                    objects = "".join(voc_object(NAMES[k], c) for k, c in boxes)
                    put(folder, f"{part}/{stem}.xml", voc(stem, objects))
            if kind == "coco":
                put(folder, f"{part}/_annotations.coco.json", coco(["a", "b"]))
        if kind == "yolo":
            paths = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n"
            put(folder, "data.yaml", f"{paths}nc: 2\nnames: ['dog', 'cat']\nroboflow:\n  version: 1\n")

    return make


SETS = {
    "coco": (coco_set, "COCO JSON (annotations/instances_train.json, annotations/instances_val.json)"),
    "yolo": (yolo_set, "YOLO (data.yaml; train: images/train, val: images/val)"),
    "voc": (voc_set, "Pascal VOC (ImageSets/Main/train.txt, ImageSets/Main/val.txt)"),
    "roboflow coco": (roboflow("coco"), "a Roboflow export, COCO JSON (train/, valid/, test/)"),
    "roboflow yolo": (roboflow("yolo"), "a Roboflow export, YOLO (data.yaml; train: ../train/images"),
    "roboflow voc": (roboflow("voc"), "a Roboflow export, Pascal VOC (train/, valid/, test/)"),
}


@pytest.mark.parametrize(("make", "seen"), SETS.values(), ids=SETS)
def test_the_same_set_whatever_it_is_written_in(make: Callable[[Path], None], seen: str, tmp_path: Path) -> None:
    make(tmp_path)
    found = look(tmp_path)
    assert found.seen.startswith(seen)
    assert [source.part for source in found.parts] == ["train", "val", "test"][: len(found.parts)]
    for source in found.parts:
        pictures = read(source)
        assert [Path(name).name for name in pictures.names] == ["a.png", "b.png"]
        assert [pictures.size(i) for i in range(2)] == [(20, 40), (20, 40)]
        objects = pictures.objects(0)
        assert [pictures.categories.names[k] for k in objects.labels] == ["dog", "cat"]
        np.testing.assert_allclose(objects.boxes, [[2, 3, 12, 9], [0, 0, 40, 20]], atol=1e-5)
        assert len(pictures.objects(1).labels) == 0
        assert all(pictures.file(i).is_file() for i in range(2))
        assert pictures.notes == ()


def test_names_decide_over_formats(tmp_path: Path) -> None:
    sets = {}
    for kind in ("coco", "voc"):
        SETS[kind][0](tmp_path / kind)
        sets[kind] = read(look(tmp_path / kind).parts[0])
    assert sets["voc"].categories.names == ("cat", "dog")
    agreed = check_agreement(sets["coco"], sets["voc"])
    assert agreed.labels.tolist() == sets["coco"].labels.tolist() == [0, 1]


def test_two_formats_in_one_folder_need_a_word(tmp_path: Path) -> None:
    yolo_set(tmp_path)
    voc_set(tmp_path)
    with pytest.raises(InputError, match=r"can be read as yolo: YOLO .*; voc: Pascal VOC .*--data\.format yolo\|voc"):
        look(tmp_path)
    assert look(tmp_path, "voc").seen.startswith("Pascal VOC")
    assert look(tmp_path / "data.yaml").seen.startswith("YOLO")


def test_polygons_become_boxes_and_that_is_said(tmp_path: Path) -> None:
    yolo_set(tmp_path)
    put(tmp_path, "labels/train/b.txt", "1 0.1 0.5 0.5 0.25 0.3 0.75\n0 0.5 0.5 0.2 0.2\n")
    pictures = read(look(tmp_path).parts[0])
    np.testing.assert_allclose(pictures.objects(1).boxes[0], [4, 5, 20, 15], atol=1e-5)
    assert pictures.notes == (
        "1 polygon rows became their bounding boxes",
        "1 label files mix polygon and box rows",
    )


def test_a_yolo_list_of_files_and_names_as_a_mapping(tmp_path: Path) -> None:
    yolo_set(tmp_path)
    put(tmp_path, "train.txt", "./images/train/a.png\n\nimages/val/b.png\n")
    put(tmp_path, "data.yaml", "path: .\ntrain: train.txt\nval: [images/val]\nnames: {0: dog, 1: cat}\n")
    assert read(look(tmp_path).parts[0]).names == ("images/train/a.png", "images/val/b.png")


def test_voc_lists_may_name_classes_and_difficult_objects_stay(tmp_path: Path) -> None:
    voc_set(tmp_path)
    put(tmp_path, "ImageSets/Main/train.txt", "a  1\nb -1\n")
    file = tmp_path / "Annotations/a.xml"
    file.write_text(file.read_text().replace("<difficult>0", "<difficult>1", 1))
    pictures = read(look(tmp_path).parts[0])
    assert (len(pictures), len(pictures.labels)) == (2, 2)
    assert pictures.notes == ("1 objects marked difficult are objects like the others",)


@pytest.mark.parametrize("kind", ["yolo", "voc"])
def test_a_picture_without_labels_is_background_on_demand(kind: FormatName, tmp_path: Path) -> None:
    SETS[kind][0](tmp_path)
    (tmp_path / {"yolo": "labels/train/b.txt", "voc": "Annotations/b.xml"}[kind]).unlink()
    source = look(tmp_path).parts[0]
    with pytest.raises(InputError, match=r"b\.png: there is no .*data\.unlabelled background"):
        read(source)
    pictures = read(source, unlabelled="background")
    assert (len(pictures), pictures.size(1)) == (2, (20, 40))


@pytest.mark.parametrize(
    ("row", "fault", "clipped"),
    [
        ("0 1.2 0.5 0.9 0.2", "numbers outside 0..1", [30, 8, 40, 12]),
        ("0 0.05 0.5 0.4 0.2", "reaches outside the picture", [0, 8, 10, 12]),
        ("0 0.5 0.5 0 0.2", "without area", None),
        ("0 nan 0.5 0.1 0.2", "not four finite numbers", None),
        ("0 30 12 8 4", "outside the picture", None),
    ],
)
def test_bad_yolo_boxes(row: str, fault: str, clipped: list[int] | None, tmp_path: Path) -> None:
    yolo_set(tmp_path)
    put(tmp_path, "labels/train/b.txt", f"\n{row}\n")
    source = look(tmp_path).parts[0]
    with pytest.raises(InputError) as raised:
        read(source)
    assert f"labels/train/b.txt, line 2: `{row}`: {fault}" in str(raised.value)
    assert "Allowed: finite numbers in 0..1" in str(raised.value)
    dropped = read(source, bad_boxes="drop")
    assert len(dropped.objects(1).labels) == 0
    assert [(repair.action, repair.image_id) for repair in dropped.repairs] == [("dropped", 2)]
    boxes = read(source, bad_boxes="clip").objects(1).boxes
    np.testing.assert_allclose(boxes, np.array(clipped or []).reshape(-1, 4), atol=1e-4)


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


def test_voc_counts_from_1_and_a_box_at_0_is_trimmed(tmp_path: Path) -> None:
    voc_set(tmp_path)
    put(tmp_path, "Annotations/b.xml", voc("b", voc_object("dog", (-1, 3, 12, 9))))
    pictures = read(look(tmp_path).parts[0])
    assert pictures.objects(1).boxes.tolist() == [[0, 3, 12, 9]]
    assert pictures.trimmed == 1


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


def test_a_voc_list_may_hold_names_with_blanks_and_name_a_picture_twice(tmp_path: Path) -> None:
    voc_set(tmp_path)
    picture(tmp_path / "JPEGImages/frame no 1.png")
    put(tmp_path, "Annotations/frame no 1.xml", voc("frame no 1", ""))
    picture(tmp_path / "JPEGImages/bare.png")
    put(tmp_path, "ImageSets/Main/train.txt", "frame no 1\nframe no 1 -1\na\na\nbare\nbare\n")
    pictures = read(look(tmp_path).parts[0], unlabelled="background")
    assert pictures.names == ("frame no 1.png", "a.png", "bare.png")


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


def test_shares_are_of_the_picture_as_displayed(tmp_path: Path) -> None:
    yolo_set(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 40)).save(tmp_path / "images/train/a.png", exif=exif)
    pictures = read(look(tmp_path).parts[0])
    assert pictures.size(0) == (20, 40)
    np.testing.assert_allclose(pictures.objects(0).boxes[0], [2, 3, 12, 9], atol=1e-5)


def test_the_last_images_of_a_path_becomes_labels() -> None:
    root = Path("/images/set")
    assert label_file(root / "images/x/images/y/a.b.jpg", root) == root / "images/x/labels/y/a.b.txt"
    assert label_file(root / "y/a.jpg", root) == root / "y/a.txt"


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
