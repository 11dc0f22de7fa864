"""Options of criteria at the ends of what is allowed."""

from __future__ import annotations

import pytest

from mmmc.criterion import (
    AutoAssignCriterion,
    BagCriterion,
    Criterion,
    DenseCriterion,
    DWCriterion,
    IQDetCriterion,
    SAPDCriterion,
)

NO_FACTOR = {"class_factor": 0.0, "box_factor": 0.0, "quality_factor": 0.0}

BOUNDS: list[tuple[type[Criterion], dict[str, float]]] = [
    (DenseCriterion, {"alpha": 0.0, "gamma": 0.0, "distribution_factor": 0.0, **NO_FACTOR}),
    (DenseCriterion, {"alpha": 1.0}),
    (IQDetCriterion, {"alpha": 0.0, "gamma": 0.0, "distribution_factor": 0.0, **NO_FACTOR}),
    (IQDetCriterion, {"alpha": 1.0}),
    (BagCriterion, {"bag": 1, "box_factor": 0.0, "alpha": 0.0, "gamma": 1.0, "threshold": 0.0}),
    (BagCriterion, {"alpha": 1.0}),
    (AutoAssignCriterion, {"confidence": 0.0, "box_power": 0.0, "gamma": 1.0}),
    (AutoAssignCriterion, {"positive_factor": 0.0, "negative_factor": 0.0, "center_factor": 0.0}),
    (DWCriterion, {"box_power": 0.0, "least_iou": 0.0, "gamma": 0.0}),
    (SAPDCriterion, {"levels_factor": 0.0, "shrink": 1.0}),
    (DWCriterion, {"class_factor": 0.0, "box_factor": 0.0, "negative_factor": 0.0}),
]


@pytest.mark.parametrize(("kind", "options"), BOUNDS)
def test_the_bounds_of_an_option_are_allowed(kind: type[Criterion], options: dict[str, float]) -> None:
    made = kind(**options)
    assert {name: getattr(made, name) for name in options} == options
