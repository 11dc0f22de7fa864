"""The embedded set: what is promised of its objects, that it never changes, and how it is written."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import from_numpy
from torchvision.ops import box_iou

from mmmc.data.synthetic import CLASSES, Scene, layout, make_synthetic, painting, scene, writing
from mmmc.errors import InputError

COLOURS = {
    "red": (214, 38, 42),
    "white": (244, 243, 236),
    "blue": (34, 74, 205),
    "yellow": (246, 206, 30),
    "black": (22, 22, 26),
}


def draw_default_set(stride: int) -> list[Scene]:
    """Every `stride`-th picture of the set that `mmmc data make` writes."""
    counts = {"train": 400, "val": 100}
    return [scene(0, split, index) for split, count in counts.items() for index in range(0, count, stride)]


@pytest.fixture(scope="module", params=[5, pytest.param(1, marks=pytest.mark.full)], ids=["sample", "all"])
def scenes(request: pytest.FixtureRequest) -> list[Scene]:
    return draw_default_set(request.param)


def sides(one: Scene) -> np.ndarray:
    """Root of the area of each box."""
    return np.sqrt((one.boxes[:, 2:] - one.boxes[:, :2]).prod(1))


def test_objects_of_all_sizes(scenes: list[Scene]) -> None:
    side = np.concatenate([sides(one) for one in scenes])
    assert np.mean(side < 32) >= 0.25
    assert np.mean(side > 96) >= 0.1
    assert 7.5 <= side.min() < 9
    assert side.max() > 0.7 * 256


def test_objects_overlap(scenes: list[Scene]) -> None:
    paired = []
    for one in scenes:
        iou = box_iou(from_numpy(one.boxes), from_numpy(one.boxes)).fill_diagonal_(0)
        paired += (iou > 0.3).any(1).tolist()
    assert np.mean(paired) >= 0.2


def test_objects_hide_one_another_but_none_is_lost(scenes: list[Scene]) -> None:
    visible = np.concatenate([one.visible for one in scenes])
    assert np.mean(visible < 0.7) >= 0.15
    assert visible.min() >= 0.25
    assert visible.max() == 1


def test_half_of_the_cues_are_off_centre(scenes: list[Scene]) -> None:
    centred = np.concatenate([one.centred for one in scenes])
    labels = np.concatenate([one.labels for one in scenes])
    assert np.mean(centred) == pytest.approx(0.5, abs=0.05)
    for label in range(len(CLASSES)):  # three standard errors of a fair coin
        of_class = centred[labels == label]
        assert of_class.mean() == pytest.approx(0.5, abs=1.5 / np.sqrt(len(of_class)))


def test_centred_means_centred(scenes: list[Scene]) -> None:
    for one in scenes:
        whole = ((one.boxes > 0) & (one.boxes < 256)).all(1)
        low, high = one.boxes[whole, :2], one.boxes[whole, 2:]
        away = np.abs((2 * one.cue[whole] - low - high) / (high - low)).max(1)
        assert (away[one.centred[whole]] < 0.1).all()
        assert (away[~one.centred[whole]] > 0.4).all()


def test_classes_are_balanced_and_scenes_crowded(scenes: list[Scene]) -> None:
    labels = np.concatenate([one.labels for one in scenes])
    share = np.bincount(labels, minlength=len(CLASSES)) / len(labels)
    assert len(share) == len(CLASSES)
    assert share.min() >= 0.15
    assert share.max() <= 0.3
    assert {len(one.boxes) for one in scenes} == {4, 5, 6, 7, 8}


def test_boxes_lie_in_the_picture_and_hold_their_cue(scenes: list[Scene]) -> None:
    for one in scenes:
        assert one.boxes.min() >= 0
        assert one.boxes.max() <= 256
        assert (one.boxes[:, 2:] - one.boxes[:, :2]).min() > 3
        assert ((one.cue > one.boxes[:, :2]) & (one.cue < one.boxes[:, 2:])).all()
        assert (one.boxes * 8 % 1 == 0).all()  # exact in binary, so x + w never leaves the picture by rounding


def test_the_badge_tells_the_class(scenes: list[Scene]) -> None:
    """The nearest colours above and below the cue's centre name the class of nearly every fully visible object."""
    palette = np.array([[COLOURS[colour] for colour in name.split("-")] for name in CLASSES], float)
    right = []
    for one in scenes:
        for (x, y), label, side, visible in zip(one.cue, one.labels, sides(one), one.visible, strict=True):
            if side < 24 or visible < 1:
                continue
            reach = max(1.5, 0.06 * side)
            halves = np.array([one.image[int(y - reach), int(x)], one.image[int(y + reach), int(x)]], float)
            gain = (halves * palette).sum((1, 2)) / (palette**2).sum((1, 2))  # the light is unknown
            right.append(((halves - gain[:, None, None] * palette) ** 2).sum((1, 2)).argmin() == label)
    assert len(right) > 100
    assert np.mean(right) > 0.95


def test_nothing_but_the_badge_tells_the_class() -> None:
    """With another class and the same draws a body is the same, and the picture changes within the badge alone."""
    y, x = np.mgrid[:128, :128] + 0.5
    for number in range(20):
        bodies = []
        for label in range(len(CLASSES)):
            loose = layout.make_body(np.random.default_rng(number), 30.0, 1.2, label, number % 2 == 0, badge=True)
            bodies.append(layout.place(loose, 64, 64, (128, 128), [])[0].body)
        pictures = [painting.draw([body], (128, 128), np.random.default_rng(number)).astype(int) for body in bodies]
        for body, picture in zip(bodies[1:], pictures[1:], strict=True):
            assert (body.box, body.cue, body.depth) == (bodies[0].box, bodies[0].cue, bodies[0].depth)
            assert np.array_equal(body.outline, bodies[0].outline)
            changed = (picture != pictures[0]).any(-1)
            assert changed.any()
            assert np.hypot(x - body.cue_xy[0], y - body.cue_xy[1])[changed].max() < 1.3 * body.cue_radius + 1


def test_box_is_the_extent_of_what_is_drawn() -> None:
    """Without shadow, light and noise, a body fills its outline in its box: extent, area and centre of mass agree."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:128, :128] + 0.5
    shifts = []
    for _ in range(40):
        body = layout.make_body(rng, rng.uniform(12, 60), rng.uniform(0.5, 2), None, centred=True, badge=False)
        body = layout.place(body, 64, 64, (128, 128), [])[0].body
        canvas = np.zeros((128, 128, 3), np.float32)
        painting.fill(canvas, body.pixels(body.outline), np.ones(3))
        cover = canvas[..., 0].astype(float)
        ys, xs = np.nonzero(cover > 0.02)
        # A thin tip fades out within the last pixel or two.
        np.testing.assert_allclose((xs.min(), ys.min(), xs.max() + 1, ys.max() + 1), body.box, atol=2)
        assert cover.sum() == pytest.approx(len(body.area) / 24**2 * body.width * body.height, rel=0.06)
        mass = np.array([(cover * x).sum(), (cover * y).sum()]) / cover.sum()
        shifts.append(mass - body.pixels(body.area).mean(0))
    np.testing.assert_allclose(np.mean(shifts, 0), 0, atol=0.05)


def test_visible_is_what_the_pictures_show() -> None:
    """The share of the area that stays, counted in pixels by painting silhouettes in order."""
    for index in range(12):
        placed = layout.arrange(np.random.default_rng(index), (256, 256))
        masks = []
        for item in placed:
            mask = np.zeros((256, 256, 3), np.float32)
            painting.fill(mask, item.body.pixels(item.body.outline), np.ones(3))
            x, y = np.meshgrid(np.arange(256) + 0.5, np.arange(256) + 0.5)
            on_badge = np.hypot(x - item.body.cue_xy[0], y - item.body.cue_xy[1]) < item.body.cue_radius
            masks.append((mask[..., 0] > 0.5) | on_badge)
        for k, item in enumerate(placed):
            hidden = np.any([np.zeros((256, 256), bool), *masks[k + 1 :]], axis=0)
            if masks[k].sum() > 200:
                assert item.visible == pytest.approx(1 - (masks[k] & hidden).sum() / masks[k].sum(), abs=0.05)


def test_scene_is_a_pure_function() -> None:
    first, second = scene(3, "val", 7), scene(3, "val", 8)
    scene(3, "train", 7)
    again = scene(3, "val", 7)
    for name in ("image", "boxes", "labels", "visible", "cue", "centred"):
        assert getattr(again, name).tobytes() == getattr(first, name).tobytes()
    for other in (second, scene(3, "train", 7), scene(4, "val", 7)):
        assert other.image.tobytes() != first.image.tobytes()
        assert other.boxes.tobytes() != first.boxes.tobytes()


def test_generator_is_fixed() -> None:
    """Boxes, classes and visibility of version 1. Pixels are left out: they may follow the drawing library."""
    digest = hashlib.sha256()
    for split in ("train", "val"):
        for index in range(4):
            one = scene(0, split, index)
            for array in (one.boxes, one.labels.astype(np.int64), one.visible, one.centred):
                digest.update(array.tobytes())
    assert writing.VERSION == 1
    assert digest.hexdigest() == "5cc0b8fd62170babd4970a920c492d5beba065a437feece09eb35091e36941e8"


def test_other_sizes() -> None:
    for size in ((64, 64), (96, 320)):
        one = scene(0, "train", 0, size)
        assert one.image.shape == (*size, 3)
        assert (one.boxes.max(0) <= [size[1], size[0], size[1], size[0]]).all()
        assert len(one.boxes) >= 1


def test_written_set_is_coco(tmp_path: Path) -> None:
    folder = make_synthetic(tmp_path / "new" / "set", train=3, val=2, size=(96, 128), seed=5)
    assert folder == tmp_path / "new" / "set"
    for split, count in (("train", 3), ("val", 2)):
        content = json.loads((folder / "annotations" / f"instances_{split}.json").read_text())
        assert [one["name"] for one in content["categories"]] == list(CLASSES)
        assert len(content["images"]) == count
        for index, entry in enumerate(content["images"]):
            expected = scene(5, split, index, (96, 128))
            with Image.open(folder / "images" / entry["file_name"]) as picture:
                assert np.array_equal(np.asarray(picture), expected.image)
            assert (entry["height"], entry["width"]) == (96, 128)
            mine = [one for one in content["annotations"] if one["image_id"] == entry["id"]]
            corners = [[x, y, x + w, y + h] for x, y, w, h in (one["bbox"] for one in mine)]
            assert corners == expected.boxes.tolist()
            assert [one["category_id"] - 1 for one in mine] == expected.labels.tolist()
            assert [one["visible"] for one in mine] == expected.visible.tolist()
            assert [one["cue"] for one in mine] == expected.cue.tolist()
            assert [one["centred"] for one in mine] == expected.centred.tolist()
        ids = [one["id"] for one in content["annotations"]]
        assert len(set(ids)) == len(ids)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["set"]


def test_same_set_is_left_as_it_is(tmp_path: Path) -> None:
    folder = make_synthetic(tmp_path / "set", train=1, val=1, size=(64, 64))
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    make_synthetic(folder, train=1, val=1, size=(64, 64))
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.mark.parametrize("change", [{"seed": 1}, {"val": 2}, {"size": (64, 72)}])
def test_another_set_is_refused(tmp_path: Path, change: dict) -> None:
    options = {"train": 1, "val": 1, "size": (64, 64)}
    folder = make_synthetic(tmp_path / "set", **options)
    with pytest.raises(InputError, match="exists already"):
        make_synthetic(folder, **{**options, **change})


def test_incomplete_or_foreign_folder_is_refused(tmp_path: Path) -> None:
    folder = make_synthetic(tmp_path / "set", train=1, val=1, size=(64, 64))
    (folder / "images" / "val_00000.png").unlink()
    with pytest.raises(InputError, match="exists already"):
        make_synthetic(folder, train=1, val=1, size=(64, 64))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        make_synthetic(tmp_path / "other", train=1, val=1)
    with pytest.raises(InputError, match=r"notes\.txt"):
        make_synthetic(tmp_path / "other" / "notes.txt", train=1, val=1)
    assert (tmp_path / "other" / "notes.txt").read_text() == "mine"


def test_nothing_half_written_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = writing.scene

    def breaks_at_two(seed: int, split: str, index: int, size: tuple[int, int]) -> Scene:
        if index == 2:
            raise KeyboardInterrupt
        return real(seed, split, index, size)

    monkeypatch.setattr(writing, "scene", breaks_at_two)
    with pytest.raises(KeyboardInterrupt):
        make_synthetic(tmp_path / "set", train=4, val=1, size=(64, 64))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": 0}, "train is 0"),
        ({"val": -1}, "val is -1"),
        ({"seed": -1}, "seed is -1"),
        ({"size": (32, 256)}, "size is"),
    ],
)
def test_bad_options_are_refused(tmp_path: Path, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_synthetic(tmp_path / "set", **{"train": 1, "val": 1, **options})
    assert list(tmp_path.iterdir()) == []


def test_unknown_split_is_refused() -> None:
    with pytest.raises(InputError, match="Did you mean 'train'"):
        scene(0, "trian", 0)
