"""Overlap of labels against the object's gap: by hand, and against sets of points in plain Python."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from mmmc.assign import ATSS, PAA
from mmmc.comparison import positive_pairs
from mmmc.misalignment import Truth
from mmmc.misalignment.look import look
from mmmc.misalignment.overlap import LabelOverlap, label_overlap
from mmmc.predictor import Predictor, scored_batches
from mmmc.training.sets import open_sets


def test_thirds_by_hand() -> None:
    """Seven objects: the first three are aligned, the next two between, the last two misaligned."""
    found = LabelOverlap(
        np.array([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.9]),
        {
            "atss": np.array([1.0, 0.8, 0.6, 0.5, 0.4, 0.3, 0.1]),
            "paa": np.array([0.2, math.nan, 0.4, 0.5, 0.5, math.nan, math.nan]),
        },
    )
    metrics = found.metrics()
    assert metrics["objects"] == 7
    assert [metrics[f"gap_{part}"] for part in ("aligned", "middle", "misaligned")] == pytest.approx([0.1, 0.35, 0.7])
    assert [metrics[f"atss_{part}"] for part in ("aligned", "middle", "misaligned")] == pytest.approx([0.8, 0.45, 0.2])
    assert (metrics["atss_drop"], metrics["atss_correlation"]) == pytest.approx((0.6, -1))
    # An object without labels under either rule tells nothing.
    assert metrics["paa_aligned"] == pytest.approx(0.3)
    assert (metrics["paa_misaligned"], metrics["paa_drop"]) == (None, None)
    assert metrics["paa_correlation"] == pytest.approx(0.949, abs=1e-3)  # ranks 1 2 3 4 and 1 2 3.5 3.5
    empty = LabelOverlap(np.zeros(0), {"atss": np.zeros(0)}).metrics()
    assert (empty["objects"], empty["atss_drop"], empty["atss_correlation"]) == (0, None, None)


def test_labels_of_a_run_against_sets(tiny_run: Path) -> None:
    predictor = Predictor.load(tiny_run, device="cpu")
    _, pictures = open_sets(predictor.recipe.data)
    others = {"atss": ATSS(square_strides=2.0), "paa": PAA(square_strides=2.0)}
    found = label_overlap(predictor, others, scored_batches(predictor, pictures, 1))

    gaps: list[float] = []
    overlaps: list[list[float]] = []
    for batch in scored_batches(predictor, pictures, 1):
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
            overlaps.append([len(own & other) / len(own | other) if own | other else math.nan for other in theirs])
    order = np.argsort(gaps, kind="stable")
    assert found.gap.tolist() == pytest.approx(np.array(gaps)[order].tolist())
    for place, name in enumerate(others):
        assert found.overlap[name].tolist() == pytest.approx(np.array(overlaps)[order, place].tolist(), nan_ok=True)
    assert len(found.gap) > 5
    assert 0 < np.nanmean(found.overlap["atss"]) < 1


def test_a_rule_agrees_with_itself(tiny_run: Path) -> None:
    predictor = Predictor.load(tiny_run, device="cpu")
    _, pictures = open_sets(predictor.recipe.data)
    found = label_overlap(predictor, {"own": predictor.recipe.assigner}, scored_batches(predictor, pictures, 1))
    assert set(found.overlap["own"][np.isfinite(found.overlap["own"])].tolist()) == {1.0}
    assert found.metrics()["own_drop"] == 0
    assert found.metrics()["own_correlation"] is None
