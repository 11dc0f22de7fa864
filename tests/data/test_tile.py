"""A set in tiles: an example by hand, pixels and boxes that stay together, and what is said of what is cut."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mmmc.cli import main
from mmmc.data.check import check
from mmmc.data.formats import look, read
from mmmc.data.pictures import read_picture
from mmmc.data.tile import Cut, Tiled, corners_of, shares_within, tile
from mmmc.data.tiling import Tiling
from mmmc.errors import InputError

SIDE = Tiling(100, 0.2, whole=False)
"""Two tiles of a picture of 160 × 90 pixels: from 0 and from 60, both 90 pixels high."""

BOXES = {
    "left": [10, 10, 20, 20],
    "in both": [65, 10, 20, 20],
    "half": [90, 40, 20, 20],
    "quarter": [35, 40, 33, 20],
    "wide": [5, 70, 150, 10],
}
CROWD = [50, 0, 60, 5]


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """One picture that is cut and one that is a tile, in PNG; another that is cut, with nothing in it."""
    at = tmp_path / "data"
    (at / "images").mkdir(parents=True)
    images = []
    for index, (name, height, width) in enumerate((("a.png", 90, 160), ("b.png", 60, 80), ("c.png", 90, 160)), 5):
        Image.fromarray(noise(height, width)).save(at / "images" / name)
        images.append({"id": index, "file_name": name, "height": height, "width": width})
    annotations = [
        {"id": k, "image_id": 5, "category_id": 3, "bbox": box, "area": box[2] * box[3] / 2, "iscrowd": 0}
        for k, box in enumerate(BOXES.values(), 1)
    ]
    annotations.append(annotations[0] | {"id": 90, "bbox": CROWD, "iscrowd": 1})
    annotations.append(annotations[0] | {"id": 91, "image_id": 6, "bbox": [1, 2, 3, 4]})
    content = {"images": images, "annotations": annotations, "categories": [{"id": 3, "name": "cat"}]}
    (at / "annotations").mkdir()
    (at / "annotations/instances_train.json").write_text(json.dumps(content))
    return at


def written(out: Path) -> tuple[dict[str, dict], dict[str, list]]:
    """Images by name, and of each `bbox`, `area`, `iscrowd` in order."""
    content = json.loads((out / "annotations/instances_train.json").read_text())
    images = {image["file_name"]: image for image in content["images"]}
    rows = {
        name: [
            ([round(value, 9) for value in row["bbox"]], round(row["area"], 9), row["iscrowd"])
            for row in content["annotations"]
            if row["image_id"] == image["id"]
        ]
        for name, image in images.items()
    }
    assert content["categories"] == [{"id": 3, "name": "cat"}]
    return images, rows


def test_pictures_above_pillows_limit_are_cut_and_no_others_read(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60 * 80 - 1)
    tile(data, tmp_path / "out", tiling=SIDE)
    assert Image.MAX_IMAGE_PIXELS == 60 * 80 - 1
    with pytest.raises(InputError, match=r"a\.png: more than 4799 pixels"):
        read(look(data).parts[0])


def test_by_hand(data: Path, tmp_path: Path) -> None:
    _, done = tile(data, tmp_path / "out", tiling=SIDE)
    images, rows = written(tmp_path / "out")
    assert {
        name: (image["source"], image["corner"], image["width"], image["height"]) for name, image in images.items()
    } == {
        "a-0-0.png": ("a.png", [0, 0], 100, 90),
        "a-60-0.png": ("a.png", [60, 0], 100, 90),
        "b.png": ("b.png", [0, 0], 80, 60),
        "c-0-0.png": ("c.png", [0, 0], 100, 90),
        "c-60-0.png": ("c.png", [60, 0], 100, 90),
    }
    assert rows["a-0-0.png"] == [
        ([10, 10, 20, 20], 200, 0),
        ([65, 10, 20, 20], 200, 0),
        ([90, 40, 10, 20], 100, 0),  # half of it is within: as much as is asked for
        ([35, 40, 33, 20], 330, 0),
        ([5, 70, 95, 10], 475, 0),
        ([50, 0, 50, 5], round(200 * 50 / 60, 9), 1),
    ]
    assert rows["a-60-0.png"] == [
        ([5, 10, 20, 20], 200, 0),
        ([30, 40, 20, 20], 200, 0),
        ([0, 40, 8, 20], 80, 1),  # 8 of 33 pixels
        ([0, 70, 95, 10], 475, 0),
        ([0, 0, 50, 5], round(200 * 50 / 60, 9), 1),
    ]
    assert rows["b.png"] == [([1, 2, 3, 4], 200, 0)]
    assert done["train"] == Tiled(pictures=3, tiles=5, copied=1, objects=6, whole=6, cut=3, rest=1)


def test_the_rules(data: Path, tmp_path: Path) -> None:
    _, done = tile(data, tmp_path / "a", tiling=SIDE, cut=Cut(keep=1, rest="drop", empty=False))
    images, rows = written(tmp_path / "a")
    assert list(images) == ["a-0-0.png", "a-60-0.png", "b.png"]
    # The crowd region stays, whatever its share.
    assert [[row[0] for row in found] for found in rows.values()] == [
        [[10, 10, 20, 20], [65, 10, 20, 20], [35, 40, 33, 20], [50, 0, 50, 5]],
        [[5, 10, 20, 20], [30, 40, 20, 20], [0, 0, 50, 5]],
        [[1, 2, 3, 4]],
    ]
    assert done["train"] == Tiled(pictures=3, tiles=3, copied=1, left_out=2, objects=6, whole=6, rest=4, nowhere=1)
    _, done = tile(data, tmp_path / "b", tiling=Tiling(100, 0.2, whole=True), cut=Cut(keep=1))
    images, rows = written(tmp_path / "b")
    assert (tmp_path / "b/images/train/a.png").read_bytes() == (data / "images/a.png").read_bytes()
    assert len(rows["a.png"]) == 6
    assert (done["train"].copied, done["train"].nowhere) == (3, 0)


def test_pixels_are_those_of_the_picture(data: Path, tmp_path: Path) -> None:
    for seed, name in enumerate(("jpg", "bmp"), 1):
        Image.fromarray(noise(90, 160, seed)).save(data / f"images/a.{name}", quality=95)
    file = data / "annotations/instances_train.json"
    content = json.loads(file.read_text())
    content["images"][1].update(file_name="a.jpg", height=90, width=160)
    content["images"][2].update(file_name="a.bmp")
    file.write_text(json.dumps(content))
    tile(data, tmp_path / "out", tiling=SIDE)
    folder = tmp_path / "out/images/train"
    names = ["a-0-0.jpg", "a-0-0.png", "a-60-0.jpg", "a-60-0.png", "a.bmp-0-0.png", "a.bmp-60-0.png"]
    assert sorted(path.name for path in folder.iterdir()) == names
    for source, tiles in (("a.png", "a-{}-0.png"), ("a.bmp", "a.bmp-{}-0.png"), ("a.jpg", "a-{}-0.jpg")):
        whole = read_picture(data / "images" / source).int()
        for x in (0, 60):
            difference = (read_picture(folder / tiles.format(x)).int() - whole[:, :, x : x + 100]).abs()
            assert difference.float().mean() < (10 if source == "a.jpg" else 1e-9)
    assert check(tmp_path / "out").errors == 0
    (train,) = (read(source) for source in look(tmp_path / "out").parts)
    assert len(train.objects(0).crowd) == 1


@given(
    st.lists(st.tuples(*[st.integers(0, 150)] * 2, *[st.integers(1, 200)] * 2), min_size=1, max_size=5),
    st.integers(32, 150),
    st.sampled_from([0.0, 0.2, 0.5]),
)
def test_shares_are_those_of_counted_pixels(boxes: list[tuple[int, ...]], size: int, overlap: float) -> None:
    xywh = np.array(boxes, dtype=np.float64)
    windows = Tiling(size, overlap, whole=False).windows(170, 190)
    shares = shares_within(xywh, windows)
    for m, (x1, y1, x2, y2) in enumerate(corners_of(xywh).astype(int).tolist()):
        image = torch.zeros(400, 400)
        image[y1:y2, x1:x2] = 1
        for w, (a, b, c, d) in enumerate(windows):
            assert shares[w, m] == pytest.approx(image[b:d, a:c].sum().item() / image.sum().item())


def test_a_box_without_round_numbers_is_whole_where_it_is() -> None:
    xywh = np.array([[0.1, 0.2, 0.3, 0.7], [32.1, 3.3, 10.7, 9.1]])
    assert shares_within(xywh, [(0, 0, 100, 90)]).tolist() == [[1.0, 1.0]]


def test_nothing_stays_of_half_a_set(data: Path, tmp_path: Path) -> None:
    before = {path.name for path in tmp_path.iterdir()}
    file = data / "annotations/instances_train.json"
    content = json.loads(file.read_text())
    content["images"][1].update(file_name="a-60-0.png")
    (data / "images/b.png").rename(data / "images/a-60-0.png")
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"two tiles would be a-60-0\.png\. Allowed: other names"):
        tile(data, tmp_path / "out", tiling=SIDE)
    content["annotations"] = []
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"no tile of train shows an object"):
        tile(data, tmp_path / "out", tiling=SIDE, cut=Cut(empty=False))
    assert {path.name for path in tmp_path.iterdir()} == before


def test_the_command_says_what_it_did(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["data", "tile", str(data), "--size", "100", "--keep", "1", "--rest", "drop", "--empty", "false"]
    assert main([*line, "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr()
    assert f"{data} is COCO JSON" in said.err
    assert said.out.splitlines() == [
        "train: 3 pictures became 3 tiles.",
        "train: 1 of them are whole pictures, copied as they were.",
        "train: 2 tiles with nothing in them are left out.",
        "train: of 6 objects, tiles show 6 times one whole.",
        "train: 4 times an object has a smaller share in a tile; these are left out there.",
        "train: 1 objects have a share of 1 in no tile.",
        f"Set: {tmp_path / 'out'}",
    ]
