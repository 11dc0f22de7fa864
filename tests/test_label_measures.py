"""Measures of labels and losses by hand."""

from __future__ import annotations

import math
from io import StringIO

import pytest
import torch
from rich.console import Console
from scipy.stats import spearmanr
from torch import Tensor

from mmmc import label_measures
from mmmc.assign import APS, FCOS
from mmmc.label_measures import LabelMeasures, rank_correlation, recorded_sampling
from mmmc.model import Detector, ModelConfig, RFAConfig
from mmmc.points import make_points
from mmmc.structures import Assignment, ObjectState, Prediction
from mmmc.testing import make_scene, make_target

POINTS = make_points([(2, 2), (1, 1)], (8, 16))
"""Points at 4 and 12 of both axes, and one at 8, 8."""
LARGE, SMALL, TINY = [0.0, 0.0, 16.0, 16.0], [9.0, 9.0, 16.0, 16.0], [5.0, 5.0, 7.0, 7.0]


def prediction() -> Prediction:
    """Probability ½ everywhere; every box is the left half of the large object, but that of the coarse point is all."""
    boxes = torch.tensor([[0.0, 0.0, 8.0, 16.0]]).repeat(5, 1)
    boxes[4] = torch.tensor(LARGE)
    return Prediction(torch.zeros(1, 5, 1), boxes[None], torch.zeros(1, 5))


def assignment(*gt: int) -> Assignment:
    owners = torch.tensor([gt])
    return Assignment(
        gt=owners,
        score=(owners >= 0).float(),
        weight=torch.ones(1, 5),
        state=[torch.tensor([ObjectState.CHOSEN, ObjectState.FALLBACK, ObjectState.NO_POINT])],
        finite=torch.ones(1, dtype=torch.bool),
    )


TARGET = make_target([LARGE, SMALL, TINY], (16, 16))


def test_measures_by_hand() -> None:
    """The large object owns points 0 and 4, the small one point 3, the tiny one holds none."""
    found = LabelMeasures()
    found.add(POINTS, prediction(), [TARGET], assignment(0, -1, -1, 1, 0))
    seen = found.result()
    ln2 = math.log(2)
    focal, bce = 0.0625 * ln2, ln2  # at probability ½, one class
    # Box losses: ½ and 0 for the large object; for the small one 1 − GIoU: IoU 0, hull 16 × 16, union 128 + 49.
    small = 1 + (256 - 177) / 256
    gaps = [(abs(focal - 0.5) + focal) / 2, small - focal]
    assert seen["gap_focal"] == pytest.approx(sum(gaps) / 2, rel=1e-5)
    assert seen["sum_bce"] == pytest.approx(((2 * bce + 0.5) / 2 + bce + small) / 2, rel=1e-5)
    assert (seen["objects"], seen["fallback"], seen["without"]) == (3, pytest.approx(1 / 3), pytest.approx(1 / 3))
    # Counts 2, 1, 0.
    assert [seen[f"positives_{name}"] for name in ("q1", "median", "q3")] == [0.5, 1, 1.5]
    # Sizes 16, 7, 2: two objects below 8 px, one from 16.
    assert (seen["objects_0-8"], seen["objects_16-32"], seen["no_point_0-8"]) == (2, 1, 0.5)
    assert (seen["P3_16-32"], seen["P4_16-32"], seen["P3_0-8"], seen["P4_0-8"]) == (1, 1, 0.5, 0)
    assert "P3_8-16" not in seen
    # All scores are equal: there is no order to compare.
    assert "rank_correlation" not in seen


def test_few_objects_at_a_time_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = make_scene(0, objects=(7, 3))
    assignment = FCOS(range_strides=4.0)(*scene)
    sizes = []

    def correlation(first: Tensor, *others: Tensor) -> Tensor:
        sizes.append(first.shape[1])
        return rank_correlation(first, *others)

    def seen(at_once: int) -> dict[str, float]:
        monkeypatch.setattr("mmmc.assign.shared.pairs.AT_ONCE", at_once)
        found = LabelMeasures()
        found.add(scene.points, scene.prediction, scene.targets, assignment)
        return found.result()

    monkeypatch.setattr(label_measures, "rank_correlation", correlation)
    assert seen(3) == pytest.approx(seen(64))
    assert sizes == [3, 3, 1, 7]


def test_points_that_change_side() -> None:
    """0 and 4 before, 0 and 3 now: of three that are positive at one time or the other, two changed."""
    first, second = LabelMeasures(), LabelMeasures()
    first.add(POINTS, prediction(), [TARGET], assignment(0, -1, -1, -1, 0))
    second.add(POINTS, prediction(), [TARGET], assignment(0, -1, -1, 0, -1))
    assert "changed" not in first.result()
    assert second.result(before=first.labels)["changed"] == pytest.approx(2 / 3)


def test_rank_correlation_is_spearmans() -> None:
    random = torch.Generator().manual_seed(0)
    first, second = torch.randn(4, 30, generator=random), torch.randn(4, 30, generator=random)
    second = (second + first).round()  # with ties
    valid = torch.rand(4, 30, generator=random) > 0.4
    found = rank_correlation(first, second, valid)
    for row in range(4):
        expected = spearmanr(first[row][valid[row]], second[row][valid[row]]).statistic
        assert found[row].item() == pytest.approx(expected, abs=1e-5)
    few = torch.tensor([[True, True, *[False] * 28]] * 4)
    assert rank_correlation(first, second, few).isnan().all()


@pytest.mark.parametrize("assigner", [APS(), FCOS()], ids=["aps", "fcos"])
def test_any_assigner_and_pictures_without_objects(assigner: APS | FCOS) -> None:
    found = LabelMeasures()
    for objects in ((3, 0), (0, 0)):
        scene = make_scene(0, objects=objects)
        found.add(scene.points, scene.prediction, scene.targets, assigner(*scene))
    seen = found.result()
    assert seen["objects"] == 3
    assert all(math.isfinite(value) for value in seen.values())
    assert LabelMeasures().result() == {}


def test_sampling_is_recorded_level_by_level_and_no_longer() -> None:
    model = ModelConfig("resnet18", weights="none", channels=16, groups=4, depth=1, rfa=RFAConfig(class_position=1))
    detector = Detector(model, 2).eval()
    with torch.no_grad():
        detector.head.class_tower[0].offset.bias[:2] = torch.tensor([3.0, 4.0])
    images = torch.zeros(2, 3, 64, 96, dtype=torch.uint8)
    with recorded_sampling(detector) as sampling, torch.no_grad():
        points, predicted = detector(images)
    assert list(sampling) == ["class"]
    assert [tuple(offsets.shape[2:]) for offsets, _ in sampling["class"]] == list(points.shapes)
    detector(images)
    assert len(sampling["class"]) == 5
    found = LabelMeasures()
    targets = [make_target([[4, 4, 60, 60]], (64, 96))] * 2
    found.add(points, predicted, targets, FCOS()(points, predicted, targets), sampling)
    # One tap of nine has moved, by 5 cells.
    assert found.result()["offset_class_P3"] == pytest.approx(5 / 9)
    assert not any(name.startswith("offset_box") for name in found.result())


def test_tables_show_first_to_last() -> None:
    rows = [
        {"epoch": float(n), "fallback": n / 100, "gap_focal": 0.1 * n, "objects_0-8": 4.0, "P3_0-8": 1.0}
        for n in range(1, 13)
    ]
    console = Console(width=120, record=True, file=StringIO())
    console.print(label_measures.tables(rows, columns=3))
    text = console.export_text()
    for expected in ("objects that had to fall back", "4%", "8%", "12%", "0 – 8", "100%"):
        assert expected in text
    assert "5%" not in text
