"""The values that travel: what can be done with them, and that they cannot be changed."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
import torch

from mmmc.structures import IGNORED, NEGATIVE, Assignment, Batch, Detections, ObjectState
from mmmc.testing import make_target

META = torch.device("meta")


def assignment() -> Assignment:
    return Assignment(
        gt=torch.tensor([[0, 2, NEGATIVE, 2], [NEGATIVE, IGNORED, NEGATIVE, NEGATIVE]]),
        score=torch.zeros(2, 4),
        weight=torch.ones(2, 4),
        state=[torch.tensor([0, 4, 0]), torch.zeros(0, dtype=torch.long)],
        finite=torch.tensor([True, False]),
    )


def test_counts_and_positives() -> None:
    assert [count.tolist() for count in assignment().counts()] == [[1, 0, 2], []]
    assert assignment().positive.tolist() == [[True, True, False, True], [False] * 4]


def test_check_names_the_pictures_whose_values_were_not_finite() -> None:
    targets = [make_target([], (8, 8), image_id=7), make_target([], (8, 8), image_id=23)]
    with pytest.raises(FloatingPointError, match=r"not finite: picture 23\.$"):
        assignment().check(targets)


def test_states_are_stable_numbers() -> None:
    """They are stored in files."""
    assert [(state.name, int(state)) for state in ObjectState] == [
        ("CHOSEN", 0),
        ("FALLBACK", 1),
        ("NO_POINT", 2),
        ("NO_CANDIDATE", 3),
        ("NONE_LEFT", 4),
    ]


def test_a_batch_moves_as_a_whole() -> None:
    target = make_target([[0, 0, 4, 4]], (8, 8), crowd=[[1, 1, 2, 2]], image_id=5)
    batch = Batch(images=torch.zeros(1, 3, 8, 8, dtype=torch.uint8), targets=[target])
    moved = batch.to(META)
    assert len(moved) == 1
    assert moved.images.device == META
    (there,) = moved.targets
    assert {there.boxes.device, there.labels.device, there.crowd.device} == {META}
    assert (there.image_id, there.size, there.scale) == (5, (8, 8), (1.0, 1.0))
    assert target.boxes.device.type == "cpu"


def detections() -> Detections:
    return Detections(
        boxes=torch.arange(12.0).view(3, 4),
        scores=torch.tensor([0.9, 0.5, 0.3]),
        labels=torch.tensor([1, 0, 1]),
        image_id=3,
    )


def test_detections_above_one_threshold_or_one_per_class() -> None:
    assert detections().above(0.5).scores.tolist() == pytest.approx([0.9, 0.5])
    kept = detections().above(torch.tensor([0.6, 0.2]))
    assert kept.scores.tolist() == pytest.approx([0.9, 0.3])
    assert kept.boxes[:, 0].tolist() == [0, 8]
    assert kept.labels.tolist() == [1, 1]
    assert (len(kept), kept.image_id) == (2, 3)
    assert detections().to(META).boxes.device == META


def test_values_are_frozen() -> None:
    for value, field in ((assignment(), "gt"), (detections(), "boxes"), (make_target([], (8, 8)), "labels")):
        with pytest.raises(FrozenInstanceError):
            setattr(value, field, None)
