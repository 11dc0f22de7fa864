"""Overlap of labels against the object's gap: by hand, and against sets of points in plain Python."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mmmc.assign import ATSS, PAA
from mmmc.comparison import positive_pairs
from mmmc.misalignment import Truth
from mmmc.misalignment.look import look
from mmmc.misalignment.overlap import PARTS, LabelOverlap, label_overlap
from mmmc.predictor import Predictor, scored_batches
from mmmc.structures import Batch
from mmmc.training.sets import open_sets


def test_thirds_of_each_size_by_hand() -> None:
    """Five sizes of three objects each: 1, 2, 4, 8 and 16. Within a size the gaps grow by 0.1, 0.5 and 0.3."""
    area = np.tile([4.0, 16.0, 1.0, 8.0, 2.0], 3)
    gap = np.repeat([0.1, 0.5, 0.3], 5) + area  # the size alone would make thirds of sizes
    atss = np.repeat([0.9, 0.2, 0.5], 5)
    paa = np.repeat([0.7, math.nan, 0.7], 5)
    found = LabelOverlap(gap, area, {"atss": atss, "paa": paa})
    assert [sorted(rows.tolist()) for rows in found.parts()] == [
        [0, 1, 2, 3, 4],
        [10, 11, 12, 13, 14],
        [5, 6, 7, 8, 9],
    ]
    metrics = found.metrics()
    assert metrics["objects"] == 15
    assert [metrics[f"gap_{part}"] for part in PARTS] == pytest.approx([6.3, 6.5, 6.7])
    assert [metrics[f"atss_{part}"] for part in PARTS] == pytest.approx([0.9, 0.5, 0.2])
    assert metrics["atss_drop"] == pytest.approx(0.7)
    # An object without labels under either rule tells nothing.
    assert (metrics["paa_aligned"], metrics["paa_misaligned"], metrics["paa_drop"]) == (pytest.approx(0.7), None, None)
    empty = LabelOverlap(np.zeros(0), np.zeros(0), {"atss": np.zeros(0)}).metrics()
    assert (empty["objects"], empty["gap_aligned"], empty["atss_drop"]) == (0, None, None)


def with_a_speck(batch: Batch) -> Batch:
    """First of all an object that no point lies in."""
    (target,) = batch.targets
    boxes = torch.cat([torch.tensor([[0.1, 0.1, 0.3, 0.3]]), target.boxes])
    return replace(batch, targets=[replace(target, boxes=boxes, labels=torch.cat([target.labels[:1], target.labels]))])


def test_labels_of_a_run_against_sets(tiny_run: Path) -> None:
    predictor = Predictor.load(tiny_run, device="cpu")
    _, pictures = open_sets(predictor.recipe.data)
    others = {"atss": ATSS(square_strides=2.0), "paa": PAA(square_strides=2.0)}
    batches = [with_a_speck(batch) for batch in scored_batches(predictor, pictures, 1)]
    found = label_overlap(predictor, others, batches)

    gaps: list[float] = []
    areas: list[float] = []
    overlaps: list[list[float]] = []
    for batch in batches:
        points, prediction = predictor.detector(batch.images)
        (target,) = batch.targets
        labels = [
            [set(np.flatnonzero(row).tolist()) for row in positive_pairs(rule(points, prediction, [target])).numpy()]
            for rule in (predictor.recipe.assigner, *others.values())
        ]
        seen = look(predictor, Truth.from_coco(pictures.to_coco()), [batch]).apart
        for number, gap in zip(seen.number.tolist(), seen.lost.tolist(), strict=True):
            own, *theirs = (one[number] for one in labels)
            gaps.append(gap)
            x1, y1, x2, y2 = (target.boxes[number].double() / target.scale[0]).tolist()
            areas.append((x2 - x1) * (y2 - y1))
            overlaps.append([len(own & other) / len(own | other) if own | other else math.nan for other in theirs])
    assert found.gap.tolist() == pytest.approx(gaps)
    assert found.area.tolist() == pytest.approx(areas)
    for place, name in enumerate(others):
        assert found.overlap[name].tolist() == pytest.approx([row[place] for row in overlaps], nan_ok=True)
    assert len(found.gap) > 5
    assert 0 < np.nanmean(found.overlap["atss"]) < 1


def test_a_rule_agrees_with_itself(tiny_run: Path) -> None:
    predictor = Predictor.load(tiny_run, device="cpu")
    _, pictures = open_sets(predictor.recipe.data)
    found = label_overlap(predictor, {"own": predictor.recipe.assigner}, scored_batches(predictor, pictures, 1))
    assert set(found.overlap["own"][np.isfinite(found.overlap["own"])].tolist()) == {1.0}
    assert found.metrics()["own_drop"] == 0
