"""Records of the paper's figures: what is read is what was written, and nothing broken is drawn."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmmc.draw.views import Candidates, Chosen, Deformed, Found, Misaligned, Parted, Scene, View
from mmmc.errors import InputError
from mmmc.points import make_points
from mmmc.study import figures

COMMITTED = Path(__file__).parents[2] / "results" / "figures"

POINTS = make_points([(4, 4), (2, 2)], (8, 16))
IMAGE = torch.zeros(3, 32, 32, dtype=torch.uint8)
IMAGE[:, :24, :20] = torch.tensor([200, 90, 30], dtype=torch.uint8)[:, None, None]
SCENE = Scene(IMAGE, (24, 20), POINTS, torch.tensor([2.0, 3, 18.5, 21]), "object 1 (cup)")
LOSSES = {
    "class loss": torch.full((20,), torch.nan).index_fill(0, torch.tensor([5, 6, 16]), 0.1),
    "box loss (1 − GIoU)": torch.full((20,), torch.nan).index_fill(0, torch.tensor([5, 6, 16]), 1 / 3),
}
SCORES = torch.tensor([0.5, 0.4, 0.1])
FIRST = torch.zeros(20, dtype=torch.bool).index_fill(0, torch.tensor([5, 16]), True)
VIEWS: dict[int, View] = {
    1: Misaligned(
        SCENE,
        Found(16, torch.tensor([1.0, 2, 30, 40]), 0.91, 0.33),
        Found(5, torch.tensor([2.0, 3, 18, 21]), 0.42, 0.95),
        LOSSES,
    ),
    2: Parted(
        SCENE,
        Candidates(
            torch.tensor([5, 6, 16]),
            SCORES,
            2 * SCORES,
            (SCORES, 1 - SCORES),
            -SCORES,
            torch.tensor([True, False, True]),
        ),
        "paper",
    ),
    3: Chosen(SCENE, LOSSES, {"APS": FIRST, "FCOS": ~FIRST}),
}
ABOUT = {
    "set": "kitchen",
    "picture": "a/b.jpg",
    "image_id": 7,
    "object": 1,
    "recipe_hash": "0123456789ab",
    "seed": 3,
    "weights": "last",
    "version": "0.1.0",
}


def written(path: Path, figure: int) -> Path:
    figures.write(path, VIEWS[figure], {"figure": figure, **ABOUT})
    return path


def leaves(value: Any) -> list[Any]:
    """All numbers, names and tensors of a view but its picture, in order."""
    if isinstance(value, dict):
        return [leaf for name, entry in value.items() for leaf in (name, *leaves(entry))]
    if isinstance(value, tuple):
        return [leaf for entry in value for leaf in leaves(entry)]
    if hasattr(value, "__dict__") and not isinstance(value, torch.Tensor):
        return [leaf for name, entry in vars(value).items() if name != "image" for leaf in (name, *leaves(entry))]
    return [value]


@pytest.mark.parametrize("figure", VIEWS)
def test_what_is_read_is_what_was_written(figure: int, tmp_path: Path) -> None:
    path = written(tmp_path / "new" / "record.npz", figure)
    found = figures.read(path, figure)
    assert found.about.items() >= {"figure": figure, "name": "object 1 (cup)", **ABOUT}.items()
    assert type(found.view) is type(VIEWS[figure])
    for read, wanted in zip(leaves(found.view), leaves(VIEWS[figure]), strict=True):
        if isinstance(wanted, torch.Tensor):
            torch.testing.assert_close(read, wanted, rtol=0, atol=0, equal_nan=True)
        else:
            assert read == (pytest.approx(wanted) if isinstance(wanted, float) else wanted)
    # The padding is gone; JPEG moves a flat colour by a step or two.
    assert found.view.scene.image.shape == (3, 24, 20)
    assert (found.view.scene.image.int() - IMAGE[:, :24, :20].int()).abs().max() <= 3
    assert path.read_bytes() == written(tmp_path / "again.npz", figure).read_bytes()


def test_a_view_without_a_record(tmp_path: Path) -> None:
    view = Deformed(SCENE, 5, {}, {})
    with pytest.raises(ValueError, match="Deformed has no record"):
        figures.write(tmp_path / "record.npz", view, {"figure": 4, **ABOUT})
    assert list(tmp_path.iterdir()) == []


def test_a_record_too_large_to_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = written(tmp_path / "fits.npz", 1).stat().st_size
    monkeypatch.setattr(figures, "LIMIT", size - 1)
    with pytest.raises(InputError, match=rf"large\.npz: the record would have {size:,} bytes; allowed: {size - 1:,}\."):
        written(tmp_path / "large.npz", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["fits.npz"]


def said(**changes: Any) -> Callable[[dict[str, np.ndarray]], None]:
    """`about` with other values; None takes one away."""

    def change(arrays: dict[str, np.ndarray]) -> None:
        about = json.loads(arrays["about"].tobytes()) | changes
        text = json.dumps({name: value for name, value in about.items() if value is not None})
        arrays["about"] = np.frombuffer(text.encode(), np.uint8)

    return change


BROKEN: list[tuple[int, Callable[[dict[str, np.ndarray]], object], str]] = [
    (1, lambda arrays: arrays.pop("about"), "it lacks about"),
    (1, lambda arrays: arrays.update(about=np.frombuffer(b"{", np.uint8)), "about is not JSON"),
    (1, lambda arrays: arrays.update(about=np.frombuffer(b"[]", np.uint8)), "it is of figure None, not of figure 1"),
    (1, said(figure=2), "it is of figure 2, not of figure 1"),
    (1, said(recipe_hash=None), "about lacks recipe_hash"),
    (1, said(seed="0"), "about says that seed is '0'; allowed: int"),
    (1, said(losses=["a", "a"]), r"about says that losses are \['a', 'a'\]; allowed: names, each once"),
    (1, said(losses=[1, 2]), r"losses are \[1, 2\]"),
    (3, said(rules=[]), r"rules are \[\]"),
    (1, lambda arrays: arrays.pop("losses"), "it lacks the array losses"),
    (1, lambda arrays: arrays.pop("picture"), "it lacks the array picture"),
    (1, said(losses=["a", "b", "c"]), r"losses is float32 of \(2, 20\); allowed: kind f of 3 × 20, not empty"),
    (1, lambda arrays: arrays.update(losses=arrays["losses"][:, :19]), r"\(2, 19\); allowed: kind f of 2 × 20"),
    (1, lambda arrays: arrays.update(losses=arrays["losses"] * np.nan), "one of the losses has no finite value"),
    (1, lambda arrays: arrays.update(best_point=np.array([0, 20])), "best_point names a point .*; allowed: 0 to 19"),
    (2, lambda arrays: arrays.update(point=np.array([-1, 0, 1])), "point names a point"),
    (2, lambda arrays: arrays.update(fit=arrays["fit"][:, :2]), r"fit is float32 of \(2, 2\); .* 2 × 3"),
    (2, lambda arrays: arrays.update(positive=np.zeros(3, np.int64)), "positive is int64 .* kind b"),
    (2, lambda arrays: arrays.update(strides=np.array([8])), r"strides is int64 of \(1,\); allowed: kind i of 2"),
    (2, lambda arrays: arrays.update(strides=np.array([8, 0])), r"strides are \[8, 0\]; allowed: at least 1"),
    (3, lambda arrays: arrays.update(box=np.zeros(3)), r"box is float64 of \(3,\); allowed: kind f of 4"),
    (3, lambda arrays: arrays.update(picture=arrays["picture"][:50]), "its picture is no JPEG, or damaged"),
    (3, lambda arrays: arrays.update(losses=np.array([None])), "not an archive of arrays, or damaged .*pickle"),
]


@pytest.mark.parametrize(("figure", "spoil", "message"), BROKEN)
def test_a_broken_record_is_refused(
    figure: int, spoil: Callable[[dict[str, np.ndarray]], object], message: str, tmp_path: Path
) -> None:
    path = written(tmp_path / "record.npz", figure)
    with np.load(path) as archive:
        arrays = dict(archive)
    spoil(arrays)
    np.savez(path, **arrays)
    made = rf"Make it by: mmmc study figure {figure} --run RUN --picture PICTURE --record .*record\.npz"
    with pytest.raises(InputError, match=rf"record\.npz: .*{message}.* {made}"):
        figures.read(path, figure)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    whole = written(tmp_path / "record.npz", 1)
    data = whole.read_bytes()
    with pytest.raises(InputError, match=r"none\.npz: there is no such record of a figure\. Make it by: mmmc study"):
        figures.read(tmp_path / "none.npz", 1)
    bare = tmp_path / "bare.npy"
    np.save(bare, np.zeros(3))
    contents = (b"", b"text", data[: len(data) // 2], data[:300] + bytes(60) + data[360:], bare.read_bytes())
    for content in contents:
        whole.write_bytes(content)
        with pytest.raises(InputError, match="not an archive of arrays, or damaged"):
            figures.read(whole, 1)


def test_the_committed_records() -> None:
    """Of one object of one run, each of its own figure."""
    abouts = [figures.read(COMMITTED / f"{figure}.npz", figure).about for figure in figures.NAMES]
    for name in figures.ABOUT.keys() - {"figure"}:
        assert len({about[name] for about in abouts}) == 1, name
    assert all(path.stat().st_size <= 1_000_000 for path in COMMITTED.iterdir())
