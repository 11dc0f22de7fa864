"""Box geometry by hand, against torchvision's pairwise functions, and for boxes that degenerate."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import box_iou, generalized_box_iou, generalized_box_iou_loss

from mmmc.boxes import area, center_offsets, centerness, distances, paired_giou, paired_iou, squared_center_distance

# Sides of at least 1 on a grid of 1/4: areas and intersections are exact in float32.
numbers = st.integers(0, 400).map(lambda value: value / 4)
drawn = st.lists(
    st.tuples(numbers, numbers, numbers, numbers).map(lambda b: [b[0], b[1], b[0] + 1 + b[2], b[1] + 1 + b[3]]),
    min_size=2,
    max_size=8,
)


def test_by_hand() -> None:
    first = torch.tensor([[0.0, 0.0, 4.0, 2.0]]).expand(4, 4)
    second = torch.tensor([[0.0, 0.0, 4.0, 2.0], [2.0, 0.0, 6.0, 2.0], [4.0, 0.0, 8.0, 2.0], [6.0, 0.0, 8.0, 2.0]])
    assert area(first).tolist() == [8.0] * 4
    assert paired_iou(first, second).tolist() == pytest.approx([1, 4 / 12, 0, 0])
    # The enclosing boxes hold 8, 12, 16, 16; of these 0, 0, 0, 4 belong to neither box.
    assert paired_giou(first, second).tolist() == pytest.approx([1, 4 / 12, 0, -4 / 16])
    point = torch.tensor([1.0, 0.5])
    assert distances(point, second[1]).tolist() == [-1.0, 0.5, 5.0, 1.5]
    assert distances(point[None], second[None]).shape == (1, 4, 4)


@pytest.mark.parametrize(
    ("ltrb", "expected"),
    [
        ((5.0, 5.0, 5.0, 5.0), 1.0),
        ((1.0, 2.0, 4.0, 2.0), 0.5),
        ((1.0, 1.0, 4.0, 9.0), math.sqrt(1 / 36)),
        ((0.0, 2.0, 4.0, 2.0), 0.0),
        ((-1.0, 2.0, 5.0, 2.0), 0.0),
        ((-1.0, -1.0, 5.0, 5.0), 0.0),
        ((0.0, 0.0, 0.0, 0.0), 0.0),
    ],
)
def test_centerness(ltrb: tuple[float, ...], expected: float) -> None:
    assert centerness(torch.tensor(ltrb)).item() == pytest.approx(expected)


def test_offsets_from_centers() -> None:
    """Points 3 to the right of and 4 above the centre (10, 20) of one box, and in the centre of another."""
    xy, boxes = torch.tensor([[13.0, 16.0], [40.0, 40.0]]), torch.tensor([[0.0, 10.0, 20.0, 30.0], [30.0, 20, 50, 60]])
    right, down = center_offsets(xy[:, None], boxes)
    assert right.tolist() == [[3, -27], [30, 0]]
    assert down.tolist() == [[-4, -24], [20, 0]]
    assert squared_center_distance(xy[:, None], boxes).tolist() == [[25, 27**2 + 24**2], [1300, 0]]


@settings(max_examples=60, deadline=None)
@given(drawn, st.randoms(use_true_random=False))
def test_pairs_are_the_diagonal_of_torchvision_s_matrices(boxes: list[list[float]], random) -> None:
    first = torch.tensor(boxes)
    second = torch.tensor(random.sample(boxes, len(boxes)))
    torch.testing.assert_close(paired_iou(first, second), box_iou(first, second).diagonal())
    torch.testing.assert_close(paired_giou(first, second), generalized_box_iou(first, second).diagonal())
    assert (paired_iou(first, second) <= 1).all()
    assert (paired_giou(first, second) >= -1).all()


def test_the_gradient_of_giou_is_that_of_torchvision_s_loss() -> None:
    random = torch.manual_seed(0)
    first, second = (torch.rand(2, 200, 2, generator=random) for _ in range(2))
    boxes, target = (torch.cat([50 * corner, 50 * corner + 5 + 40 * sides], dim=1) for corner, sides in (first, second))
    boxes.requires_grad_()
    (ours,) = torch.autograd.grad((1 - paired_giou(boxes, target)).sum(), boxes)
    (theirs,) = torch.autograd.grad(generalized_box_iou_loss(boxes, target, reduction="sum"), boxes)
    torch.testing.assert_close(ours, theirs)


def test_boxes_without_area_give_finite_values_and_gradients() -> None:
    """A detector whose ReLU is closed predicts the point itself."""
    flat = torch.tensor([[3.0, 3.0, 3.0, 3.0], [3.0, 1.0, 3.0, 5.0]], requires_grad=True)
    target = torch.tensor([[0.0, 0.0, 8.0, 8.0], [3.0, 3.0, 3.0, 3.0]])
    for measure in (paired_iou, paired_giou):
        value = measure(flat, target)
        assert value.isfinite().all()
        (gradient,) = torch.autograd.grad(value.sum(), flat)
        assert gradient.isfinite().all()
    assert paired_iou(flat, target).tolist() == [0, 0]
