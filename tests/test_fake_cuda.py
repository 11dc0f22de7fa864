"""Right on a GPU without one: everything of a step that can run on fake CUDA tensors does, and nothing waits for it.

Fake tensors say `cuda:0` and hold no values: a forgotten `device=` raises, and so does a branch on data. Backward asks
for a real device, so gradients are set by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from fake_cuda import CUDA, Waits, devices, fake_cuda, fake_prediction, fake_targets  # noqa: F401
from torch import Tensor
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from mmmc.assign import APS, ATSS, FCOS, OTA, PAA, TAL, Assigner, DynamicSoftLabel, MaxIoU, SimOTA, ignore_crowds
from mmmc.assign.shared import conflicts, pairs, split
from mmmc.criterion import DenseCriterion
from mmmc.losses import Losses
from mmmc.model import Detector, ModelConfig, RFAConfig
from mmmc.points import make_points
from mmmc.recipe import OptimizerConfig, load_recipe, recipe_names
from mmmc.structures import Points, Prediction, Supervision, Target
from mmmc.testing import make_scene
from mmmc.training.optim import build_optimizer, take_step

ASSIGNERS = [
    FCOS(),
    FCOS(None, None),
    ATSS(),
    MaxIoU(),
    PAA(),
    PAA(rule="b", prematch="inside"),
    SimOTA(),
    SimOTA(region="box_and_square", score="cls"),
    OTA(),
    TAL(),
    TAL(target="hard"),
    DynamicSoftLabel(),
    APS(),
    APS(rule="b", score="code", score_scale="code", conflict="max_iou", iou_smooth=1.0, target="score"),
    APS(level_stat="fixed_fraction", class_loss="bce", tiny="nearest", rule="topk"),
    APS(scale=False),
    APS(spatial=False),
]
CRITERIA = [
    DenseCriterion(),
    DenseCriterion(quality_target="iou", box_weight="iou"),
    DenseCriterion(quality_target="centerness", box_weight="none"),
    DenseCriterion(quality_range="half", quality_detach=False),
]


RFA = RFAConfig(class_position=1, box_position=1)


def fake_detector(
    backbone: str = "resnet18",
    dtype: torch.dtype = torch.float32,
    rfa: RFAConfig = RFAConfig(),  # noqa: B008
    **own: Any,
) -> Detector:
    """Built on the device and in its type: fake parameters cannot be moved."""
    config = ModelConfig(backbone, weights="none", channels=32, groups=8, depth=1, rfa=rfa, **own)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with CUDA:
            return Detector(config, classes=3)
    finally:
        torch.set_default_dtype(before)


def losses(
    assigner: Assigner, criterion: DenseCriterion, points: Points, prediction: Prediction, targets: list[Target]
) -> Losses:
    assignment = ignore_crowds(points, assigner(points, prediction, targets), targets)
    return criterion(points, prediction, targets, assignment)


@pytest.mark.usefixtures("fake_cuda")
@pytest.mark.parametrize("criterion", CRITERIA, ids=range(len(CRITERIA)))
@pytest.mark.parametrize("assigner", ASSIGNERS, ids=str)
def test_assignment_and_losses(assigner: Assigner, criterion: DenseCriterion) -> None:
    points, prediction = fake_prediction()
    targets = fake_targets()
    assignment = assigner(points, prediction, targets)
    values = (assignment.gt, assignment.score, assignment.weight, assignment.state, assignment.finite)
    assert devices(*values, assignment.counts()) == {"cuda:0"}
    total = losses(assigner, criterion, points, prediction, targets).total()
    assert (str(total.device), total.dtype, total.requires_grad) == ("cuda:0", torch.float32, True)


@pytest.mark.usefixtures("fake_cuda")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("rfa", "assigner"), [(RFAConfig(), FCOS()), (RFA, APS())], ids=["fcos", "mmmc"])
def test_a_step(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, rfa: RFAConfig, assigner: Assigner) -> None:
    """In bfloat16 throughout, since autocast needs a device to be on."""
    detector = fake_detector(dtype=dtype, rfa=rfa)
    assert devices(list(detector.state_dict().values())) == {"cuda:0"}
    points, prediction = detector(torch.zeros(2, 3, 64, 96, dtype=torch.uint8, device=CUDA))
    assert devices(points.xy, points.stride, points.level, prediction.boxes, prediction.logits) == {"cuda:0"}
    assert prediction.logits.dtype == dtype
    assert points.xy.dtype == prediction.boxes.dtype == torch.float32
    total = losses(assigner, DenseCriterion(), points, prediction, fake_targets()).total()
    assert str(total.device) == "cuda:0"
    trained = [parameter for parameter in detector.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.grad = torch.zeros_like(parameter)
    optimizer = build_optimizer(detector, OptimizerConfig(), 16)
    # Fused kernels know no fake tensors: all of the step but them, then those that are not fused.
    monkeypatch.setattr(optimizer, "step", lambda: None)
    with Waits() as waits:
        take_step(optimizer, trained, 1.0)
    assert waits.seen == []
    torch.optim.SGD(trained, lr=0.01, momentum=0.9, weight_decay=1e-4).step()
    torch.optim.AdamW(trained, lr=0.01).step()
    assert devices(trained, optimizer.found_inf) == {"cuda:0"}  # type: ignore[attr-defined]


@pytest.mark.usefixtures("fake_cuda")
@pytest.mark.parametrize("backbone", ["resnet50", "efficientnet_lite0"])
def test_other_backbones_are_built_on_the_device(backbone: str) -> None:
    detector = fake_detector(backbone)
    _, prediction = detector(torch.zeros(2, 3, 64, 64, dtype=torch.uint8, device=CUDA))
    assert devices(prediction.logits, list(detector.buffers())) == {"cuda:0"}


@pytest.mark.usefixtures("fake_cuda")
def test_a_forgotten_device_is_caught() -> None:
    points = make_points([(8, 12)], (8,))  # Lacks `device=CUDA`.
    prediction = Prediction(
        logits=torch.zeros(2, 96, 3, device=CUDA),
        boxes=torch.zeros(2, 96, 4, device=CUDA),
        quality=torch.zeros(2, 96, device=CUDA),
    )
    with pytest.raises(RuntimeError, match=r"(on the same device|two different devices).*cpu"):
        FCOS()(points, prediction, fake_targets())


@pytest.mark.usefixtures("fake_cuda")
def test_a_branch_on_data_is_caught() -> None:
    with pytest.raises(GuardOnDataDependentSymNode):
        bool((torch.zeros(3, device=CUDA) > 0).any())


@pytest.mark.parametrize("criterion", CRITERIA, ids=range(len(CRITERIA)))
@pytest.mark.parametrize("assigner", ASSIGNERS, ids=str)
def test_assignment_and_losses_never_wait(
    assigner: Assigner, criterion: DenseCriterion, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on a GPU, where values are not at hand.
    for module in (conflicts, pairs, split):
        monkeypatch.setattr(module, "at_hand", lambda _: False)
    scene = make_scene(0, objects=(5, 0))
    with Waits() as waits:
        losses(assigner, criterion, *scene).total()
    assert waits.seen == []


@pytest.mark.usefixtures("fake_cuda")
@pytest.mark.parametrize("criterion", CRITERIA, ids=range(len(CRITERIA)))
def test_a_step_copies_nothing_to_the_device(criterion: DenseCriterion) -> None:
    detector, targets = fake_detector(rfa=RFA), fake_targets()
    images = torch.zeros(2, 3, 64, 96, dtype=torch.uint8, device=CUDA)
    with Waits() as waits:
        points, prediction = detector(images)
        for assigner in (FCOS(), APS()):
            losses(assigner, criterion, points, prediction, targets).total()
    assert waits.seen == []


METHODS = [name for name in recipe_names() if name.startswith("small")]


@pytest.mark.usefixtures("fake_cuda")
@pytest.mark.parametrize("name", METHODS)
def test_a_step_of_every_method_stays_on_the_device(name: str) -> None:
    """With its own head, part, labels and losses, before a switch and after it."""
    recipe = load_recipe(name)
    own = {key: getattr(recipe.model, key) for key in ("box_form", "box_bias", "box_bins", "class_prior", "part")}
    detector, targets = fake_detector(rfa=recipe.model.rfa, **own), fake_targets()
    images = torch.zeros(2, 3, 64, 96, dtype=torch.uint8, device=CUDA)
    for progress in (0.1, 0.9):
        stage = recipe.at(int(100 * progress), 100)
        with Waits() as waits:
            points, prediction = detector(images, Supervision(targets, progress))
            assignment = ignore_crowds(points, stage.assigner(points, prediction, targets), targets)
            found = stage.criterion(points, prediction, targets, assignment)
            total = found.total()
        assert waits.seen == []
        assert devices(total, assignment.gt, [term.norm for term in found.watched.values()]) == {"cuda:0"}


def select(value: Tensor) -> None:
    value[value > 0]


def put(value: Tensor) -> None:
    # A list of values, for a single one may be filled in without looking at how many places there are.
    value[value > 0] = torch.ones(4)


@pytest.mark.parametrize(
    "wait",
    [
        lambda value: value.sum().item(),
        lambda value: bool(value.any()),
        lambda value: value.nonzero(),
        lambda value: value.masked_select(value > 0),
        lambda value: value.unique(),
        lambda value: value.long().repeat_interleave(value.long()),
        select,
        put,
    ],
    ids=["item", "bool", "nonzero", "masked_select", "unique", "repeat_interleave", "select", "put"],
)
def test_every_wait_is_counted(wait: Callable[[Tensor], None]) -> None:
    value = torch.ones(4)
    with Waits() as waits:
        wait(value)
    assert waits.seen


@pytest.mark.usefixtures("fake_cuda")
@pytest.mark.parametrize(
    "copy",
    [
        lambda value: value.new_tensor([1.0, 2.0]),
        lambda _: torch.tensor([1.0], device=CUDA),
        lambda value: value.cpu(),
        lambda value: value.copy_(torch.zeros(4)),
    ],
    ids=["new_tensor", "tensor", "cpu", "copy_"],
)
def test_every_copy_between_devices_is_counted(copy: Callable[[Tensor], Tensor]) -> None:
    value = torch.ones(4, device=CUDA)
    with Waits() as waits:
        copy(value)
    assert waits.seen
