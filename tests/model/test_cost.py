"""Parameters and multiply-adds against known totals, and by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mmmc.model import ModelConfig, RFAConfig
from mmmc.model.cost import cost, point_count

R50 = ModelConfig(weights="none")
V2 = RFAConfig(class_position=1, box_position=1)


def totals(config: ModelConfig) -> tuple[int, float]:
    parts = cost(config, 80, (800, 1344))
    return sum(part.parameters for part in parts), sum(part.macs for part in parts) / 1e9


@pytest.mark.parametrize(
    ("rfa", "parameters", "gmacs"),
    [
        (RFAConfig(), 32_297_370, 214.73),
        (V2, 32_421_840, 217.52),
        (replace(V2, modulated=False), 32_380_350, 216.59),
        # The same weights at other places, and one more 3×3 convolution of 256 channels with its GroupNorm.
        (replace(V2, kind="dilated"), 32_297_370, 214.73),
        (replace(V2, box_position=0, kind="extra"), 32_297_370 + 256 * 256 * 9 + 256 + 512, 227.94),
    ],
    ids=["fcos", "v2", "v1", "dilated", "extra"],
)
def test_a_resnet_50_at_80_classes(rfa: RFAConfig, parameters: int, gmacs: float) -> None:
    found = totals(replace(R50, rfa=rfa))
    assert found[0] == parameters
    assert found[1] == pytest.approx(gmacs, abs=0.005)


def test_parts_by_hand() -> None:
    """Levels of 8 × 12, 4 × 6, 2 × 3, 1 × 2 and 1 × 1 points."""
    config = ModelConfig("resnet18", weights="none", channels=16, groups=4, depth=2, rfa=RFAConfig(class_position=1))
    points = point_count((64, 96))
    assert points == 96 + 24 + 6 + 2 + 1
    parts = {part.name: part for part in cost(config, 3, (64, 96))}
    convolution = 16 * 16 * 9
    assert parts["towers"].parameters == 4 * (convolution + 16 + 2 * 16)
    assert parts["towers"].macs == 4 * convolution * points
    assert parts["RFA"].parameters == 16 * 27 * 9 + 27
    assert parts["RFA"].macs == 16 * 27 * 9 * points
    # Class, distances and quality; and a scale for each of five levels.
    assert parts["outputs"].parameters == 16 * 9 * 8 + 8 + 5
    assert parts["outputs"].macs == 16 * 9 * 8 * points
    assert list(parts) == ["trunk", "FPN", "towers", "RFA", "outputs"]
