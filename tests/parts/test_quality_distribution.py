"""IQDet's part: what it trains and saves, what its mixtures are, and how positions are drawn from them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from scipy.stats import truncnorm
from torch import Tensor

from mmmc.assign.shared.pairs import gather_objects
from mmmc.errors import InputError
from mmmc.model import Detector, ModelConfig
from mmmc.parts import QualityDistribution
from mmmc.parts.box_mixture import DEVIATIONS, draw, lattice, quality_logs, shifts, start_mixture, values_at
from mmmc.parts.level_grid import level_grids, open_levels
from mmmc.points import make_points
from mmmc.structures import Points, Prediction, Supervision, Target
from mmmc.testing import make_prediction, make_scene, make_target

PART = QualityDistribution(samples=6, pool=3, hidden=16)
TARGETS = [
    make_target([[4, 6, 30, 40], [20, 20, 60, 62]], (64, 64)),
    make_target([[2, 2, 62, 40]], (50, 64), image_id=1),
]


@pytest.fixture
def detector() -> Detector:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = ModelConfig("resnet18", weights="none", frozen_stages=0, channels=32, groups=8, depth=1, part=PART)
        return Detector(config, classes=3)


IMAGES = torch.randint(256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_it_is_trained_and_saved_with_the_detector(detector: Detector) -> None:
    names = {f"part.{layer}.{kind}" for layer in ("first", "second") for kind in ("weight", "bias")}
    assert names <= detector.state_dict().keys()
    assert names <= dict(detector.named_parameters()).keys()
    _, said = detector(IMAGES, Supervision(TARGETS, 0.5))
    assert said.extra["quality mixture"].shape == (2, 2, 5, 2, 5)
    assert said.extra["samples"].shape == (2, 2, 6, 3)
    assert not said.extra["samples"].requires_grad
    random = torch.rand(2, 2, 5, 2, 5, generator=torch.Generator().manual_seed(0))
    (said.extra["quality mixture"] * random).sum().backward()
    for name in names:
        gradient = dict(detector.named_parameters())[name].grad
        assert gradient is not None
        assert gradient.any(), name
    # The pyramid learns from it as well.
    assert any(parameter.grad is not None and parameter.grad.any() for parameter in detector.fpn.parameters())


def test_inference_does_not_call_it(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    def called(*_: object) -> None:
        raise AssertionError("the part was called")

    assert detector.part is not None
    monkeypatch.setattr(detector.part, "extra", called)
    _, said = detector(IMAGES)
    assert said.extra == {}
    with pytest.raises(AssertionError, match="was called"):
        detector(IMAGES, Supervision(TARGETS))


def samples(detector: Detector, targets: list[Target], progress: float) -> Tensor:
    return detector(IMAGES, Supervision(targets, progress))[1].extra["samples"]


def test_positions_are_a_function_of_progress_and_picture(detector: Detector) -> None:
    first = samples(detector, TARGETS, 0.25)
    torch.manual_seed(7)  # no generator is asked
    assert torch.equal(samples(detector, TARGETS, 0.25), first)
    later = samples(detector, TARGETS, 0.25 + 1e-6)
    objects = [(0, 0), (0, 1), (1, 0)]
    assert not any(torch.isclose(later[at][:, :2], first[at][:, :2]).any() for at in objects)
    other = samples(detector, [replace(TARGETS[0], image_id=5), TARGETS[1]], 0.25)
    assert torch.equal(other[1], first[1])
    assert not torch.isclose(other[0, ..., :2], first[0, ..., :2]).any()


def test_the_order_of_objects_means_nothing(detector: Detector) -> None:
    back = replace(TARGETS[0], boxes=TARGETS[0].boxes.flip(0), labels=TARGETS[0].labels.flip(0))
    found, turned = samples(detector, TARGETS, 0.5), samples(detector, [back, TARGETS[1]], 0.5)
    torch.testing.assert_close(turned[0], found[0].flip(0))


def test_positions_lie_in_their_boxes_on_levels_with_a_point_there(detector: Detector) -> None:
    points, said = detector(IMAGES, Supervision(TARGETS, 0.5))
    admitted = open_levels(level_grids(points, TARGETS), torch.stack([TARGETS[0].boxes, TARGETS[1].boxes.repeat(2, 1)]))
    for index, target in enumerate(TARGETS):
        for m, (x1, y1, x2, y2) in enumerate(target.boxes.tolist()):
            x, y, level = said.extra["samples"][index, m].unbind(1)
            assert ((x >= x1) & (x <= x2) & (y >= y1) & (y <= y2)).all()
            assert admitted[index, m][level.long()].all()


def test_low_precision(detector: Detector) -> None:
    """Positions are in float32 under autocast, and in bfloat16 throughout."""
    with torch.autocast("cpu", torch.bfloat16):
        _, said = detector(IMAGES, Supervision(TARGETS, 0.5))
    assert {value.dtype for value in said.extra.values()} == {torch.float32}
    _, said = detector.bfloat16()(IMAGES, Supervision(TARGETS, 0.5))
    assert {value.dtype for value in said.extra.values()} == {torch.float32}
    _, said = detector.double()(IMAGES, Supervision(TARGETS, 0.5))
    assert {value.dtype for value in said.extra.values()} == {torch.float64}


def test_what_is_pooled_is_the_box_on_the_level() -> None:
    """A map that is its own position in pixels: the mean over a box's pooled cells is the middle of the box."""
    part = QualityDistribution(pool=2, hidden=1).build(2, 3)
    points = make_points([(16, 16), (8, 8)], (8, 16))
    maps = [torch.stack([points.split(axis)[level] for axis in points.xy.T])[None] for level in (0, 1)]
    boxes = torch.tensor([[[16.0, 32, 80, 64]]])
    with torch.no_grad():
        part.first.weight.copy_(torch.tensor([[0.25] * 4 + [0.0] * 4]))
        part.first.bias.zero_()
        part.second.weight.fill_(1.0)
    found = part.mixtures(maps, points, boxes)
    assert found[0, 0, :, :, 0].tolist() == [[pytest.approx(48)] * 2] * 2
    with torch.no_grad():
        part.first.weight.copy_(torch.tensor([[0.0] * 4 + [0.25] * 4]))
    assert part.mixtures(maps, points, boxes)[0, 0, :, :, 0].tolist() == [[pytest.approx(48)] * 2] * 2
    low = part.mixtures(maps, points, torch.tensor([[[16.0, 16, 80, 48]]]))
    assert low[0, 0, :, :, 0].tolist() == [[pytest.approx(32)] * 2] * 2


def test_what_layers_say_of_nothing_is_the_start() -> None:
    part = replace(PART, deviation=0.7).build(4, 3)
    torch.testing.assert_close(part.decoded(torch.zeros(3, 2, 5)), start_mixture((3,), 0.7, torch.zeros(1)))


def test_mixtures_stay_in_their_range() -> None:
    raw = torch.tensor([-80.0, 80.0])[:, None, None].expand(2, 2, 5)
    found = PART.build(4, 3).decoded(raw)
    assert found[..., 1:3].abs().max() <= 1
    assert found[..., 3:].min() == pytest.approx(DEVIATIONS[0])
    assert found[..., 3:].max() == pytest.approx(DEVIATIONS[1])


@pytest.mark.parametrize("logit", [-50.0, 0.0, 50.0])
@pytest.mark.parametrize("deviation", DEVIATIONS)
def test_values_and_their_gradients_are_finite_everywhere(logit: float, deviation: float) -> None:
    """Also at a mean itself and from corner to corner, in float32; the two logarithms belong to one value."""
    mixture = torch.tensor([[logit, -1.0, -1.0, deviation, deviation], [logit, 1, 1, deviation, deviation]])
    mixture.requires_grad_()
    axis = torch.tensor([-1.0, 0.3, 1.0])
    value, rest = quality_logs(mixture, axis, axis)
    torch.testing.assert_close(value.exp() + rest.exp(), torch.ones(3, 3))
    (-0.3 * value - 0.7 * rest).sum().backward()
    assert mixture.grad is not None
    assert value.isfinite().all()
    assert rest.isfinite().all()
    assert mixture.grad.isfinite().all()


def test_values_by_hand() -> None:
    """Shares e/(1 + e + 1) and 1/(1 + e + 1); at (0, 1/2), of both Gaussians one deviation off in one direction."""
    mixture = torch.tensor([[1.0, 0.0, 0.0, 0.1, 0.5], [0.0, 1.0, 0.5, 1.0, 0.1]])
    value, rest = quality_logs(mixture, torch.tensor([0.0, 9.0]), torch.tensor([0.5]))
    expected = math.exp(-0.5) * (math.e + 1) / (math.e + 2)
    assert value.shape == (1, 2)
    assert value[0, 0].exp().item() == pytest.approx(expected)
    assert rest[0, 0].exp().item() == pytest.approx(1 - expected)
    at = values_at(mixture[None, None, None], torch.zeros(1, 1, 1, dtype=torch.long), torch.tensor([[[[0.0, 0.5]]]]))
    assert at.item() == pytest.approx(expected)


# --- drawing


def test_positions_are_as_dense_as_the_value_is_high() -> None:
    """Many positions of one object: shares of levels and components, and in each the quantiles of its cut-off bell."""
    mixture = torch.tensor(
        [
            [[0.0, 0.8, -0.2, 0.3, 0.5], [1.0, -0.8, 0.1, 0.2, 2.0]],
            [[0.5, 0.0, 0.0, 0.1, 0.1], [-9.0, 0.0, 0.0, 1.0, 1.0]],
            [[5.0, 0.0, 0.0, 1.0, 1.0], [5.0, 0.0, 0.0, 1.0, 1.0]],
        ],
        dtype=torch.float64,
    )
    admitted = torch.tensor([[[True, True, False]]])
    count = 40_000
    uniform = lattice(count, [shifts(0.5, 3)], mixture)
    at, level = draw(mixture[None, None], admitted, uniform)
    at, level = at[0, 0], level[0, 0]
    # The value, summed over a fine grid of each level.
    axis = (torch.arange(400, dtype=torch.float64) + 0.5) / 200 - 1
    mass = torch.stack([quality_logs(one, axis, axis)[0].exp().sum() for one in mixture[:2]])
    counted = torch.stack([(level == index).sum() for index in range(3)]) / count
    torch.testing.assert_close(counted[:2].double(), mass / mass.sum(), rtol=1e-3, atol=0)
    assert counted[2] == 0
    for axis_index in (0, 1):
        for sign in (-1, 1):
            # The two components of level 0 have their means at 0.8 and -0.8, far apart.
            expected = mixture[0, 0 if sign > 0 else 1]
            mean, deviation = expected[1 + axis_index].item(), expected[3 + axis_index].item()
            mine = at[(level == 0) & (at[:, 0] * sign > 0.1), axis_index]
            bell = truncnorm((-1 - mean) / deviation, (1 - mean) / deviation, mean, deviation)
            shares = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)
            found = mine.quantile(shares)
            assert found.tolist() == pytest.approx(bell.ppf(shares.numpy()).tolist(), abs=0.02)


def test_rounding_carries_no_position_out_of_the_box() -> None:
    """The ends of the inverse, in float32, for many bells."""
    random = torch.Generator().manual_seed(0)
    bells = torch.rand(1, 2000, 1, 2, 5, generator=random) * 1.8 + 0.1
    bells[..., 1:3] -= 1
    for end in (0.0, 1 - 2.0**-24):
        at, _ = draw(bells, torch.ones(1, 2000, 1, dtype=torch.bool), torch.full((1, 3, 3), end))
        assert at.abs().max() <= 1


def test_twelve_positions_share_out_the_components() -> None:
    """A quarter, a quarter and a half of the mass get 3, 3 and 6, whatever the shift."""
    mixture = torch.tensor(
        [[[0.0, 0, 0, 0.1, 0.1], [0.0, 0.5, 0, 0.1, 0.1]], [[math.log(2), 0, 0, 0.1, 0.1], [-200.0, 0, 0, 1, 1]]]
    )
    # The second level's shares are 2/3 and 0 of 1 + 2, the first's 1/3 each.
    for image_id in range(20):
        uniform = lattice(12, [shifts(0.1, image_id)], mixture)
        at, level = draw(mixture[None, None], torch.ones(1, 1, 2, dtype=torch.bool), uniform)
        assert (level == 1).sum() == 6
        assert 2 <= ((level == 0) & (at[..., 0] > 0.25)).sum() <= 4


def test_the_lattice_is_moved_and_stays_below_one() -> None:
    last = (2**16 - 1) / 2**16
    found = lattice(12, [(0.0, 0.0, 0.0), (last, last, last), (0.5, 0.25, 0.0)], torch.zeros(1))
    assert found.shape == (3, 12, 3)
    assert ((found >= 0) & (found < 1)).all()
    assert found[2, 0].tolist() == [pytest.approx(0.5 / 12), 0.25, 0.0]
    assert found[2, 3].tolist() == pytest.approx([3.5 / 12, (3 * 0.7548777 + 0.25) % 1, 3 * 0.5698403 % 1], abs=1e-6)


def test_shifts_are_spread_and_never_change() -> None:
    many = torch.tensor([shifts(step / 1000, image_id) for step in range(40) for image_id in range(40)])
    assert len(many.unique(dim=0)) == 1600
    assert many.mean(dim=0).tolist() == pytest.approx([0.5] * 3, abs=0.03)
    assert torch.corrcoef(many.T).fill_diagonal_(0).abs().max() < 0.1
    # What a resumed run on another machine draws as well.
    assert [round(value * 65536) for value in shifts(0.25, 42)] == [40024, 20116, 36940]


def test_levels_that_hold_a_point_are_those_of_the_pairs() -> None:
    for seed in range(20):
        points, _, targets = make_scene(seed, images=3, objects=(5, 0, 9))
        objects = gather_objects(points, targets, torch.float32)
        parts = objects.in_box.split([h * w for h, w in points.shapes], dim=2)
        expected = torch.stack([part.any(dim=2) for part in parts], dim=2)
        expected[..., 0] |= ~expected.any(dim=2)
        assert torch.equal(open_levels(level_grids(points, targets), objects.boxes), expected)


def test_a_side_through_a_point_does_not_hold_it() -> None:
    """Points at 4, 12, 20, 28 and at 8, 24: each box has sides through what it could hold of a level."""
    points = make_points([(4, 4), (2, 2)], (8, 16))
    boxes = torch.tensor([[[8.0, 5, 17, 30], [2, 5, 8, 30], [5, 8, 30, 13], [5, 17, 30, 24], [4, 4, 12, 12]]])
    found = open_levels(level_grids(points, [make_target([], (32, 32))]), boxes)
    assert found[0].tolist() == [[True, False], [True, False], [True, False], [True, False], [False, True]]


def test_no_objects_at_all() -> None:
    part = PART.build(8, 3)
    points: Points = make_points([(4, 4), (2, 2)], (8, 16))
    said: Prediction = make_prediction(points, images=2, classes=3, seed=0)
    maps = [torch.zeros(2, 8, *shape, requires_grad=True) for shape in points.shapes]
    found = part.extra(maps, points, said, Supervision([make_target([], (32, 32))] * 2, 0.0))
    assert found["quality mixture"].shape == (2, 0, 2, 2, 5)
    assert found["samples"].shape == (2, 0, 6, 3)
    found["quality mixture"].sum().backward()
    assert all(parameter.grad is not None for parameter in part.parameters())


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: QualityDistribution(samples=0), "samples is 0; allowed: 1 or more"),
        (lambda: QualityDistribution(pool=0), "pool is 0; allowed: 1 or more"),
        (lambda: QualityDistribution(hidden=-1), "hidden is -1; allowed: 1 or more"),
        (lambda: QualityDistribution(deviation=0.1), "deviation is 0.1; allowed: above 0.1 and below 2.0"),
        (lambda: QualityDistribution(deviation=2.0), "deviation is 2.0"),
        (lambda: QualityDistribution(deviation=math.nan), "deviation is nan"),
    ],
)
def test_an_option_that_is_not_allowed(build: Callable[[], QualityDistribution], said: str) -> None:
    with pytest.raises(InputError, match=f"^part QualityDistribution: {said}"):
        build()
