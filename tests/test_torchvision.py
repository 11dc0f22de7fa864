"""Our detector where torchvision's is called, and our assigners in torchvision's own FCOS: parity with torchvision."""

from __future__ import annotations

import copy
import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.models.detection import fcos_resnet50_fpn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.fcos import FCOS as TorchvisionFCOS
from torchvision.models.detection.fcos import FCOSHead

from mmmc.assign import APS, ATSS, FCOS, Assigner
from mmmc.criterion import DenseCriterion
from mmmc.errors import InputError
from mmmc.model import Detector, ModelConfig, RFAConfig
from mmmc.model.torchvision_fcos import from_torchvision
from mmmc.points import make_points
from mmmc.structures import Assignment, Points, Prediction, Target
from mmmc.torchvision import LOSSES, AssignedHead, TorchvisionModel, fcos
from mmmc.torchvision.head import points_of

CLASSES = 4
SIZE = {"min_size": 128, "max_size": 128}
"""Maps of all levels divide such pictures, so that torchvision's strides are those of its squares."""
RANDOM = {"weights": None, "weights_backbone": None, "num_classes": CLASSES}

Targets = list[dict[str, Tensor]]


def fixed_statistics(model: Any) -> Any:
    """The model with statistics of its BatchNorms that no training step moves."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.0
    return model


@pytest.fixture(scope="module")
def theirs() -> TorchvisionFCOS:
    """Torchvision's FCOS with frozen norms, whose outputs are none of them trivial."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = fcos_resnet50_fpn(**RANDOM, **SIZE)
        for name, value in model.named_parameters():
            if name.startswith("head.") and name.endswith("weight") and value.dim() == 4:
                torch.nn.init.kaiming_normal_(value)
        torch.nn.init.normal_(model.head.classification_head.cls_logits.weight, std=0.02)
        torch.nn.init.constant_(model.head.classification_head.cls_logits.bias, -1.0)
        torch.nn.init.constant_(model.head.regression_head.bbox_reg.bias, 2.0)
    return fixed_statistics(model.double())


@pytest.fixture(scope="module")
def ours(theirs: TorchvisionFCOS) -> TorchvisionModel:
    """The same detector, called alike."""
    with pytest.warns(UserWarning, match="all layers are trained"):
        model = fcos(**RANDOM, **SIZE, trainable_backbone_layers=2).double()
    model.point_offset = 0.0
    normalize = model.detector.backbone.normalize
    # Of float32 they would differ from torchvision's in the eighth digit.
    normalize.mean, normalize.std = (
        255 * torch.tensor(value, dtype=torch.float64).view(3, 1, 1)
        for value in (theirs.transform.image_mean, theirs.transform.image_std)
    )
    model.detector.load_state_dict(from_torchvision(theirs.state_dict()), strict=False)
    return fixed_statistics(model)


@pytest.fixture
def pictures() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(3, *size, generator=generator, dtype=torch.float64) for size in ((50, 50), (64, 64))]


@pytest.fixture
def targets() -> Targets:
    """Sizes that no bound of a level meets."""
    return [
        {
            "boxes": torch.tensor([[5.3, 4.1, 30.2, 33.9], [10.7, 6.2, 47.1, 45.3], [32.2, 21.4, 46.8, 37.1]]).double(),
            "labels": torch.tensor([1, 3, 2]),
        },
        {"boxes": torch.zeros(0, 4).double(), "labels": torch.zeros(0, dtype=torch.long)},
    ]


def values(losses: dict[str, Tensor]) -> dict[str, float]:
    return {name: loss.item() for name, loss in losses.items()}


def gradients(losses: dict[str, Tensor], *parameters: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(torch.stack(list(losses.values())).sum(), parameters))


def test_losses_are_those_of_torchvision(
    theirs: TorchvisionFCOS, ours: TorchvisionModel, pictures: list[Tensor], targets: Targets
) -> None:
    """Of two shapes of pictures, so that one is padded."""
    pictures = [pictures[0], pictures[1][:, :40]]
    expected, found = theirs.train()(pictures, targets), ours.train()(pictures, targets)
    assert list(found) == ["classification", "bbox_regression", "bbox_ctrness"]
    assert values(found) == pytest.approx(values(expected), rel=1e-9)
    assert min(values(found).values()) > 0.1
    named = (theirs.head.regression_head.bbox_reg.weight, theirs.head.classification_head.conv[0].weight)
    same = (ours.detector.head.box_distances.weight, ours.detector.head.class_tower[0].weight)
    for wanted, got in zip(gradients(expected, *named), gradients(found, *same), strict=True):
        torch.testing.assert_close(got, wanted, rtol=0, atol=1e-8)


def test_detections_are_those_of_torchvision(
    theirs: TorchvisionFCOS, ours: TorchvisionModel, pictures: list[Tensor]
) -> None:
    """At thresholds that some boxes miss, on two pictures of different sizes."""
    usual = {"score_thresh": 0.5, "topk_candidates": 1000, "detections_per_img": 1000, "nms_thresh": 0.6}
    counts = []
    for change in ({"nms_thresh": 0.2}, {"topk_candidates": 20}, {"score_thresh": 0.55, "detections_per_img": 40}):
        for model in (theirs.eval(), ours.eval()):
            for name, value in (usual | change).items():
                setattr(model, name, value)
        with torch.no_grad():
            expected, found = theirs(pictures), ours(pictures)
        for wanted, got in zip(expected, found, strict=True):
            assert len(wanted["scores"]) > 3
            for name in ("scores", "boxes"):
                torch.testing.assert_close(got[name], wanted[name], rtol=0, atol=1e-5)
            assert torch.equal(got["labels"], wanted["labels"])
            assert list(got) == list(wanted)
        counts.append(len(expected[0]["scores"]))
    assert len(set(counts)) == 3


TINY = ModelConfig(
    backbone="test_efficientnet", weights="none", frozen_stages=0, frozen_norm=False, channels=16, groups=4, depth=1
)


def tiny(model: ModelConfig = TINY, **options: Any) -> TorchvisionModel:
    """A small model that keeps the size of its pictures."""
    torch.manual_seed(0)
    return TorchvisionModel(Detector(model, CLASSES), **{"min_size": 64, "max_size": 64} | options)


GOOD = {"boxes": torch.tensor([[1.0, 2.0, 11.0, 12.0]]), "labels": torch.tensor([3])}
PICTURE = torch.rand(3, 64, 64)


class Recorded(Assigner):
    """Keeps what it was asked."""

    def __call__(self, points: Points, prediction: Prediction, targets: Sequence[Target]) -> Assignment:
        self.points, self.boxes, self.targets = points, prediction.boxes, targets
        return FCOS()(points, prediction, targets)


def test_targets_arrive_at_the_size_of_the_batch_and_crowds_apart() -> None:
    recorded = Recorded()
    model = tiny(assigner=recorded, min_size=64, max_size=128)
    boxes = torch.tensor([[1.0, 2.0, 11.0, 12.0], [4.0, 0.0, 40.0, 30.0]])
    model([torch.rand(3, 32, 48)], [{"boxes": boxes, "labels": torch.tensor([3, 1]), "iscrowd": torch.tensor([0, 1])}])
    (target,) = recorded.targets
    assert target.boxes.tolist() == [[2.0, 4.0, 22.0, 24.0]]
    assert target.crowd.tolist() == [[8.0, 0.0, 80.0, 60.0]]
    assert [target.labels.tolist(), target.size, target.original_size] == [[3], (64, 96), (32, 48)]
    assert recorded.points.xy[0].tolist() == [4.0, 4.0]
    assert boxes[0, 0] == 1, "what was given stays what it is"
    model.point_offset = 0.0
    model([torch.rand(3, 32, 48)], [{"boxes": boxes, "labels": torch.tensor([3, 1])}])
    assert recorded.points.xy[[0, -1]].tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert len(recorded.targets[0].boxes) == 2


def test_mmmc_trains_all_that_it_has() -> None:
    rfa = RFAConfig(class_position=1, box_position=1)
    model = tiny(ModelConfig(**{**vars(TINY), "rfa": rfa, "box_bias": 2.0}), assigner=APS(), criterion=DenseCriterion())
    target = {"boxes": torch.tensor([[8.0, 8.0, 40.0, 50.0]]), "labels": torch.tensor([1])}
    losses = model([torch.rand(3, 64, 64)], [target])
    assert isinstance(losses, dict)
    torch.stack(list(losses.values())).sum().backward()
    assert [name for name, value in model.named_parameters() if value.grad is None] == []


class Unsound(Assigner):
    """Met a value that is not finite where no loss is computed."""

    def __call__(self, points: Points, prediction: Prediction, targets: Sequence[Target]) -> Assignment:
        found = FCOS()(points, prediction, targets)
        return replace(found, finite=torch.tensor([True, False]))


def test_values_that_are_not_finite_reach_every_loss() -> None:
    losses = tiny(assigner=Unsound())([PICTURE, PICTURE], [GOOD, GOOD])
    assert isinstance(losses, dict)
    assert all(loss.isnan() for loss in losses.values())


def test_random_weights_are_all_trained(ours: TorchvisionModel) -> None:
    assert all(value.requires_grad for value in ours.parameters())


def test_the_head_in_torchvisions_own_model(theirs: TorchvisionFCOS, pictures: list[Tensor], targets: Targets) -> None:
    """By FCOS's rule its losses are those that torchvision has itself."""
    expected = values(theirs.train()(pictures, targets))
    model = copy.copy(theirs)
    model._modules = dict(theirs._modules)
    model.head = AssignedHead(theirs.head, FCOS())
    assert values(model(pictures, targets)) == pytest.approx(expected, rel=1e-9)
    model.head = AssignedHead(theirs.head, ATSS(), replace(LOSSES, box_factor=2.0))
    assert model.state_dict().keys() == theirs.state_dict().keys()
    torch.save(model.head, kept := io.BytesIO())
    model.head = torch.load(io.BytesIO(kept.getvalue()), weights_only=False)
    found = values(model(pictures, targets))
    assert found["classification"] != pytest.approx(expected["classification"], rel=1e-3)
    assert 1.2 < found["bbox_regression"] / expected["bbox_regression"] < 3


def squares_of(shapes: list[tuple[int, int]], strides: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
    """Torchvision's for maps of these shapes and this type."""
    generator = AnchorGenerator(tuple((stride,) for stride in strides), ((1.0,),) * len(strides))
    generator.set_cell_anchors(dtype, torch.device("cpu"))
    return torch.cat(
        generator.grid_anchors([list(shape) for shape in shapes], [[torch.tensor(s)] * 2 for s in strides])
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_the_head_under_autocast(dtype: torch.dtype) -> None:
    """Its maps have a low precision then, and so have torchvision's squares."""
    recorded = Recorded()
    head = AssignedHead(FCOSHead(32, 1, CLASSES, num_convs=1), recorded)

    def losses(shapes: list[tuple[int, int]]) -> dict[str, Tensor]:
        squares = squares_of(shapes, (8, 16), dtype)
        said = {"cls_logits": CLASSES, "bbox_regression": 4, "bbox_ctrness": 1}
        outputs = {name: torch.full((1, len(squares), size), 1.3, dtype=dtype) for name, size in said.items()}
        return head.compute_loss([GOOD], outputs, [squares], [])

    small, large = [(3, 64), (2, 32)], [(3, 168), (2, 84)]
    assert all(loss.isfinite() for loss in losses(small).values())
    expected = make_points(small, (8, 16))
    assert torch.equal(recorded.points.xy, expected.xy - expected.stride[:, None] / 2)
    # At 504 px bfloat16 has steps of 2 px.
    size = 8 * float(torch.tensor(1.3, dtype=dtype))
    assert recorded.boxes[0, 63].tolist() == pytest.approx([504 - size, -size, 504 + size, size], abs=1e-4)
    if dtype == torch.bfloat16:
        with pytest.raises(InputError, match=r"bfloat16, which rounds"):
            losses(large)
    else:
        assert losses(large)


def test_squares_are_points() -> None:
    shapes, strides = [(3, 5), (2, 3), (1, 1)], (8, 16, 32)
    found, expected = points_of(squares_of(shapes, strides)), make_points(shapes, strides)
    assert torch.equal(found.xy, expected.xy - expected.stride[:, None] / 2)
    assert torch.equal(found.stride, expected.stride)
    assert torch.equal(found.level, expected.level)
    assert (found.shapes, found.strides) == (expected.shapes, expected.strides)
