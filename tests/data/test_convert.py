from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmmc.cli import main
from mmmc.data.convert import convert
from mmmc.data.formats import FormatName, look, read
from mmmc.data.sets import CocoSet
from mmmc.errors import InputError


def part(path: Path, name: str = "train") -> CocoSet:
    source = look(path).part(name)
    assert source is not None
    return read(source)


def by_name(pictures: CocoSet, i: int) -> list[tuple[str, list[float]]]:
    rows = slice(pictures.offsets[i], pictures.offsets[i + 1])
    names = [pictures.categories.names[label] for label in pictures.labels[rows]]
    return list(zip(names, pictures.xywh[rows].tolist(), strict=True))


@pytest.mark.parametrize(
    ("way", "tolerance"),
    [(("yolo", "coco"), 1e-6), (("coco", "yolo"), 1e-6), (("voc", "coco"), 0.5), (("yolo", "voc", "yolo"), 0.5)],
)
def test_there_and_back(way: tuple[FormatName, ...], tolerance: float, tiny_set: Path, tmp_path: Path) -> None:
    at = tiny_set
    for number, kind in enumerate(way):
        convert(at, tmp_path / f"{number}", to=kind)
        at = tmp_path / f"{number}"
    for name in ("train", "val"):
        before, after = part(tiny_set, name), part(at, name)
        assert set(after.categories.names) <= set(before.categories.names)
        index = {Path(file).name: i for i, file in enumerate(after.names)}
        assert len(index) == len(before)
        for i, file in enumerate(before.names):
            assert after.file(index[file]).read_bytes() == before.file(i).read_bytes()
            was, now = by_name(before, i), by_name(after, index[file])
            assert [row[0] for row in was] == [row[0] for row in now]
            corners = [np.array([(x, y, x + w, y + h) for _, (x, y, w, h) in rows]) for rows in (was, now)]
            np.testing.assert_allclose(corners[1], corners[0], rtol=0, atol=tolerance)
    assert {file.name for file in tmp_path.iterdir()} == {str(number) for number in range(len(way))}


def test_what_is_lost_is_said(tiny_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = shutil.copytree(tiny_set, tmp_path / "data")
    file = data / "annotations/instances_train.json"
    content = json.loads(file.read_text())
    content["annotations"][0].update(iscrowd=1)
    content["annotations"][1].update(bbox=[50, 10, 14.5, 5])
    content["annotations"][2].update(bbox=[70, 10, 5, 5])
    content["annotations"][3].update(bbox=[60, 10, 9, 5.25])
    file.write_text(json.dumps(content))
    line = ["data", "convert", str(data), "--out", str(tmp_path / "out"), "--bad_boxes", "clip", "--to"]
    assert main([*line, "yolo"]) == 0
    out = capsys.readouterr()
    assert f"{data} is COCO JSON" in out.err
    for sentence in (
        "train: 1 bad boxes were dropped.",
        "train: 1 bad boxes were clipped.",
        "train: 1 boxes that reached out by up to one pixel were cut to their picture.",
        "1 crowd regions are left out: YOLO has no word for them.",
    ):
        assert sentence in out.out
    before, after = read(look(data).parts[0], bad_boxes="clip"), part(tmp_path / "out")
    assert len(after.labels) == len(before.labels) - 2
    assert after.trimmed == 0
    shutil.rmtree(tmp_path / "out")
    assert main([*line, "voc"]) == 0
    assert "boxes are rounded to whole pixels, a side by up to 0.5 px." in capsys.readouterr().out


def one_picture(folder: Path, box: list[float], name: str = "a.png", **more: object) -> Path:
    """A set of one picture of 64 × 64 px and one object."""
    (folder / "annotations").mkdir(parents=True)
    Image.new("RGB", (64, 64)).save(folder / name)
    content = {
        "images": [{"id": 1, "file_name": name, "width": 64, "height": 64}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": box}],
        "categories": [{"id": 1, "name": "cat"}],
    }
    (folder / "annotations/instances_train.json").write_text(json.dumps(content | more))
    return folder


def test_the_area_of_a_box_that_was_cut_is_at_most_its_own(tmp_path: Path) -> None:
    data = one_picture(tmp_path / "data", [60, 10, 9, 5])
    convert(data, tmp_path / "out", to="coco", bad_boxes="clip")
    written = json.loads((tmp_path / "out/annotations/instances_train.json").read_text())
    assert (written["annotations"][0]["bbox"], written["annotations"][0]["area"]) == ([60, 10, 4, 5], 20)


def test_classes_that_voc_does_not_know_are_said(tmp_path: Path) -> None:
    data = one_picture(
        tmp_path / "data", [6, 10, 9, 5], categories=[{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    )
    _, notes = convert(data, tmp_path / "out", to="voc")
    assert "classes without objects are left out, as VOC knows none: 'dog'" in notes
    assert part(tmp_path / "out").categories.names == ("cat",)


@pytest.mark.parametrize("name", ["cat ", "c\x01t", "c\nt", "c\udce4t"])
def test_names_that_xml_does_not_give_back_are_refused(name: str, tmp_path: Path) -> None:
    data = one_picture(tmp_path / "data", [6, 10, 9, 5], categories=[{"id": 1, "name": name}])
    with pytest.raises(InputError, match=r"cannot be written to XML\. Allowed: names without blanks"):
        convert(data, tmp_path / "out", to="voc")
    convert(data, tmp_path / "yolo", to="yolo")
    assert part(tmp_path / "yolo").categories.names == (name,)


@pytest.mark.parametrize("kind", ["coco", "yolo", "voc"])
def test_a_picture_whose_name_ends_in_a_number_comes_back(kind: FormatName, tmp_path: Path) -> None:
    data = one_picture(tmp_path / "data", [6, 10, 9, 5], name="frame 1.png")
    convert(data, tmp_path / "out", to=kind)
    assert Path(part(tmp_path / "out").names[0]).name == "frame 1.png"


def test_names_that_share_no_folder_are_refused(tmp_path: Path) -> None:
    images = [{"id": 1, "file_name": "a.png", "width": 64, "height": 64}]
    images.append(images[0] | {"id": 2, "file_name": str(tmp_path / "data/b.png")})
    data = one_picture(tmp_path / "data", [6, 10, 9, 5], images=images)
    Image.new("RGB", (64, 64)).save(data / "b.png")
    with pytest.raises(InputError, match=r"b\.png' starts from the root and others do not"):
        convert(data, tmp_path / "out", to="yolo")


def test_nothing_stays_of_half_a_set(tiny_set: Path, tmp_path: Path) -> None:
    data = shutil.copytree(tiny_set, tmp_path / "data")
    with pytest.raises(InputError, match=r"data exists already\. Allowed: a new or an empty folder"):
        convert(tiny_set, data, to="yolo")
    file = data / "annotations/instances_val.json"
    content = json.loads(file.read_text())
    name = content["images"][0]["file_name"]
    content["images"][1]["file_name"] = f"{Path(name).stem}.jpg"
    file.write_text(json.dumps(content))
    Image.new("RGB", (64, 64)).save(data / "images" / f"{Path(name).stem}.jpg")
    for kind in ("yolo", "voc"):
        with pytest.raises(InputError, match=rf"{name} and .*\.jpg would share a label file"):
            convert(data, tmp_path / "out", to=kind)  # type: ignore[arg-type]
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


def test_a_name_that_leads_out_is_refused(tiny_set: Path, tmp_path: Path) -> None:
    data = shutil.copytree(tiny_set, tmp_path / "data")
    file = data / "annotations/instances_train.json"
    content = json.loads(file.read_text())
    Image.new("RGB", (64, 64)).save(data / "x.png")
    content["images"][0]["file_name"] = "../x.png"  # beside others, so that no folder is shared
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"picture '\.\./x\.png' lies outside its folder"):
        convert(data, tmp_path / "out", to="coco")
