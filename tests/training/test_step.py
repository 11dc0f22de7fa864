"""A step is the same however it is cut into parts, and survives pictures without objects."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from mmmc.assign import FCOS, FreeAnchor
from mmmc.criterion import BagCriterion, DenseCriterion
from mmmc.losses import Losses, Term
from mmmc.model import Detector
from mmmc.parts import CenterPrior
from mmmc.recipe import Recipe
from mmmc.structures import Assignment, Batch, Points, Prediction, Target
from mmmc.testing import make_target
from mmmc.training.step import backward_step, fixed_statistics, step_divisors, training_losses

from .tiny import lively, tiny_recipe

CLASSES = 3
IOU_WEIGHTED = DenseCriterion(quality_target="iou", box_weight="iou")
"""What its terms are divided by depends on what is predicted."""


@pytest.fixture(scope="module")
def fabric() -> Fabric:
    return Fabric(accelerator="cpu", devices=1, precision="64-true")


@pytest.fixture(scope="module")
def detector(tiny_set: Path) -> Detector:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return lively(Detector(tiny_recipe(tiny_set).model, CLASSES)).double()


def batch(*boxes: Sequence[Sequence[float]]) -> Batch:
    """Pictures of 64 × 64 noise with these objects."""
    random = torch.Generator().manual_seed(0)
    images = torch.randint(256, (len(boxes), 3, 64, 64), dtype=torch.uint8, generator=random)
    targets = [
        make_target(each, (64, 64), labels=[k % CLASSES for k in range(len(each))], image_id=10 + index)
        for index, each in enumerate(boxes)
    ]
    return Batch(images, targets)


WHOLE = batch(
    [[4, 6, 30, 40], [20, 20, 60, 62]],
    [[0, 0, 20, 18], [30, 8, 52, 34], [8, 30, 40, 60], [2, 2, 62, 62]],
    [],
    [[12, 12, 44, 40]],
)
HALVES = [Batch(WHOLE.images[part], WHOLE.targets[part]) for part in (slice(0, 2), slice(2, 4))]


def gradients(model: torch.nn.Module) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("criterion", [DenseCriterion(), IOU_WEIGHTED], ids=["default", "iou"])
def test_parts_give_the_gradients_of_the_whole(
    fabric: Fabric, detector: Detector, tiny_set: Path, criterion: DenseCriterion
) -> None:
    recipe = replace(tiny_recipe(tiny_set), criterion=criterion)
    detector.zero_grad()
    whole = backward_step(fabric, detector, [WHOLE], recipe)
    expected = gradients(detector)
    detector.zero_grad()
    parts = backward_step(fabric, detector, HALVES, recipe)
    found = gradients(detector)
    assert len(expected) > 30
    for name, value in expected.items():
        assert (found[name] - value).norm() <= 1e-9 * value.norm(), name
    for name, loss in whole.losses.items():
        torch.testing.assert_close(parts.losses[name], loss, rtol=1e-9, atol=0)
    assert parts.positives == whole.positives > 0
    assert (parts.objects, parts.image_ids) == (whole.objects, whole.image_ids) == (7, [10, 11, 12, 13])


def test_the_norms_of_the_parts_differ(fabric: Fabric, detector: Detector, tiny_set: Path) -> None:
    """Or the test above could not tell whether they are put together."""
    recipe = replace(tiny_recipe(tiny_set), criterion=IOU_WEIGHTED)
    one, other = (training_losses(fabric, detector, part, recipe)[0] for part in HALVES)
    for name in one.terms:
        assert (one[name].norm - other[name].norm).abs() > 0.5


def test_the_first_pass_moves_no_running_statistics(fabric: Fabric, tiny_set: Path) -> None:
    recipe = tiny_recipe(tiny_set, model={"frozen_norm": False})
    model = Detector(recipe.model, CLASSES).double()
    once = copy.deepcopy(model)
    for part in HALVES:
        once(part.images)
    backward_step(fabric, model, HALVES, recipe)
    moved = [name for name, value in model.named_buffers() if name.endswith("num_batches_tracked") and value != 2]
    assert moved == []
    for (name, value), (_, expected) in zip(model.named_buffers(), once.named_buffers(), strict=True):
        assert torch.equal(value, expected), name


def test_statistics_are_released_after_an_error() -> None:
    norm = torch.nn.BatchNorm2d(2)
    tracked = []

    def fail() -> None:
        with fixed_statistics(norm):
            tracked.append(norm.track_running_stats)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert tracked == [False]
    assert norm.track_running_stats


@pytest.mark.parametrize("criterion", [DenseCriterion(), IOU_WEIGHTED], ids=["default", "iou"])
def test_a_step_without_objects_reaches_every_parameter(
    fabric: Fabric, detector: Detector, tiny_set: Path, criterion: DenseCriterion
) -> None:
    detector.zero_grad()
    recipe: Recipe = replace(tiny_recipe(tiny_set), criterion=criterion)
    result = backward_step(fabric, detector, [batch([], [])], recipe)
    for name, parameter in detector.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
    assert gradients(detector)["head.class_logits.weight"].abs().sum() > 0
    assert result.losses["class"] > 0
    assert (result.losses["box"], result.losses["quality"], result.positives, result.objects) == (0, 0, 0, 0)


def test_the_log_gets_no_weights_of_pairs(fabric: Fabric, detector: Detector, tiny_set: Path) -> None:
    recipe = replace(tiny_recipe(tiny_set), assigner=FreeAnchor(), criterion=BagCriterion())
    assert training_losses(fabric, detector, WHOLE, recipe)[1].pairs is not None
    result = backward_step(fabric, detector, [WHOLE], recipe)
    assert [assignment.pairs for assignment, _ in result.assigned] == [None]


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    place = (tmp_path / "meeting").as_uri()
    torch.distributed.init_process_group("gloo", init_method=place, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("one_process")
def test_a_part_that_no_loss_uses_ends_no_distributed_run(fabric: Fabric, tiny_set: Path) -> None:
    recipe = tiny_recipe(tiny_set, model={"part": CenterPrior()})
    detector = lively(Detector(recipe.model, CLASSES)).double()
    expected = backward_step(fabric, detector, [WHOLE], recipe).losses
    gradient = gradients(detector)
    model = DistributedDataParallel(detector)
    for _ in range(2):
        detector.zero_grad()
        found = backward_step(fabric, model, [WHOLE], recipe).losses
    assert found == expected
    assert detector.part.sigma.grad is not None
    assert all(torch.equal(detector.get_parameter(name).grad, value) for name, value in gradient.items())


class FourProcesses(Fabric):
    """Four processes that all hold the same."""

    world_size = 4

    def all_reduce(self, data: Any, group: Any = None, reduce_op: Any = "mean") -> Any:  # noqa: ARG002
        assert reduce_op == "sum"
        return data * self.world_size


def losses(**norms: tuple[float, float]) -> Losses:
    """Terms by their norm and floor."""
    return Losses(
        {name: Term(torch.tensor(1.0), torch.tensor(norm), floor=floor) for name, (norm, floor) in norms.items()}
    )


def test_divisors_sum_over_parts_and_processes() -> None:
    parts = [
        losses(counted=(3.0, 1.0), empty=(0.0, 1.0), small=(0.0, 1e-6)),
        losses(counted=(5.0, 1.0), empty=(0.0, 1.0), small=(0.01, 1e-6)),
    ]
    alone = step_divisors(Fabric(accelerator="cpu", devices=1), parts)
    found = {name: value.item() for name, value in alone.items()}
    assert found == pytest.approx({"counted": 8.0, "empty": 1.0, "small": 0.01})
    # The sum of all is 32; averaging gradients divides by 4 once more. The floor is that of the whole step.
    four = step_divisors(FourProcesses(accelerator="cpu", devices=1), parts)
    assert {name: value.item() for name, value in four.items()} == pytest.approx(
        {"counted": 8.0, "empty": 0.25, "small": 0.01}
    )


@dataclass(frozen=True)
class Unsound(FCOS):
    """Says that it met a value that is not finite, although no loss shows it."""

    def __call__(self, points: Points, prediction: Prediction, targets: Sequence[Target]) -> Assignment:
        found = super().__call__(points, prediction, targets)
        return replace(found, finite=torch.zeros_like(found.finite))


def test_an_unsound_assignment_spoils_every_gradient_and_no_loss(
    fabric: Fabric, detector: Detector, tiny_set: Path
) -> None:
    recipe = replace(tiny_recipe(tiny_set), assigner=Unsound())
    detector.zero_grad()
    result = backward_step(fabric, detector, [WHOLE], recipe)
    assert all(loss.isfinite() for loss in result.losses.values())
    assert result.finite == 0
    for name, parameter in detector.named_parameters():
        if name.startswith("head.") and name.endswith("weight"):
            assert parameter.grad is not None, name
            assert not parameter.grad.isfinite().all(), name
    detector.zero_grad()
    assert backward_step(fabric, detector, [WHOLE], tiny_recipe(tiny_set)).finite == 1
