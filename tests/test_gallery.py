"""Pictures of a run, and the losses that they show."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from PIL import Image
from torchvision.ops import generalized_box_iou_loss, sigmoid_focal_loss

from mmmc import InputError, draw_run
from mmmc.assign import FCOS
from mmmc.gallery import candidate_losses, draw_assigners, save_image
from mmmc.points import make_points
from mmmc.predictor import Predictor
from mmmc.recipe.naming import NamedAssigner
from mmmc.structures import Prediction
from mmmc.testing import make_target
from mmmc.training.sets import open_sets

NAMES = ("predictions", "curves", "objects", "labels", "losses")


def test_a_finished_run_is_drawn(tiny_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(tiny_run, tmp_path / "run", ignore=shutil.ignore_patterns("pictures")))
    files = draw_run(run)
    assert files == [run / "pictures" / f"{name}.png" for name in NAMES]
    for file in files:
        with Image.open(file) as image:
            assert image.format == "PNG"
            assert min(image.size) >= 200
            assert len(image.convert("RGB").resize((64, 64)).getcolors(4096)) > 20, "not blank"


def test_what_is_no_run_is_not_drawn(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no run: there is no recipe\.yaml"):
        draw_run(tmp_path)


def test_candidate_losses_by_hand() -> None:
    # Points at 4 and 12 in both directions, then one at 8. The small box holds only (4, 4), the large one all.
    points = make_points([(2, 2), (1, 1)], [8, 16], device=torch.device("cpu"), dtype=torch.float32)
    target = make_target([[0, 0, 16, 14], [1, 1, 7, 7]], (16, 16), labels=[1, 0])
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 5, 2, generator=generator)
    corners = torch.rand(1, 5, 2, generator=generator) * 6
    prediction = Prediction(logits, torch.cat([corners, corners + 7], dim=2), torch.zeros(1, 5))

    losses = candidate_losses(points, prediction, target)

    owner = torch.tensor([1, 0, 0, 0, 0])
    one_hot = torch.nn.functional.one_hot(target.labels[owner], 2).float()
    focal = sigmoid_focal_loss(logits[0], one_hot, alpha=0.25, gamma=2.0).sum(dim=1)
    giou = generalized_box_iou_loss(prediction.boxes[0], target.boxes[owner])
    assert list(losses) == ["class loss (focal)", "box loss (1 − GIoU)"]
    torch.testing.assert_close(losses["class loss (focal)"], focal)
    torch.testing.assert_close(losses["box loss (1 − GIoU)"], giou)


def test_candidate_losses_are_nan_outside_the_boxes() -> None:
    points = make_points([(2, 2)], [8], device=torch.device("cpu"), dtype=torch.float32)
    prediction = Prediction(
        torch.zeros(1, 4, 1), torch.tensor([[[0.0, 0.0, 8.0, 8.0]]]).repeat(1, 4, 1), torch.zeros(1, 4)
    )
    # (12, 4) lies on the box's edge, which is outside; (4, 4) is the only point within.
    for values in candidate_losses(points, prediction, make_target([[0, 0, 12, 8]], (16, 16))).values():
        assert values.isfinite().tolist() == [True, False, False, False]
        assert values[1:].isnan().all()
    # Without an object there is nothing to lose.
    for values in candidate_losses(points, prediction, make_target([], (16, 16))).values():
        assert values.isnan().all()


@dataclass(frozen=True)
class Growing(FCOS):
    """Admits more of the box as training goes on."""

    def at(self, progress: float) -> Growing:
        return Growing(self.range_strides, 0.01 if progress < 1 else None)


def test_assigners_are_compared_as_they_are_when_training_ends(tiny_run: Path) -> None:
    predictor = Predictor.load(tiny_run)
    _, pictures = open_sets(predictor.recipe.data)
    rules = {"late": FCOS(4.0, None), "growing": Growing(4.0, 0.01), "early": FCOS(4.0, 0.01)}
    figure = draw_assigners(predictor, pictures, 1, [NamedAssigner(name, rule) for name, rule in rules.items()])
    (written,) = ([text.get_text() for text in axes.texts] for axes in figure.axes if axes.get_label() == "sheet")
    late, growing, early = (written[written.index(name) + 1] for name in rules)
    assert late == growing != early


@pytest.mark.parametrize(("name", "kind"), [("a.jpg", "JPEG"), ("a.PNG", "PNG"), ("a", "PNG")])
def test_a_picture_is_written_as_its_name_says(name: str, kind: str, tmp_path: Path) -> None:
    path = save_image(torch.zeros(3, 4, 6, dtype=torch.uint8), tmp_path / "new" / name)
    with Image.open(path) as image:
        assert (image.format, image.size) == (kind, (6, 4))
