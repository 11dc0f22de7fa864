"""Values that lie exactly at the limit of a rule or an option, where `>=` and `>` part."""

from __future__ import annotations

import pytest
import torch

from mmmc.assign import (
    APS,
    ATSS,
    DW,
    MAL,
    OTA,
    PAA,
    SAPD,
    TAL,
    Assigner,
    AutoAssign,
    DynamicSoftLabel,
    FreeAnchor,
    IQDet,
    MaxIoU,
    SimOTA,
)
from mmmc.assign.aps_scores import relative_scores
from mmmc.assign.shared import split
from mmmc.assign.shared.candidates import Candidates
from mmmc.assign.shared.mixture import Mixture
from mmmc.assign.shared.pairs import gather_objects
from mmmc.assign.shared.split import parted
from mmmc.points import make_points
from mmmc.structures import IGNORED, NEGATIVE, ObjectState
from mmmc.testing import make_scene, make_target

from .hand_scenes import POINTS, prediction, rivals

# --- overlaps, distances and costs


def test_an_overlap_at_a_threshold_of_max_iou_reaches_it() -> None:
    """Box `0 0 32 32`, squares of 2 strides: those of the four inner points of P3 lie in it, 256 / 1024 = 1/4."""
    inner, target = [5, 6, 9, 10], make_target([[0, 0, 32, 32]], (32, 32))

    def labels(positive: float, negative: float) -> list[int]:
        rule = MaxIoU(positive=positive, negative=negative, square_strides=2.0, keep_best=False)
        return rule(POINTS, prediction({}), [target]).gt[0, [*inner, 16]].tolist()

    # The squares of P4 reach 576 / 1472 = 0.391.
    assert labels(0.25, 0.25) == [0] * 5
    assert labels(0.26, 0.25) == [IGNORED] * 4 + [0]
    assert labels(0.26, 0.26) == [NEGATIVE] * 4 + [0]


@pytest.mark.parametrize(("least", "reached"), [(0.3125, True), (0.3126, False)])
def test_an_overlap_at_the_threshold_of_paa_reaches_it(least: float, reached: bool) -> None:
    """The square of point 16 overlaps B by 320 / 1024 = 0.3125; those of points 1 and 5 are the best of B, 1/2."""
    found = PAA(rule="a", least_iou=least, square_strides=2.0)(*rivals())
    assert (found.gt[0, 16] == 1) == reached


def test_points_on_the_border_of_a_box_are_not_in_it() -> None:
    """One point, at (4, 4), and boxes that have it on one side each, and in them."""
    boxes = [[4, 0, 8, 8], [0, 4, 8, 8], [0, 0, 4, 8], [0, 0, 8, 4], [0, 0, 8, 8]]
    objects = gather_objects(make_points([(1, 1)], (8,)), [make_target(boxes, (8, 8))], torch.float32)
    assert objects.in_box[0, :, 0].tolist() == [False] * 4 + [True]


def test_a_cost_that_equals_the_mean_is_no_worse_than_it() -> None:
    positive, _ = parted(torch.tensor([[1.0, 2.0, 3.0]]), torch.ones(1, 3, dtype=torch.bool), "mean")
    assert positive.tolist() == [[True, True, False]]


def test_costs_that_are_equal_but_for_rounding_are_all_positive_beside_entries_that_are_no_candidates() -> None:
    positive, _ = parted(torch.tensor([[0.7, 0.7 + 5e-7, torch.nan]]), torch.tensor([[True, True, False]]), "c")
    assert positive.tolist() == [[True, True, False]]


@pytest.mark.parametrize(
    ("better", "worse", "positive"),
    [
        # Both claim the second alike: it belongs to the better.
        ([0.0, -1.0, -9.0], [-9.0, -1.0, 0.0], [True, True, False]),
        # The better claims the third, which lies at the worse one's mean and not beyond it.
        ([0.0, 0.0, 0.0], [-9.0, -9.0, -9.0], [True, True, True]),
    ],
)
def test_candidates_at_the_limits_of_the_better_component_belong_to_it(
    better: list[float], worse: list[float], positive: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Costs 0, 1, 2 and a fit with means 0 and 2, whose densities are chosen: a real one is equal but for rounding."""
    halves = torch.tensor([[0.5, 0.5]])
    fitted = Mixture(halves, torch.tensor([[0.0, 2.0]]), halves, torch.tensor([[better, worse]]))
    monkeypatch.setattr(split, "fit_mixture", lambda *_, **__: fitted)
    found, _ = parted(torch.tensor([[0.0, 1.0, 2.0]]), torch.ones(1, 3, dtype=torch.bool), "a", scale="raw")
    assert found[0].tolist() == positive


def test_ota_says_that_no_pair_is_possible() -> None:
    """Box `0 0 32 32`, centre (16, 16): the nearest points are 4 px away on P3 and 8 on P4, half a stride."""
    target = make_target([[0, 0, 32, 32]], (32, 32))
    for radius, state in ((0.5, ObjectState.NO_CANDIDATE), (0.6, ObjectState.CHOSEN)):
        assert OTA(radius=radius)(POINTS, prediction({}), [target]).state[0].tolist() == [state]


# --- who an object is


def test_the_nearest_point_is_for_objects_and_not_for_what_fills_a_batch_up() -> None:
    """Two pictures, of two objects and of one that holds a point: the one has no second to be given point 0."""
    tiny, large = [1.0, 1, 2, 2], [0.0, 0, 32, 32]
    targets = [make_target([large, tiny], (32, 32)), make_target([large], (32, 32))]
    points, said, _ = make_scene(0, images=2, size=(32, 32), strides=(8, 16))
    found = APS(tiny="nearest")(points, said, targets)
    assert found.state[0].tolist() == [ObjectState.CHOSEN, ObjectState.FALLBACK]
    assert found.gt[1].max() == 0


def test_a_point_that_is_no_candidate_has_the_best_score() -> None:
    """Of three points the first is the only candidate; the second was given to the object, the third is nobody's."""
    one = torch.ones(1, 1, 1, 1)
    shortlist = Candidates(point=one.long() - 1, cls=one, reg=one, valid=one.bool())
    assert relative_scores(torch.tensor([[0, 0, NEGATIVE]]), shortlist, 2 * one, "sum").tolist() == [[1, 1, 1]]


# --- options

BOUNDS: list[tuple[type[Assigner], dict[str, float]]] = [
    *((APS, {"candidates_per_level": 1, "num_levels": 1, "topk": 1}), (APS, {"level_share": 1.0, "shrink": 1.0})),
    *((APS, {"iou_smooth": 0.0, "least_cells": 0.0}), (ATSS, {"topk": 1}), (MaxIoU, {"positive": 1.0})),
    *((MaxIoU, {"positive": 0.4, "negative": 0.4}), (MaxIoU, {"positive": 1.0, "negative": 1.0})),
    *((PAA, {"least_iou": 0.0, "topk": 1}), (PAA, {"least_iou": 1.0}), (SimOTA, {"box_cost": 0.0, "topk": 1})),
    *((OTA, {"box_cost": 0.0, "topk": 1, "iterations": 1}), (TAL, {"topk": 1, "alpha": 0.0}), (TAL, {"beta": 0.0})),
    *(
        (DynamicSoftLabel, {"box_cost": 0.0, "center_radius": 0.0, "topk": 1}),
        (SAPD, {"shrink": 1.0, "soft_levels": 1}),
    ),
    *((SAPD, {"soft_levels": 1}), (FreeAnchor, {"bag": 1, "box_factor": 0.0}), (MAL, {"progress": 0.0})),
    (MAL, {"progress": 1.0}),
    *((kind, {"square_strides": 0.5}) for kind in (ATSS, MaxIoU, PAA)),
    *((IQDet, {"samples": 1, "deviation": 0.1}), (IQDet, {"deviation": 2.0})),
    *((AutoAssign, {"confidence": 0.0, "box_power": 0.0}), (DW, {"sharpness": 0.0, "norm_sharpness": 0.0})),
]


@pytest.mark.parametrize(("kind", "options"), BOUNDS)
def test_the_bounds_of_an_option_are_allowed(kind: type[Assigner], options: dict[str, float]) -> None:
    found = kind(**options)(*make_scene(0))
    assert found.finite.all()
    assert found.weight.isfinite().all()
