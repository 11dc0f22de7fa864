"""MAL's depression: which positions are hidden, when, and what the detector learns of it."""

from __future__ import annotations

import pytest
import torch
from fake_cuda import Waits

from mmmc.errors import InputError
from mmmc.model import Detector, ModelConfig
from mmmc.parts import Depression
from mmmc.structures import Supervision
from mmmc.testing import make_target

MIDDLE = Supervision([], progress=0.5)
MAP = torch.tensor([[[[1.0, 2.0], [8.0, 4.0]], [[3.0, 0.0], [0.0, 2.0]]]])
"""One picture, two channels, four positions. Means of the channels: 2, 1, 4, 3."""


def test_the_peaks_keep_a_quarter() -> None:
    """Half of four positions: 4 and 3 are the highest means. Where hidden (3 · 0 + f) / 4, elsewhere f."""
    part = Depression(most=0.5).build(2, 3)
    (seen,) = part.changed([MAP], MIDDLE)
    assert seen.tolist() == [[[[1.0, 2.0], [2.0, 1.0]], [[3.0, 0.0], [0.0, 0.5]]]]
    # A share of 0.49 is one position of four, rounded down.
    (seen,) = Depression(most=0.49).build(2, 3).changed([MAP], MIDDLE)
    assert seen[0, 0].tolist() == [[1.0, 2.0], [2.0, 4.0]]


def test_each_picture_and_each_level_has_its_own_peaks() -> None:
    part = Depression(most=0.25).build(1, 3)
    pictures = torch.tensor([[[[1.0, 9.0, 2.0, 3.0]]], [[[9.0, 1.0, 2.0, 3.0]]]])
    first, second = part.changed([pictures, -pictures], MIDDLE)
    assert (first / pictures).flatten(1).tolist() == [[1, 0.25, 1, 1], [0.25, 1, 1, 1]]
    assert (second / -pictures).flatten(1).tolist() == [[0.25, 1, 1, 1], [1, 0.25, 1, 1]]


def test_the_gradient_is_that_of_what_is_left() -> None:
    """How a position was chosen has none."""
    maps = MAP.clone().requires_grad_()
    (seen,) = Depression(most=0.5).build(2, 3).changed([maps], MIDDLE)
    seen.sum().backward()
    assert maps.grad is not None
    assert maps.grad[0].tolist() == [[[1.0, 1.0], [0.25, 0.25]]] * 2


def test_the_share_climbs_and_falls() -> None:
    """Two steps: 0, 1/4, 1/2 for a sixth of the training each, the middle third at 1/2, and back."""
    part = Depression(most=0.5, steps=2)
    at = [0.0, 0.16, 0.17, 0.33, 0.34, 0.5, 0.66, 0.67, 0.83, 0.84, 1.0]
    assert [part.share(progress) for progress in at] == [0, 0, 0.25, 0.25, 0.5, 0.5, 0.5, 0.25, 0.25, 0, 0]
    shares = [Depression().share(step / 1400) for step in range(1401)]
    assert sorted(set(shares)) == pytest.approx([k / 12 for k in range(7)])
    # A seventh of the training for each, up and down together.
    assert all(abs(shares.count(share) - 200) <= 2 for share in set(shares))


def test_rounding_takes_no_step_and_no_position() -> None:
    """In float64 0.29 · 100 is 28.999999999999996, and 7 · (1 - |2 / 14 - 1|) is 0.9999999999999996."""
    (seen,) = Depression(most=0.29, steps=1).build(1, 3).changed([torch.arange(1.0, 101).view(1, 1, 10, 10)], MIDDLE)
    assert (seen.flatten() < torch.arange(1.0, 101)).sum() == 29
    # The first of the six steps begins after a fourteenth of the training.
    assert Depression().share(1 / 14) == pytest.approx(0.5 / 6)


def test_only_training_is_changed() -> None:
    part = Depression().build(2, 3)
    assert part.changed([MAP], Supervision([], progress=0.0))[0] is MAP
    part.eval()
    assert part.changed([MAP], MIDDLE)[0] is MAP
    assert list(part.state_dict()) == []


def test_in_the_detector() -> None:
    """With objects and progress the heads see other maps; without, or at the beginning, the same."""
    torch.manual_seed(0)
    config = ModelConfig("resnet18", weights="none", channels=16, groups=8, depth=1, part=Depression())
    detector = Detector(config, classes=2).train()
    images = torch.randint(256, (1, 3, 64, 64), dtype=torch.uint8)
    targets = [make_target([[0, 0, 32, 32]], (64, 64))]
    with torch.no_grad():
        plain = detector(images)[1]
        begin = detector(images, Supervision(targets, 0.0))[1]
        middle = detector(images, Supervision(targets, 0.5))[1]
    assert torch.equal(begin.logits, plain.logits)
    assert not torch.equal(middle.logits, plain.logits)
    assert middle.extra == {}


def test_nothing_waits() -> None:
    with Waits() as waits:
        Depression().build(2, 3).changed([MAP], MIDDLE)
    assert waits.seen == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"most": 1.0}, r"most is 1\.0; allowed: 0 to below 1"),
        ({"most": -0.1}, r"most is -0\.1"),
        ({"most": float("nan")}, "most is nan"),
        ({"steps": 0}, "steps is 0; allowed: 1 or more"),
    ],
)
def test_an_option_that_is_not_allowed(options: dict[str, float], said: str) -> None:
    with pytest.raises(InputError, match=f"^part Depression: {said}"):
        Depression(**options)  # type: ignore[arg-type]
