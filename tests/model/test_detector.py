"""The detector: its size, its outputs, what is frozen, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from mmmc.errors import InputError
from mmmc.model import Detector, ModelConfig
from mmmc.model.head import Head
from mmmc.points import make_points


def small(**changes: Any) -> ModelConfig:
    return ModelConfig(
        **{"backbone": "resnet18", "weights": "none", "channels": 32, "groups": 8, "depth": 1, **changes}
    )


def pictures(height: int = 32, width: int = 64, images: int = 2) -> torch.Tensor:
    return torch.randint(256, (images, 3, height, width), dtype=torch.uint8, generator=torch.manual_seed(0))


@pytest.mark.parametrize(("frozen_norm", "expected"), [(False, 32_297_370), (True, 32_244_250)])
def test_parameters_of_fcos_r50(frozen_norm: bool, expected: int) -> None:
    with torch.device("meta"):
        detector = Detector(ModelConfig("resnet50", weights="none", frozen_norm=frozen_norm), classes=80)
    assert sum(parameter.numel() for parameter in detector.parameters()) == expected


def test_a_prediction_per_point_of_every_level() -> None:
    points, prediction = Detector(small(), classes=5)(pictures(64, 96))
    assert points.shapes == ((8, 12), (4, 6), (2, 3), (1, 2), (1, 1))
    assert torch.equal(points.xy, make_points(points.shapes, (8, 16, 32, 64, 128)).xy)
    assert prediction.logits.shape == (2, len(points), 5)
    assert prediction.boxes.shape == (2, len(points), 4)
    assert prediction.quality.shape == (2, len(points))
    x, y = points.xy.unbind(1)
    x1, y1, x2, y2 = prediction.boxes.unbind(2)
    assert ((x1 <= x) & (x <= x2) & (y1 <= y) & (y <= y2)).all()
    assert prediction.logits.detach().sigmoid().mean().item() == pytest.approx(0.01, abs=0.005)


def test_training_and_inference_return_the_same() -> None:
    detector = Detector(small(), classes=2)
    trained, evaluated = detector.train()(pictures())[1], detector.eval()(pictures())[1]
    torch.testing.assert_close(trained.logits, evaluated.logits)  # BatchNorm is frozen.
    assert type(trained) is type(evaluated)


def test_each_level_has_its_scale_and_its_stride() -> None:
    detector = Detector(small(), classes=2)
    nn.init.zeros_(detector.head.box_distances.weight)
    nn.init.constant_(detector.head.box_distances.bias, 2.0)  # type: ignore[arg-type]
    detector.head.scales.data = torch.tensor([1.0, 0.5, 2.0, -1.0, 3.0])
    points, prediction = detector(pictures())
    sides = points.split((prediction.boxes[0, :, 2] - prediction.boxes[0, :, 0]).detach())
    # Twice the distance of 2 · scale · stride; a negative scale is cut off by the ReLU.
    assert [side.unique().tolist() for side in sides] == [[32], [32], [256], [0], [1536]]


def test_coordinates_are_float32_under_autocast() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        points, prediction = Detector(small(), classes=2)(pictures())
    assert points.xy.dtype == prediction.boxes.dtype == torch.float32
    assert prediction.logits.dtype == torch.bfloat16
    assert Detector(small(), classes=2).bfloat16()(pictures())[1].boxes.dtype == torch.float32


@pytest.mark.parametrize("bins", [0, 16])
def test_distances_do_not_lose_places_under_autocast(bins: int) -> None:
    """Of 40 strides bfloat16 would keep a quarter of a stride."""
    head = Head(32, 2, 1, depth=1, box_bins=bins)
    nn.init.zeros_(head.box_distances.weight)
    nn.init.constant_(head.box_distances.bias, 40.1)  # type: ignore[arg-type]
    with torch.autocast("cpu", torch.bfloat16):
        (output,) = head([torch.randn(1, 32, 4, 4)])
    assert output.logits.dtype == torch.bfloat16
    raw = output.distances if output.bins is None else output.bins
    torch.testing.assert_close(raw, torch.full_like(raw, 40.1))
    assert raw.dtype == torch.float32


@pytest.mark.parametrize("quality_on", ["box", "class"])
def test_the_quality_branch_reads_its_tower(quality_on: str) -> None:
    head = Head(32, 2, 1, depth=1, quality_on=quality_on)
    (output,) = head([torch.randn(1, 32, 4, 4)])
    output.quality.sum().backward()
    read, other = (head.box_tower, head.class_tower) if quality_on == "box" else (head.class_tower, head.box_tower)
    assert read[0].weight.grad.any()
    assert other[0].weight.grad is None


def test_the_prior_is_the_initial_class_probability() -> None:
    head = Head(32, 3, 1, prior=0.2)
    assert head.class_logits.bias.sigmoid().tolist() == pytest.approx([0.2] * 3)
    assert ModelConfig().depth == 4
    assert [type(layer).__name__ for layer in head.box_tower] == ["Conv2d", "GroupNorm", "ReLU"] * 4
    assert math.isclose(head.box_tower[0].weight.std().item(), 0.01, rel_tol=0.05)


STEM = {"conv1", "bn1"}


@pytest.mark.parametrize(
    ("stages", "frozen"),
    [
        (0, set()),
        (1, STEM),
        (2, STEM | {"layer1"}),
        (3, STEM | {"layer1", "layer2"}),
        (5, STEM | {"layer1", "layer2", "layer3", "layer4"}),
    ],
)
def test_frozen_stages_require_no_gradient(stages: int, frozen: set[str]) -> None:
    detector = Detector(small(frozen_stages=stages, frozen_norm=False), classes=2)
    parameters = list(detector.backbone.trunk.named_parameters())
    without = {name.partition(".")[0] for name, parameter in parameters if not parameter.requires_grad}
    trained = {name.partition(".")[0] for name, parameter in parameters if parameter.requires_grad}
    assert without == frozen
    assert without | trained == STEM | {"layer1", "layer2", "layer3", "layer4"}
    assert not without & trained
    rest = [*detector.fpn.parameters(), *detector.head.parameters()]
    assert all(parameter.requires_grad for parameter in rest)


def test_a_step_leaves_what_is_frozen_as_it_is() -> None:
    detector = Detector(small(frozen_stages=2), classes=2).train()
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    _, prediction = detector(pictures())
    (prediction.logits.sum() + prediction.boxes.sum() + prediction.quality.sum()).backward()
    torch.optim.SGD(detector.parameters(), lr=0.1, weight_decay=0.1).step()
    changed = {name for name, value in detector.state_dict().items() if not torch.equal(value, before[name])}
    for name in before:
        part = name.split(".")[2] if name.startswith("backbone.trunk") else ""
        norm = "bn" in name or "downsample.1" in name
        assert (name in changed) == (part not in {"conv1", "bn1", "layer1"} and not norm), name


def test_frozen_norm_is_buffers_that_training_does_not_move() -> None:
    frozen, trained = (Detector(small(frozen_norm=value, frozen_stages=0), classes=2) for value in (True, False))
    assert not any("bn" in name for name, _ in frozen.backbone.named_parameters())
    assert {"backbone.trunk.bn1.weight", "backbone.trunk.bn1.running_mean"} <= dict(frozen.named_buffers()).keys()
    frozen.train()(pictures())
    trained.train()(pictures())
    assert not frozen.backbone.trunk.bn1.running_mean.any()
    assert trained.backbone.trunk.bn1.running_mean.any()


def test_the_checkpoint_does_not_hold_the_normalization() -> None:
    assert not [name for name in Detector(small(), classes=2).state_dict() if "normalize" in name]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": 8}, "model.channels is 8; allowed: a multiple of model.groups = 8, at least twice"),
        ({"channels": 36}, "model.channels is 36; allowed: a multiple of model.groups = 8"),
        ({"depth": -1}, "model.depth is -1; allowed: at least 0"),
        ({"frozen_stages": -1}, "model.frozen_stages is -1; allowed: at least 0"),
    ],
)
def test_options_out_of_range_are_refused(changes: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        small(**changes)


@pytest.mark.parametrize(
    ("options", "first"),
    [
        ({}, 0.0),
        ({"box_bias": 2.0}, 2.0),
        ({"box_form": "exp"}, 1.0),
        ({"box_form": "exp", "box_bias": 99.0}, 2980.958),
    ],
)
def test_distances_of_an_empty_map(options: dict[str, Any], first: float) -> None:
    """ReLU(0), ReLU(2), exp(0), and exp(8), beyond which it does not grow."""
    output = Head(32, 3, 1, groups=8, **options)([torch.zeros(1, 32, 2, 2)])[0]
    assert output.distances.flatten().tolist() == pytest.approx([first] * 16)
