"""IQDet's labels: the promises, numbers worked by hand, the rule written again, and reading between points."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from fake_cuda import Waits, devices, fake_prediction, fake_targets
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv
from torch.nn.functional import grid_sample

from mmmc.assign import IQDet, ignore_crowds
from mmmc.assign.shared.bilinear import corners
from mmmc.boxes import area
from mmmc.criterion import IQDetCriterion
from mmmc.errors import InputError
from mmmc.parts import QualityDistribution
from mmmc.parts.level_grid import level_grids
from mmmc.points import make_points
from mmmc.structures import IGNORED, NEGATIVE, ObjectState, Supervision
from mmmc.testing import Scene, check_assigner, make_prediction, make_scene, make_target

from . import slow_iqdet
from .iqdet_scenes import POINTS, mixture, random_scene, with_extra

PREDICTION = make_prediction(POINTS, images=1, classes=2, seed=0)
PEAK, SIDE = 0.5, 0.5 * math.exp(-0.5)
"""Value of one Gaussian of logit 0 in its middle and one deviation from it; nothing has the other half."""


@pytest.mark.parametrize(
    "rule", [IQDet(), IQDet(samples=1), IQDet(samples=5, deviation=0.1), IQDet(deviation=2.0)], ids=repr
)
def test_promises(rule: IQDet) -> None:
    check_assigner(rule)


def test_pairs_by_hand() -> None:
    """Object 0 is `0 0 16 16`, its Gaussians have deviation 1/2: the middle is (8, 8), one deviation is 4 pixels.

    (8, 8) on level 0 is between points 0, 1, 4, 5, a quarter each, with value 1/2: 0.125 each.
    (12, 8) on level 0 lies in column 1 between rows 0 and 1, one deviation off: points 1 and 5, half of SIDE each.
    (12, 8) on level 1 is 4/16 of the way from point 16 to 17, where the share is one of 1 + 3: 3/4 e^(-1/2).
    Object 1 is `16 0 32 32`, deviation 1: (20, 4) is point 2 itself; half a side is 8 and 16, so the offsets are
    -1/2 and -3/4, the value 1/2 e^(-(1/4 + 9/16) / 2). (32, 32) on level 1 is beyond point 19: e^-1 / 2.
    """
    target = make_target([[0, 0, 16, 16], [16, 0, 32, 32]], (32, 32))
    mixtures = [mixture((0, 0.5), (math.log(3), 0.5)), mixture((0, 1.0), (0, 1.0))]
    samples = [[[8, 8, 0], [12, 8, 0], [12, 8, 1]], [[20, 4, 0], [20, 4, 0], [32, 32, 1]]]
    found = IQDet()(POINTS, with_extra(PREDICTION, mixtures, samples), [target])
    coarse, far = 0.75 * math.exp(-0.5), 2 * PEAK * math.exp(-(1 / 4 + 9 / 16) / 2)
    expected = torch.zeros(2, 20)
    expected[0, [0, 4]] = PEAK / 4
    expected[0, [1, 5]] = PEAK / 4 + SIDE / 2
    expected[0, 16], expected[0, 17] = 0.75 * coarse, 0.25 * coarse
    expected[1, 2], expected[1, 19] = far, PEAK * math.exp(-1)
    torch.testing.assert_close(found.pairs, expected[None])
    assert found.gt[0].tolist() == [0, 0, 1, NEGATIVE, 0, 0, *[NEGATIVE] * 10, 0, 0, NEGATIVE, 1]
    torch.testing.assert_close(found.weight[0, [2, 16]], torch.tensor([far, 0.75 * coarse]))
    assert found.state[0].tolist() == [ObjectState.CHOSEN] * 2


def test_both_components_and_the_deviations_of_both_directions_count() -> None:
    """Shares e^1 and e^-1 beside 1; at (12, 12) of `0 0 16 16`, that is (1/2, 1/2)."""
    both = torch.tensor([[[1.0, 0.5, -0.5, 0.25, 0.5], [-1.0, -0.5, 0.5, 1.0, 2.0]]] * 2)
    found = IQDet()(POINTS, with_extra(PREDICTION, [both], [[[12, 12, 0]]]), [make_target([[0, 0, 16, 16]], (32, 32))])
    total = 1 + math.e + 1 / math.e
    # Off the first by 0 and 2 deviations, off the second by 1 and 0.
    expected = (math.e * math.exp(-2) + math.exp(-1) * math.exp(-0.5)) / total
    assert found.pairs[0, 0, 5].item() == pytest.approx(expected)
    assert (found.pairs > 0).sum() == 1


def test_nothing_is_read_from_the_padding() -> None:
    """A picture of 32 × 20: of the columns 4, 12, 20 the third is padding, and of 8, 24 the second.

    (18, 4) is beyond the last column and read as (12, 4), point 1; on level 1 as point 16. Its value stays that of
    (18, 4), which is 10/12 of half the box, and -1 of it vertically from 4.
    """
    target = make_target([[-4, 0, 20, 8]], (32, 20))
    found = IQDet()(POINTS, with_extra(PREDICTION, [mixture((0, 1.0), (0, 1.0))], [[[18, 4, 0], [18, 8, 1]]]), [target])
    expected = torch.zeros(20)
    expected[1] = PEAK * math.exp(-((10 / 12) ** 2) / 2)
    expected[16] = PEAK * math.exp(-((10 / 12) ** 2 + 1) / 2)
    torch.testing.assert_close(found.pairs[0, 0], expected)


def test_a_level_without_a_point_on_the_picture_is_not_read() -> None:
    """A picture 8 pixels wide: x = 8 of level 1 lies in the padding."""
    target = make_target([[0, 0, 8, 32]], (32, 8))
    found = IQDet()(POINTS, with_extra(PREDICTION, [mixture((0, 1.0), (0, 1.0))], [[[4, 16, 1]]]), [target])
    assert not found.pairs.any()
    assert found.state[0].tolist() == [ObjectState.NO_CANDIDATE]
    assert found.finite.all()
    both = torch.tensor([[[[4.0, 16.0], [4.0, 16.0]]]])
    assert corners(POINTS, level_grids(POINTS, [target]), both, torch.tensor([[[0, 1]]])).readable.tolist() == [
        [[True, False]]
    ]


def test_the_start_by_hand() -> None:
    """Two positions, `0 0 16 16`: two levels hold a point, so that each gets one; the lattice begins in the middle.

    The first is in the middle: 1/2 + 0/g. It has the value of both components, 2/3, for four points. The second is at
    1/2 + 1/1.3247 - 1 = 0.254878 of what lies in the box across, and 1/2 + 1/1.3247² - 1 = 0.069840 of it down.
    With deviation 1 it holds Φ(-1) = 0.158655 to 0.841345; the inverse of 0.332656 is -0.43258, of 0.206334
    -0.81919. In pixels that is 4.53936 and 1.44648, which level 1 reads at its first point, (8, 8).
    `1 1 3 3` holds no point: both its positions are on level 0, where its points are read as point 0.
    """
    target = make_target([[0, 0, 16, 16], [1, 1, 3, 3]], (32, 32))
    found = IQDet(samples=2, deviation=1.0)(POINTS, PREDICTION, [target])
    expected = torch.zeros(20)
    expected[[0, 1, 4, 5]] = 2 / 3 / 4
    off = 2 / 3 * math.exp(-(0.43258**2 + 0.81919**2) / 2)
    expected[16] = off
    torch.testing.assert_close(found.pairs[0, 0], expected, rtol=1e-4, atol=1e-6)
    assert found.pairs[0, 1, 0].item() == pytest.approx(2 / 3 + off, rel=1e-4)
    assert (found.pairs[0, 1] > 0).sum() == 1


def compare(rule: IQDet, scene: Scene, given: bool) -> None:
    found = rule(*scene)
    assert found.pairs is not None
    for index, target in enumerate(scene.targets):
        picture = slow_iqdet.Picture(scene.points, target)
        number = len(target.labels)
        if given:
            mixtures = scene.prediction.extra["quality mixture"][index].tolist()
            positions = scene.prediction.extra["samples"][index].tolist()
        else:
            starts = [slow_iqdet.start(picture, m, rule.samples, rule.deviation) for m in range(number)]
            mixtures, positions = [a for a, _ in starts], [b for _, b in starts]
        expected = torch.tensor(slow_iqdet.pairs(picture, mixtures, positions), dtype=torch.float64)
        torch.testing.assert_close(found.pairs[index, :number], expected, rtol=1e-9, atol=1e-12)
        # Mirrored positions of two objects may weigh alike but for rounding.
        weights = found.pairs[index, :number].tolist()
        assert found.gt[index].tolist() == slow_iqdet.owners(weights, area(target.boxes).tolist(), len(scene.points))
        assert found.weight[index].tolist() == pytest.approx(
            [max(column) or 1.0 for column in expected.T.tolist()], rel=1e-9
        )


CASES = pytest.mark.parametrize(
    ("rule", "given"), [(IQDet(), True), (IQDet(), False), (IQDet(samples=7, deviation=0.3), False)], ids=str
)


@CASES
def test_equals_the_slow_rule(rule: IQDet, given: bool) -> None:
    many(rule, given, 30)


@pytest.mark.full
@CASES
def test_equals_the_slow_rule_on_300_scenes(rule: IQDet, given: bool) -> None:
    many(rule, given, 300)


def many(rule: IQDet, given: bool, count: int) -> None:
    for seed in range(count):
        scene = random_scene(seed, images=1 + seed % 2)
        assert len(scene.points) <= 200
        said = scene.prediction if given else replace(scene.prediction, extra={})
        compare(rule, scene._replace(prediction=said), given)


def test_what_is_not_finite_takes_no_part_and_is_named() -> None:
    scene = random_scene(6, images=2)
    clean = IQDet()(*scene)
    for name in ("quality mixture", "samples"):
        extra = {key: value.clone() for key, value in scene.prediction.extra.items()}
        extra[name].flatten(2)[1, 2, 0] = math.nan
        found = IQDet()(scene.points, replace(scene.prediction, extra=extra), scene.targets)
        assert found.finite.tolist() == [True, False]
        assert [wrong.nonzero().flatten().tolist() for wrong in found.not_finite["distribution"]] == [[], [2]]
        assert clean.pairs is not None
        assert found.pairs is not None
        assert not found.pairs[1, 2].any()
        kept = [m for m in range(clean.pairs.shape[1]) if m != 2]
        assert torch.equal(found.pairs[:, kept], clean.pairs[:, kept])


def test_what_a_filler_says_means_nothing() -> None:
    points, said, targets = random_scene(6, images=2)
    few = replace(targets[1], boxes=targets[1].boxes[:2], labels=targets[1].labels[:2])
    said.extra["quality mixture"][1, 2:] = math.nan
    found = IQDet()(points, said, [targets[0], few])
    assert found.finite.all()
    assert found.pairs is not None
    assert not found.pairs[1, 2:].any()


def test_one_picture_of_a_batch_needs_no_fillers() -> None:
    """Its mixtures are padded for the fullest picture of the batch that it was cut from."""
    points, prediction, targets = random_scene(6)
    few = replace(targets[0], boxes=targets[0].boxes[:2], labels=targets[0].labels[:2])
    whole, part = IQDet()(points, prediction, targets), IQDet()(points, prediction, [few])
    assert whole.pairs is not None
    assert part.pairs is not None
    assert torch.equal(part.pairs, whole.pairs[:, :2])


def test_crowds_are_ignored_where_nothing_is_read() -> None:
    target = make_target([[0, 0, 16, 16]], (32, 32), crowd=[[0, 0, 32, 17]])
    said = with_extra(PREDICTION, [mixture((0, 0.5), (0, 0.5))], [[[4, 4, 0]]])
    found = ignore_crowds(POINTS, IQDet()(POINTS, said, [target]), [target])
    assert found.gt[0].tolist() == [0, *[IGNORED] * 7, *[NEGATIVE] * 8, IGNORED, IGNORED, NEGATIVE, NEGATIVE]


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: IQDet(samples=0), "samples is 0; allowed: 1 or more"),
        (lambda: IQDet(deviation=0.05), "deviation is 0.05; allowed: 0.1 to 2.0"),
        (lambda: IQDet(deviation=math.nan), "deviation is nan"),
        (lambda: IQDet(deviation=2.5), "deviation is 2.5"),
    ],
)
def test_an_option_that_is_not_allowed(build: Callable[[], IQDet], said: str) -> None:
    with pytest.raises(InputError, match=f"^assigner IQDet: {said}"):
        build()


# --- reading between points


@pytest.mark.parametrize(("height", "width"), [(48, 64), (40, 44), (17, 25)])
def test_reading_equals_grid_sample_on_the_picture(height: int, width: int) -> None:
    """Cut the maps to what lies on the picture and let PyTorch read them, also beyond their outermost points."""
    points = make_points([(6, 8), (3, 4)], (8, 16), dtype=torch.float64)
    random = torch.Generator().manual_seed(0)
    values = torch.rand(1, len(points), 3, generator=random, dtype=torch.float64, requires_grad=True)
    xy = 70 * torch.rand(1, 4, 9, 2, generator=random, dtype=torch.float64) - 3
    target = make_target([], (height, width))
    for level, stride in enumerate(points.strides):
        where = torch.full((1, 4, 9), level)
        found = corners(points, level_grids(points, [target]), xy, where)
        assert found.readable.all()
        read = found.read(values)
        maps = torch.stack([points.split(column)[level] for column in values[0].T])[None]
        rows, columns = (math.ceil(side / stride - 0.5) for side in (height, width))
        grid = 2 * xy / (stride * torch.tensor([columns, rows])) - 1
        expected = grid_sample(maps[:, :, :rows, :columns], grid, padding_mode="border", align_corners=False)
        torch.testing.assert_close(read, expected.permute(0, 2, 3, 1), rtol=1e-12, atol=1e-12)
        (own,) = torch.autograd.grad(read.square().sum(), values, retain_graph=True)
        (theirs,) = torch.autograd.grad(expected.square().sum(), values)
        torch.testing.assert_close(own, theirs, rtol=1e-12, atol=1e-12)


def test_spreading_is_the_transpose_of_reading() -> None:
    """Σ factor · read(values) = Σ values · spread(factor), with several positions at the same points."""
    points, _, targets = make_scene(0, images=1)
    random = torch.Generator().manual_seed(0)
    xy = 24 * torch.rand(1, 2, 30, 2, generator=random)
    found = corners(points, level_grids(points, targets), xy, torch.randint(3, (1, 2, 30), generator=random))
    values, factor = torch.rand(1, len(points), 1, generator=random), torch.rand(1, 2, 30, generator=random)
    left = (found.read(values)[..., 0] * factor).sum(dim=2)
    torch.testing.assert_close(left, (found.spread(factor, len(points)) * values[:, None, :, 0]).sum(dim=2))


# --- on a GPU


@pytest.mark.parametrize("extra", [False, True], ids=["start", "part"])
def test_assignment_and_losses_on_a_fake_gpu(extra: bool) -> None:
    """See `test_fake_cuda`: a forgotten device raises there, and so does a branch on data."""
    with FakeTensorMode(shape_env=ShapeEnv()), torch.device("cuda"):
        points, prediction = fake_prediction()
        part = QualityDistribution(hidden=8).build(16, 3)
        maps = [torch.zeros(2, 16, *shape, dtype=torch.bfloat16) for shape in points.shapes]
        targets = fake_targets()
        with Waits() as waits:
            if extra:
                own = part.extra(maps, points, prediction, Supervision(targets, 0.3))
                assert own["quality mixture"].shape == (2, 3, 2, 2, 5)
                assert own["samples"].shape == (2, 3, 12, 3)
                prediction = replace(prediction, extra=own)
            assignment = ignore_crowds(points, IQDet()(points, prediction, targets), targets)
            values = (assignment.gt, assignment.weight, assignment.pairs, assignment.state, assignment.finite)
            assert devices(*values, assignment.counts(), dict(prediction.extra)) == {"cuda:0"}
            if extra:
                total = IQDetCriterion()(points, prediction, targets, assignment).total()
                assert (str(total.device), total.dtype, total.requires_grad) == ("cuda:0", torch.float32, True)
        assert waits.seen == []
