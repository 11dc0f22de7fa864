"""Every kind of fault is planted once, in a set that has none, and is the only one to be reported."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from mmmc.cli import main
from mmmc.data.check import KINDS, check
from mmmc.data.check.pictures import Print, difference_hash, leaks
from mmmc.data.check.report import write_check
from mmmc.data.coco import check_agreement
from mmmc.data.convert import convert
from mmmc.data.formats import look, read
from mmmc.errors import InputError

Spoil = Callable[[Path], object]


class Planted(NamedTuple):
    """What is done to a clean set, and the place and value that the finding must name."""

    format: str
    spoil: Spoil
    file: str
    says: str


def paint(seed: int, size: tuple[int, int] = (64, 48)) -> Image.Image:
    """A picture of soft blots, unlike that of any other seed."""
    values = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(values).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A set of four pictures to train on and two to validate with, in each format."""
    folder = tmp_path_factory.mktemp("clean")
    for part, count in (("train", 4), ("val", 2)):
        images, annotations = [], []
        for k in range(1, count + 1):
            file = folder / f"coco/images/{part}/{part}_{k}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            paint(100 * (part == "val") + k).save(file)
            images.append({"id": k, "file_name": file.name, "width": 64, "height": 48})
            for n, category in enumerate((1, 2)):
                box = [4 + 20 * n, 6, 12, 10 + k]
                annotations.append({"id": 2 * k + n, "image_id": k, "category_id": category, "bbox": box})
        content = {
            "images": images,
            "annotations": annotations,
            "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        }
        file = folder / f"coco/annotations/instances_{part}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))
    for kind in ("yolo", "voc"):
        convert(folder / "coco", folder / kind, to=kind)  # type: ignore[arg-type]
    return {kind: folder / kind for kind in ("coco", "yolo", "voc")}


def change(edit: Callable[[dict[str, Any]], object], part: str = "train") -> Spoil:
    def spoil(at: Path) -> None:
        file = at / f"annotations/instances_{part}.json"
        content = json.loads(file.read_text())
        edit(content)
        file.write_text(json.dumps(content))

    return spoil


def both(edit: Callable[[dict[str, Any]], object]) -> Spoil:
    return lambda at: (change(edit)(at), change(edit, "val")(at))


def box(*xywh: float) -> Spoil:
    return change(lambda content: content["annotations"][0].update(bbox=xywh))


def entry(kind: str, place: int, **fields: Any) -> Spoil:
    return change(lambda content: content[kind][place].update(fields))


def more(**fields: Any) -> Spoil:
    """An annotation that is like the first but for these fields."""
    return change(lambda content: content["annotations"].append(content["annotations"][0] | {"id": 99} | fields))


def text(name: str, old: str, new: str) -> Spoil:
    def spoil(at: Path) -> None:
        content = (at / name).read_text()
        assert old in content
        (at / name).write_text(content.replace(old, new, 1))

    return spoil


def append(name: str, row: str) -> Spoil:
    def spoil(at: Path) -> None:
        with (at / name).open("a") as file:
            file.write(row)

    return spoil


def without_first_columns(at: Path) -> None:
    (at / ROWS).write_text("0 0.5 0.5\n1 0.5 0.5 0.2 0.2\n")


def shutil_copy(source: str, target: str) -> Spoil:
    return lambda at: shutil.copy(at / source, at / target)


def turned(at: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.open(at / FIRST).save(at / FIRST, exif=exif)


def cut(at: Path) -> None:
    data = (at / FIRST).read_bytes()
    (at / FIRST).write_bytes(data[: len(data) // 2])


def nearly(at: Path) -> None:
    """The first training picture, a little brighter, in the place of one to validate with."""
    Image.open(at / FIRST).point(lambda value: min(value + 2, 255)).save(at / "images/val/val_1.png")


def only_val_has_dogs(content: dict[str, Any]) -> None:
    for annotation in content["annotations"]:
        annotation["category_id"] = 1
        annotation["bbox"][0] += annotation["id"]


def hundred(content: dict[str, Any]) -> None:
    content["annotations"] += [
        {"id": 1000 + k, "image_id": 1, "category_id": 1, "bbox": [k % 11 * 4, 30 + k // 11, 3, 3]} for k in range(99)
    ]


def rename(content: dict[str, Any]) -> None:
    content["categories"].append({"id": 3, "name": "Dog "})
    content["annotations"].append({"id": 77, "image_id": 1, "category_id": 3, "bbox": [40, 30, 9, 9]})


FIRST = "images/train/train_1.png"
ROWS = "labels/train/train_1.txt"
XML = "Annotations/train_1.xml"
TRAIN = "annotations/instances_train.json"
VAL = "annotations/instances_val.json"

PLANTED = {
    "json-broken": Planted("coco", lambda at: (at / TRAIN).write_text("{\n x"), TRAIN, "line 2, column 2"),
    "field-wrong": Planted("coco", entry("images", 3, width="64"), TRAIN, "image 4: width is \"64\""),
    "file-unreadable": Planted("yolo", lambda at: (at / ROWS).write_bytes(b"\xff\xfe0"), ROWS, "not UTF-8"),
    "xml-broken": Planted("voc", text(XML, "</annotation>", ""), XML, "line 29, column 1: broken XML"),
    "xml-doctype": Planted("voc", text(XML, "<ann", "<!DOCTYPE a><ann"), XML, "has a DOCTYPE a"),
    "folder-missing": Planted(
        "yolo", text("data.yaml", "images/val", "images/no"), "data.yaml", "val: there is no"
    ),
    "no-pictures": Planted("yolo", lambda at: shutil.rmtree(at / "images/val") or (at / "images/val").mkdir() or
        shutil.rmtree(at / "labels/val"), "data.yaml", "val: holds no picture"),
    "label-without-picture": Planted("yolo", append("labels/train/x.txt", ""), "labels/train/x.txt", "no picture"),
    "picture-without-label": Planted("yolo", lambda at: (at / ROWS).unlink(), FIRST, "there is no"),
    "picture-unlisted": Planted(
        "coco", lambda at: paint(50).save(at / "images/train/x.png"), "images/train/x.png", "no annotation names it"
    ),
    "picture-ambiguous": Planted(
        "voc", lambda at: (text(XML, "train_1.png", "train_2.png")(at)), XML, "filename: may be train_1.png, train_2"
    ),
    "picture-missing": Planted("coco", lambda at: (at / FIRST).unlink(), FIRST, "the file is missing"),
    "picture-unreadable": Planted("coco", lambda at: (at / FIRST).write_text("no"), FIRST, "not a picture"),
    "picture-truncated": Planted("coco", cut, FIRST, "truncated"),
    "picture-size": Planted("coco", entry("images", 0, width=63), FIRST, "says width 63, height 48; the picture has"),
    "picture-turned": Planted("coco", turned, FIRST, "EXIF orientation 3"),
    "picture-twice": Planted(
        "coco",
        change(lambda c: c["images"].append(c["images"][0] | {"id": 50})),
        TRAIN, "image 50: train_1.png, as image 1",
    ),
    "picture-crowded": Planted("coco", change(hundred), FIRST, "101 objects"),
    "duplicate-file": Planted(
        "coco", shutil_copy(FIRST, "images/train/train_2.png"), "images/train/train_2.png", "the bytes of"
    ),
    "leak-file": Planted("coco", shutil_copy(FIRST, "images/val/val_1.png"), "images/val/val_1.png", "in train"),
    "leak-similar": Planted("coco", nearly, "images/val/val_1.png", "of 64 bits differ, correlation 1.000"),
    "box-not-finite": Planted("coco", box(float("nan"), 1, 5, 5), TRAIN, "annotation 2: bbox [NaN, 1, 5, 5], image 1"),
    "box-empty": Planted("coco", box(9, 9, 0, 5), TRAIN, "annotation 2: bbox [9, 9, 0, 5]"),
    "box-outside": Planted("coco", box(70, 9, 5, 5), TRAIN, "bbox [70, 9, 5, 5]"),
    "box-reaches-out": Planted("coco", box(60, 9, 9, 9), TRAIN, "bbox [60, 9, 9, 9]"),
    "number-not-share": Planted("yolo", append(ROWS, "0 1.2 0.5 0.9 0.2\n"), ROWS, "line 3: `0 1.2 0.5 0.9 0.2`"),
    "box-tiny": Planted("coco", box(9, 9, 1, 5), TRAIN, "1 × 5 px"),
    "box-twice": Planted("coco", more(), TRAIN, "annotation 99: bbox [4, 6, 12, 11], image 1, as annotation 2"),
    "box-two-classes": Planted("coco", more(category_id=2), TRAIN, "as annotation 2: 'cat' and 'dog'"),
    "box-extreme": Planted("coco", box(1, 1, 60, 5), TRAIN, "60 × 5 px"),
    "crowd": Planted("coco", more(iscrowd=1, bbox=[1, 30, 30, 10]), TRAIN, "annotation 99"),
    "voc-off-by-one": Planted("voc", text(XML, "<xmin>5", "<xmin>0"), XML, "object 1: xmin 0"),
    "no-objects": Planted("coco", change(lambda c: c.update(annotations=[]), "val"), VAL, "no object"),
    "names-missing": Planted("yolo", text("data.yaml", "names:", "nomes:"), "data.yaml", "there are no names"),
    "class-index": Planted("yolo", append(ROWS, "2 0.5 0.5 0.1 0.1\n"), ROWS, "line 3: `2 0.5 0.5 0.1 0.1`: class 2"),
    "class-twice": Planted(
        "coco", both(lambda c: c["categories"].append({"id": 3, "name": "dog"})), TRAIN, "'dog', 'dog'"
    ),
    "class-disagree": Planted(
        "coco", change(lambda c: c["categories"].append({"id": 3, "name": "cow"}), "val"), VAL, "'cow'; train has 'cat'"
    ),
    "class-empty": Planted(
        "coco", change(lambda c: c["categories"].append({"id": 3, "name": "cow"})), TRAIN, "'cow'"
    ),
    "class-val-only": Planted("coco", change(only_val_has_dogs), VAL, "'dog'"),
    "class-alike": Planted("coco", change(rename), TRAIN, "'dog', 'Dog '"),
    "id-gaps": Planted(
        "coco",
        lambda at: (
            change(lambda c: c["categories"][1].update(id=5))(at),
            change(lambda c: [a.update(category_id=5) for a in c["annotations"] if a["category_id"] == 2])(at),
        ),
        TRAIN, "1 to 5, without 2, 3, 4",
    ),
    "id-twice": Planted("coco", entry("annotations", 1, id=2), TRAIN, "annotation 2: id 2 twice"),
    "picture-unknown": Planted("coco", entry("annotations", 0, image_id=55), TRAIN, "annotation 2: image_id is 55"),
    "category-unknown": Planted("coco", entry("annotations", 0, category_id=9), TRAIN, "category_id is 9"),
    "row-columns": Planted("yolo", without_first_columns, ROWS, "line 1: `0 0.5 0.5` has 3 columns"),
    "row-number": Planted("yolo", append(ROWS, "0 0.5 x 0.1 0.1\n"), ROWS, "line 3: `0 0.5 x 0.1 0.1` is not made"),
    "rows-mixed": Planted("yolo", append(ROWS, "0 .6 .6 .8 .6 .8 .9\n"), ROWS, "1 polygon rows and 2 box rows"),
    "voc-size": Planted("voc", text(XML, "<width>64", "<width>0"), XML, "size: height is 48, width is 0"),
    "voc-name": Planted("voc", text(XML, "<name>cat", "<name>"), XML, "object 1: name is missing"),
    "voc-box": Planted("voc", text(XML, "<ymax>17", "<ymax>low"), XML, "object 1: bndbox: xmin 5"),
}  # fmt: skip
"""By the code that must be found."""

UNLISTED = ("xml-broken", "xml-doctype")
"""A picture whose annotation cannot be read is not listed."""


LATER = ("picture-truncated",)
"""Errors that training meets when it decodes the picture."""


def refused(at: Path) -> bool:
    """Whether training would refuse the set."""
    try:
        train, *others = [read(source) for source in look(at).parts]
        for other in others:
            check_agreement(train, other)
    except InputError:
        return True
    return False


@pytest.mark.parametrize("format", ["coco", "yolo", "voc"])
def test_nothing_is_reported_of_a_clean_set(format: str, clean: dict[str, Path]) -> None:
    found = check(clean[format])
    assert found.findings == ()
    assert found.counts == {"train": (4, 8), "val": (2, 4)}


def test_every_kind_is_planted() -> None:
    assert list(PLANTED) == list(KINDS)
    assert len(KINDS) >= 25


@pytest.mark.parametrize("code", PLANTED)
def test_a_planted_fault_is_found_alone(code: str, clean: dict[str, Path], tmp_path: Path) -> None:
    planted = PLANTED[code]
    at = shutil.copytree(clean[planted.format], tmp_path / "set")
    planted.spoil(at)
    findings = check(at).by_code()
    assert set(findings) == {code} | ({"picture-unlisted"} if code in UNLISTED else set())
    finding = findings[code][0]
    assert finding.file == at / planted.file
    assert planted.says in f"{finding.place}: {finding.value}"
    assert refused(at) == (KINDS[code].level == "error" and code not in LATER)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (box(9, 9, 1.01, 5), None),
        (box(1, 1, 50, 5), None),
        (box(1, 1, 50.5, 5), "box-extreme"),
        (more(bbox=[4.5, 6, 12, 11]), "box-twice"),
        (more(bbox=[4.51, 6, 12, 11]), None),
        (more(bbox=[4, 6, 12, 11.51]), None),
        (change(lambda content: (hundred(content), content["annotations"].pop())), None),
        (box(53, 9, 12, 9), None),
        (box(53.01, 9, 12, 9), "box-reaches-out"),
    ],
)
def test_thresholds(spoil: Spoil, code: str | None, clean: dict[str, Path], tmp_path: Path) -> None:
    at = shutil.copytree(clean["coco"], tmp_path / "set")
    spoil(at)
    assert list(check(at).by_code()) == ([code] if code else [])


@pytest.mark.parametrize(("bits", "noise", "like"), [(4, 0, True), (5, 0, False), (4, 34, True), (4, 37, False)])
def test_four_bits_and_the_correlation_decide(bits: int, noise: int, like: bool) -> None:
    grey = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (32, 1))
    other = grey.copy()
    other[::2, ::2] = other[::2, ::2].clip(max=255 - noise) + np.uint8(noise)
    here = {Path("a"): Print(b"a", 0, grey)}
    there = {Path("b"): Print(b"b", 2**bits - 1, other)}
    assert [found.code for found in leaks("train", here, "val", there)] == ["leak-similar"] * like


def test_a_picture_too_large_to_be_trained_on_is_an_error(
    clean: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = shutil.copytree(clean["coco"], tmp_path / "set")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 48 - 1)
    found = check(at).by_code()
    assert list(found) == ["picture-unreadable"]
    assert "decompression bomb" in found["picture-unreadable"][0].value


def test_the_page_shows_names_as_text_and_the_box(clean: dict[str, Path], tmp_path: Path) -> None:
    at = shutil.copytree(clean["coco"], tmp_path / "set")
    (at / FIRST).rename(at / "images/train/<b>&.png")
    entry("images", 0, file_name="<b>&.png")(at)
    box(8, 8, 50, 4)(at)
    _, page = write_check(check(at), tmp_path / "out")
    text = page.read_text()
    assert "<b>&" not in text
    assert "&lt;b&gt;&amp;.png" in text
    (source,) = re.findall(r"base64,([^\"]+)", text)
    with Image.open(io.BytesIO(base64.b64decode(source))) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert pixels.shape == (48, 64, 3)
    assert np.abs(pixels[8, 20:50] - (213, 94, 0)).mean() < 40
    assert np.abs(pixels[30, 20:50] - (213, 94, 0)).mean() > 40


def test_status_json_and_page(clean: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = shutil.copytree(clean["coco"], tmp_path / "set")
    assert main(["data", "check", str(at)]) == 0
    assert "0 errors, 0 warnings." in capsys.readouterr().out
    turned(at)
    assert main(["data", "check", str(at)]) == 0
    assert "warning picture-turned, 1 × picture turned by EXIF" in capsys.readouterr().out
    box(70, 9, 5, 5)(at)
    assert main(["data", "check", str(at), "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().out
    assert f"    train: {at / TRAIN}, annotation 2: bbox [70, 9, 5, 5], image 1 (train_1.png)\n  Effect: " in said
    assert "1 errors, 1 warnings." in said
    written = json.loads((tmp_path / "out/check.json").read_text())
    assert (written["errors"], [row["code"] for row in written["findings"]]) == (1, ["box-outside", "picture-turned"])
    page = (tmp_path / "out/check.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 2
    assert "http" not in page


def test_almost_empty_pictures_are_not_taken_for_one_another(clean: dict[str, Path], tmp_path: Path) -> None:
    at = shutil.copytree(clean["coco"], tmp_path / "set")
    for name, place in ((FIRST, 40), ("images/val/val_1.png", 10)):
        grey = np.full((48, 64), 255, dtype=np.uint8)
        grey[place : place + 2, 30:34] = 0
        Image.fromarray(grey).save(at / name)
    assert check(at).findings == ()


def test_the_difference_hash_by_hand() -> None:
    rising = np.tile(np.arange(9, dtype=np.uint8), (8, 1))
    assert difference_hash(Image.fromarray(rising)) == 2**64 - 1
    assert difference_hash(Image.fromarray(rising[:, ::-1].copy())) == 0
    rising[0, :2] = 3, 0  # the first comparison is the highest bit
    assert difference_hash(Image.fromarray(rising)) == 2**63 - 1
