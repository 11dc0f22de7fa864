"""A planted fault that can be repaired in one way is gone in the copy; the others stay and are named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from mmmc.data.check import KINDS, check
from mmmc.data.check.fix import fix
from mmmc.data.check.mend import MENDED
from mmmc.data.formats import FORMATS, RawBox, look, read

from .planted import (
    FIRST,
    PLANTED,
    ROWS,
    TRAIN,
    XML,
    Spoil,
    append,
    both,
    box,
    change,
    digest,
    entry,
    more,
    spoiled,
    text,
)

MENDABLE = {code for _, codes in MENDED.values() for code in codes} | {"picture-turned"}

OTHERWISE: dict[str, tuple[str, Spoil]] = {
    "class-alike": ("coco", both(lambda c: c["categories"].append({"id": 3, "name": " dog"}))),
}
"""Where only some faults of a kind are mended, one of them."""


@pytest.mark.parametrize("code", sorted(MENDABLE))
def test_what_can_be_repaired_is_gone_in_the_copy(code: str, clean: dict[str, Path], tmp_path: Path) -> None:
    format, spoil = OTHERWISE.get(code, (PLANTED[code].format, PLANTED[code].spoil))
    at = spoiled(clean, tmp_path, format, spoil)
    before = digest(at)
    assert set(check(at).by_code()) >= {code}
    done = fix(at, tmp_path / "out")
    assert digest(at) == before, "the set itself is not touched"
    assert check(tmp_path / "out").findings == ()
    assert done.left.findings == ()
    written = json.loads((tmp_path / "out/fixes.json").read_text())
    assert code in {row["code"] for row in written["fixes"]}
    assert written["left"] == []
    assert str(tmp_path) not in json.dumps(written)
    for source in look(tmp_path / "out").parts:
        read(source)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("code", ["box-outside", "class-index", "voc-name", "leak-file", "row-columns", "class-alike"])
def test_the_others_stay_as_they_are(code: str, clean: dict[str, Path], tmp_path: Path) -> None:
    at = spoiled(clean, tmp_path, PLANTED[code].format, PLANTED[code].spoil)
    done = fix(at, tmp_path / "out")
    assert done.fixes == ()
    assert set(done.left.by_code()) == {code}
    (tmp_path / "out/fixes.json").unlink()
    assert digest(at) == digest(tmp_path / "out")


def test_only_kinds_that_the_check_has_are_repaired() -> None:
    assert set(KINDS) >= MENDABLE


def rows(out: Path, kind: str = "annotations") -> list[dict]:
    return json.loads((out / TRAIN).read_text())[kind]


def test_coco_by_hand(clean: dict[str, Path], tmp_path: Path) -> None:
    at = spoiled(
        clean,
        tmp_path,
        "coco",
        box(58, 9, 9, 9),
        entry("annotations", 0, area=70, segmentation=[[1, 2, 3, 4, 5, 6]]),
        more(bbox=[30, 30, 5, 5]),
        more(id=100, bbox=[30, 30, 5, 5]),
        more(id=101, bbox=[30, 30, 5, 5]),
        change(lambda c: c.update(info={"year": 2017})),
    )
    count = len(rows(at))
    done = fix(at, tmp_path / "out")
    # Two of three equal boxes go; fields that are not at fault stay.
    assert [(f.finding.code, f.finding.place) for f in done.fixes] == [
        ("box-twice", "annotation 100"),
        ("box-twice", "annotation 101"),
        ("box-reaches-out", "annotation 2"),
    ]
    assert len(rows(tmp_path / "out")) == count - 2
    assert rows(tmp_path / "out")[0] == {
        **rows(at)[0],
        "bbox": [58, 9, 6, 9],
        "area": 54,
        "segmentation": [[1, 2, 3, 4, 5, 6]],
    }
    assert json.loads((tmp_path / "out" / TRAIN).read_text())["info"] == {"year": 2017}


def test_a_second_id_is_renewed_and_what_it_hid_is_repaired(clean: dict[str, Path], tmp_path: Path) -> None:
    at = spoiled(clean, tmp_path, "coco", more(id=2, bbox=[40, 40, 0, 5]))
    done = fix(at, tmp_path / "out")
    assert [f.finding.code for f in done.fixes] == ["id-twice", "box-empty"]
    assert rows(tmp_path / "out") == rows(clean["coco"])


def test_joined_pictures_and_classes_keep_their_boxes(clean: dict[str, Path], tmp_path: Path) -> None:
    at = spoiled(
        clean,
        tmp_path,
        "coco",
        change(lambda c: c["images"].append(c["images"][0] | {"id": 50})),
        both(lambda c: c["categories"].append({"id": 3, "name": "dog "})),
        more(image_id=50, category_id=3, bbox=[40, 30, 9, 9]),
    )
    fix(at, tmp_path / "out")
    last = rows(tmp_path / "out")[-1]
    assert (last["image_id"], last["category_id"]) == (1, 2)
    assert rows(tmp_path / "out", "categories") == rows(clean["coco"], "categories")


def joined(content: dict) -> None:
    """A picture and a class that are there twice."""
    content["images"].append(content["images"][0] | {"id": 50})
    content["categories"].append({"id": 3, "name": "dog"})


@pytest.mark.parametrize(
    ("spoils", "mended"),
    [
        ([box(58, 9, 9, 9), entry("annotations", 0, area=None)], {"box-reaches-out"}),
        ([change(joined), change(lambda c: c["annotations"].append(None))], {"picture-twice", "class-twice"}),
        ([change(joined), change(lambda c: c["images"].append(None))], {"picture-twice", "class-twice"}),
        ([change(joined), change(lambda c: c["categories"].append(None))], {"picture-twice", "class-twice"}),
        ([change(joined), change(lambda c: c["categories"].append({"name": "dog"}))], {"picture-twice", "class-twice"}),
        ([change(joined), entry("annotations", 0, category_id=[1])], {"picture-twice", "class-twice"}),
        ([change(joined), change(lambda c: c.pop("annotations"))], {"picture-twice", "class-twice"}),
        ([change(lambda c: c.pop("images"))], set()),
        ([lambda at: (at / TRAIN).write_text("[1]")], set()),
    ],
)
def test_other_faults_do_not_keep_from_repairs(
    spoils: list[Spoil], mended: set[str], clean: dict[str, Path], tmp_path: Path
) -> None:
    at = spoiled(clean, tmp_path, "coco", *spoils)
    done = fix(at, tmp_path / "out")
    assert {one.finding.code for one in done.fixes} == mended
    assert not mended & set(done.left.by_code())
    if not mended:
        assert (tmp_path / "out" / TRAIN).read_bytes() == (at / TRAIN).read_bytes()


def test_rows_and_xml_by_hand(clean: dict[str, Path], tmp_path: Path) -> None:
    at = spoiled(clean, tmp_path, "yolo", append(ROWS, "0 0.9 0.5 0.4 0.2\n1 .5 .5 .7 1.2 .6 .6\n"))
    fix(at, tmp_path / "yolo")
    kept = (at / ROWS).read_text().splitlines()
    assert (tmp_path / "yolo" / ROWS).read_text().splitlines() == [
        *kept[:2],
        "0 0.85 0.5 0.3 0.2",
        "1 0.5 0.5 0.7 1 0.6 0.6",
    ]
    shutil.rmtree(at)
    at = spoiled(clean, tmp_path, "voc", text(XML, "<xmax>16", "<xmax>62"), text(XML, "<width>64", "<width>60"))
    fix(at, tmp_path / "voc")
    tree = ElementTree.parse(tmp_path / "voc" / XML)
    assert [tree.findtext(f"size/{side}") for side in ("width", "height")] == ["64", "48"]
    # The box reaches out of 60 pixels, and not of the 64 that there are.
    assert tree.findtext("object/bndbox/xmax") == "62"
    shutil.rmtree(at)
    at = spoiled(clean, tmp_path, "voc", text(XML, "<xmax>16", "<xmax>90"))
    fix(at, tmp_path / "cut")
    assert ElementTree.parse(tmp_path / "cut" / XML).findtext("object/bndbox/xmax") == "64"


def corners(content: dict) -> None:
    """Boxes as x1, y1, x2, y2, which leave the picture when they are read as COCO's."""
    for annotation in content["annotations"]:
        annotation["bbox"] = [34, 20, 60, 46]


@pytest.mark.parametrize(
    ("format", "spoil", "code", "says"),
    [
        ("coco", change(corners), "box-reaches-out", "as x1, y1, x2, y2 all boxes would lie in their pictures"),
        ("coco", box(56, 9, 20, 9), "box-reaches-out", "bbox [56, 9, 20, 9]"),
        ("coco", box(30, 9, -8, 9), "box-empty", "bbox [30, 9, -8, 9]"),
        ("voc", text(XML, "<xmin>5", "<xmin>30"), "box-empty", "xmin 30"),
        ("yolo", append(ROWS, "0 32 24 20 30\n"), "number-not-share", "as pixels it would lie in its picture"),
        ("yolo", append(ROWS, "0 1 1 40 40\n"), "number-not-share", "`0 1 1 40 40`"),
    ],
)
def test_boxes_that_may_be_meant_otherwise_are_left(
    format: str, spoil: Spoil, code: str, says: str, clean: dict[str, Path], tmp_path: Path
) -> None:
    at = spoiled(clean, tmp_path, format, spoil)
    done = fix(at, tmp_path / "out")
    left = done.left.by_code()
    assert says in left[code][0].value
    assert code not in {one.finding.code for one in done.fixes}
    assert {box.text for box in parsed(tmp_path / "out")} == {box.text for box in parsed(at)}


def parsed(at: Path) -> list[RawBox]:
    source = look(at).parts[0]
    return FORMATS[source.format].parse(source).boxes


def sideways(at: Path) -> None:
    """Stored lying, displayed standing: 48 wide, 64 high."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(at / FIRST).save(at / FIRST, exif=exif)


@pytest.mark.parametrize(
    "spoils",
    [
        [entry("images", 0, width=128, height=96)],  # drawn on a picture twice as large
        [entry("images", 0, width=60), box(55, 9, 12, 9)],  # a box that fits neither
        [sideways],  # drawn on the picture as it is stored
    ],
)
def test_a_size_in_doubt_is_left(spoils: list[Spoil], clean: dict[str, Path], tmp_path: Path) -> None:
    at = spoiled(clean, tmp_path, "coco", *spoils)
    done = fix(at, tmp_path / "out")
    assert "picture-size" in done.left.by_code()
    assert (tmp_path / "out" / TRAIN).read_bytes() == (at / TRAIN).read_bytes()
    assert (tmp_path / "out" / FIRST).read_bytes() == (at / FIRST).read_bytes()
