from __future__ import annotations

import itertools

import numpy as np
import pytest

from mmmc.draw import class_colors
from mmmc.draw.colors import text_color

# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB.
DEFICIENCIES = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    "none": np.eye(3).tolist(),
}


def lab(linear: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear sRGB, white point D65."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear.clip(0, 1) @ to_xyz.T / (to_xyz @ np.ones(3))
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_the_first_seven_are_told_apart_with_any_colour_vision(deficiency):
    linear = (np.array(class_colors(7)) / 255) ** 2.2
    seen = lab(linear @ np.array(DEFICIENCIES[deficiency]).T)
    # A difference of 2.3 is just noticeable.
    assert min(np.linalg.norm(one - other) for one, other in itertools.combinations(seen, 2)) > 8


def test_a_class_keeps_its_colour_when_classes_are_added():
    assert class_colors(80)[:9] == class_colors(9)
    assert len(set(class_colors(21))) == 21
    assert class_colors(0) == []


def test_text_is_readable_on_every_colour():
    for color in class_colors(21):
        light, dark = (
            sum(weight * (value / 255) ** 2.2 for weight, value in zip((0.2126, 0.7152, 0.0722), rgb, strict=True))
            for rgb in sorted((color, text_color(color)), reverse=sum(color) >= sum(text_color(color)))
        )
        light, dark = max(light, dark), min(light, dark)
        # WCAG's AA for normal text.
        assert (light + 0.05) / (dark + 0.05) >= 4.5
