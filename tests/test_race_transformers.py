"""The race's contestants of transformers, where it is installed: what they are made of and what they see."""

from __future__ import annotations

import pytest
import torch
from torch import nn

pytest.importorskip("transformers")

from benchmarks.race import by_transformers
from mmmc.training.optim import build_optimizer

BUILD = {"rt-detr": by_transformers.rt_detr, "d-fine": by_transformers.d_fine}


@pytest.mark.parametrize("name", BUILD)
def test_the_backbone_tells_pictures_apart(name: str) -> None:
    """From random weights, as they train: what comes out of it depends on what goes in."""
    torch.manual_seed(0)
    backbone = BUILD[name](3).train().model.backbone
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in backbone.modules())
    with torch.no_grad():
        maps = backbone.model(torch.rand(2, 3, 64, 64)).feature_maps
    for level in maps:
        assert (level[0] - level[1]).std() > 0.1 * level.std()


@torch.no_grad()
def test_boxes_are_in_the_pixels_of_the_picture() -> None:
    """All queries answer; at first their boxes lie all over the picture, so some reach beyond squares of 320."""
    torch.manual_seed(0)
    picture = torch.randint(256, (3, 480, 640), dtype=torch.uint8)
    boxes, scores, labels = by_transformers.detect(by_transformers.d_fine(3).eval(), picture)
    assert len(boxes) == len(scores) == len(labels) == 300
    assert boxes.isfinite().all()
    assert 320 < boxes[:, 0::2].mean(dim=1).max() < 640
    assert set(labels.tolist()) <= {0, 1, 2}


@pytest.mark.parametrize(("name", "rate"), [("rt-detr", 1e-4 * 0.5**0.5), ("d-fine", 8e-4 / 4)])
def test_rates_are_scaled_to_the_batch(name: str, rate: float) -> None:
    """By the square root: 8 pictures for RT-DETR's 16 and D-FINE's 128."""
    method = by_transformers.method(name)
    optimizer = build_optimizer(nn.Linear(2, 2), method.optimizer, method.batch)
    assert optimizer.param_groups[0]["base_lr"] == pytest.approx(rate)
