"""The graph's modules say, as PyTorch, what the predictor says: letterbox, thresholds, suppression."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.ops import nms

from mmmc import Predictor
from mmmc.export.graph import GONE, letterbox, network, suppress

SIZES = [(64, 64), (70, 100), (100, 70), (33, 200), (7, 5), (1, 9)]
"""The first is left as it is, the others are resized; some are padded."""


def pictures(count: int, size: tuple[int, int]) -> Tensor:
    return torch.randint(0, 256, (count, *size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def predictor(tiny_rfa: Path) -> Predictor:
    return Predictor.load(tiny_rfa)


def with_rule(predictor: Predictor, **values: Any) -> Predictor:
    recipe = predictor.recipe
    recipe = replace(recipe, postprocess=replace(recipe.postprocess, **values))
    return Predictor(predictor.detector, recipe, predictor.categories)


@pytest.mark.parametrize("size", SIZES)
def test_letterbox_is_what_evaluation_does(predictor: Predictor, size: tuple[int, int]) -> None:
    given = pictures(2, size)
    images, inside, before = letterbox(predictor)(given)
    batch = predictor.batch(list(given.permute(0, 3, 1, 2)))
    assert torch.equal(images, batch.images)
    assert tuple(inside.tolist()) == batch.targets[0].size
    assert tuple(before.tolist()) == size


RULES = [
    {},
    {"score": "class"},
    {"threshold": 0.02},
    {"threshold": 1.0},
    {"per_level": 3},
    {"nms": 0.1, "detections": 7},
    {"detections": 1000},
]


@pytest.mark.parametrize("rule", RULES, ids=str)
@torch.no_grad()
def test_network_is_detector_and_postprocess(predictor: Predictor, rule: dict[str, Any]) -> None:
    ruled = with_rule(predictor, **rule)
    for size in SIZES[:3]:
        given = pictures(2, size)
        boxes, scores, labels, counts = network(ruled)(*letterbox(ruled)(given))
        assert boxes.shape[1] <= ruled.recipe.postprocess.detections
        for index, expected in enumerate(ruled(list(given.permute(0, 3, 1, 2)))):
            count = int(counts[index])
            assert count == len(expected)
            torch.testing.assert_close(scores[index, :count], expected.scores, rtol=0, atol=1e-5)
            # Boxes of nearly equal scores may change places.
            kept = [[*box, 1000 * label] for box, label in zip(boxes[index], labels[index], strict=True)][:count]
            wanted = [[*box, 1000 * label] for box, label in zip(expected.boxes, expected.labels, strict=True)]
            if count:
                apart = (torch.tensor(kept)[:, None] - torch.tensor(wanted)).abs().amax(dim=2)
                assert apart.amin(dim=1).max() < 1e-2
            for rest in (boxes[index, count:], scores[index, count:], labels[index, count:]):
                assert not rest.any()


@torch.no_grad()
def test_what_is_not_finite_is_no_detection(predictor: Predictor) -> None:
    broken = network(predictor)
    broken.detector.head.box_quality.bias.fill_(torch.nan)
    *_, counts = broken(*letterbox(predictor)(pictures(2, (64, 64))))
    assert counts.tolist() == [0, 0]


def test_suppression_is_for_each_picture_and_class_alone() -> None:
    box = [0.0, 0, 10, 10]
    lower = [0.0, 0, 10, 7]  # IoU 0.7 with `box`
    apart = [0.0, 0, 10, 5]  # IoU 0.5 with `box`, 0.71 with `lower`
    boxes = torch.tensor([[box, lower, apart], [box, lower, apart]])
    scores = torch.tensor([[0.9, 0.8, 0.7], [0.7, 0.8, GONE]])
    labels = torch.tensor([[0, 0, 0], [0, 1, 0]])
    kept = suppress(boxes, scores, labels, 2, 0.6, 3)
    assert kept.tolist() == [[True, False, True], [True, True, False]]


def test_many_boxes_are_suppressed_as_class_by_class() -> None:
    generator = torch.Generator().manual_seed(0)
    corner = 50 * torch.rand(1, 400, 2, generator=generator)
    boxes = torch.cat([corner, corner + 5 + 20 * torch.rand(1, 400, 2, generator=generator)], dim=2)
    scores, labels = torch.rand(1, 400, generator=generator), torch.randint(0, 3, (1, 400), generator=generator)
    expected = torch.zeros(400, dtype=torch.bool)
    for label in range(3):
        own = (labels[0] == label).nonzero()[:, 0]
        expected[own[nms(boxes[0, own], scores[0, own], 0.5)]] = True
    assert 50 < expected.sum() < 350
    assert torch.equal(suppress(boxes, scores, labels, 3, 0.5, 400)[0], expected)


def test_the_predictor_is_left_as_it_is(predictor: Predictor) -> None:
    """Its own RFA goes on by rows, which are faster on a CPU."""
    copied = network(predictor)
    kinds = {getattr(module, "backend", None) for module in predictor.detector.modules()}
    assert kinds == {None, "auto"}
    assert {getattr(module, "backend", None) for module in copied.modules()} == {None, "torchvision"}
    assert copied.detector is not predictor.detector
