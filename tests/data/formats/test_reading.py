"""One small set in every format is the same set."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmmc.data.coco import check_agreement
from mmmc.data.formats import FormatName, look, read
from mmmc.data.formats.yolo import label_file
from mmmc.errors import InputError

from .same_sets import SETS, labelled_set, picture, put, voc, voc_object, voc_set, yolo_row, yolo_set


@pytest.mark.parametrize(("make", "seen"), SETS.values(), ids=SETS)
def test_the_same_set_whatever_it_is_written_in(make: Callable[[Path], object], seen: str, tmp_path: Path) -> None:
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
    with pytest.raises(InputError, match=r"can be read as yolo: YOLO .*; voc: Pascal VOC .*option format=yolo\|voc"):
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


def test_boxes_that_are_turned_become_upright_and_that_is_said(tmp_path: Path) -> None:
    yolo_set(tmp_path)
    put(tmp_path, "labels/train/b.txt", "1 0.1 0.5 0.3 0.25 0.5 0.5 0.3 0.75\n")
    pictures = read(look(tmp_path).parts[0])
    np.testing.assert_allclose(pictures.objects(1).boxes, [[4, 5, 20, 15]], atol=1e-5)
    assert pictures.notes[1] == "1 of the polygons have four corners: boxes that are turned are not learned as such"


@pytest.mark.parametrize(
    ("classes", "says"),
    [
        ("dog\n\ncat\n", "line 2 is blank. Allowed: the name of a class on every line"),
        ("\n", "there are no names of classes"),
        ("dog\ndog\n", "'dog' twice. Allowed: each name once"),
        ("dog\n", "class 1. Allowed: a class index of the names in classes.txt: 0 to 0"),
    ],
)
def test_a_list_of_classes_has_one_on_each_line(classes: str, says: str, tmp_path: Path) -> None:
    labelled_set(tmp_path)
    put(tmp_path, "labels/classes.txt", classes)
    with pytest.raises(InputError, match=re.escape(says)):
        read(look(tmp_path).parts[0])


def test_texts_beside_pictures_alone_are_no_set(tmp_path: Path) -> None:
    """Without names of classes nobody knows what the rows mean; nor is a list of classes a set without labels."""
    picture(tmp_path / "a.png")
    put(tmp_path, "a.txt", yolo_row(0, (2, 3, 12, 9)))
    with pytest.raises(InputError, match=r"Nor is there a data\.yaml or classes\.txt .*named instead of the folder\."):
        look(tmp_path)
    (tmp_path / "a.txt").rename(tmp_path / "classes.txt")
    with pytest.raises(InputError, match="Nor is there"):
        look(tmp_path)


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
    with pytest.raises(InputError, match=r"b\.png: there is no .*option unlabelled=background"):
        read(source)
    pictures = read(source, unlabelled="background")
    assert (len(pictures), pictures.size(1)) == (2, (20, 40))


def test_voc_counts_from_1_and_a_box_at_0_is_trimmed(tmp_path: Path) -> None:
    voc_set(tmp_path)
    put(tmp_path, "Annotations/b.xml", voc("b", voc_object("dog", (-1, 3, 12, 9))))
    pictures = read(look(tmp_path).parts[0])
    assert pictures.objects(1).boxes.tolist() == [[0, 3, 12, 9]]
    assert pictures.trimmed == 1


def test_a_voc_list_may_hold_names_with_blanks_and_name_a_picture_twice(tmp_path: Path) -> None:
    voc_set(tmp_path)
    picture(tmp_path / "JPEGImages/frame no 1.png")
    put(tmp_path, "Annotations/frame no 1.xml", voc("frame no 1", ""))
    picture(tmp_path / "JPEGImages/bare.png")
    put(tmp_path, "ImageSets/Main/train.txt", "frame no 1\nframe no 1 -1\na\na\nbare\nbare\n")
    pictures = read(look(tmp_path).parts[0], unlabelled="background")
    assert pictures.names == ("frame no 1.png", "a.png", "bare.png")


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
