"""Two levels, strides 8 and 16, in a picture of 32 x 32, for rules that are worked by hand."""

from __future__ import annotations

import torch

from mmmc.points import make_points
from mmmc.structures import Prediction
from mmmc.testing import Scene, make_target

POINTS = make_points([(4, 4), (2, 2)], (8, 16))
"""Points 0-15 at 4, 12, 20, 28 in both directions; 16-19 at 8 and 24."""


def prediction(boxes: dict[int, list[float]], *, logit: float = 0.0, classes: int = 1) -> Prediction:
    """The same logits everywhere; boxes as given, elsewhere a far one."""
    drawn = torch.tensor([boxes.get(p, [90.0, 90.0, 99.0, 99.0]) for p in range(20)])[None]
    return Prediction(torch.full((1, 20, classes), logit), drawn, torch.zeros(1, 20))


def rivals() -> Scene:
    """Two objects that want the same points, and boxes that suit both in part; logits and qualities are 0.

    A, of class 0, is `0 0 16 16`: it holds points 0, 1, 4, 5 of P3 and 16 of P4. B, of class 1, is `4 0 24 16`: it
    holds 1, 2, 5, 6 and 16; points 0 and 4 lie on its left side, 17 on its right one. A has an area of 256, B of 320.

    | point | predicted box | IoU with A | with B |
    |---|---|---|---|
    | 0 | `0 0 16 16`, A | 1 | 192 / 384 = 0.5 |
    | 1 | `4 0 16 16`, what both share | 192 / 256 = 0.75 | 192 / 320 = 0.6 |
    | 2 | `4 0 24 8`, half of B | 96 / 320 = 0.3 | 0.5 |
    | 4 | `0 0 16 9.6`, 0.6 of A | 0.6 | 115.2 / 358.4 = 0.321429 |
    | 16 | `0 0 24 16`, both | 256 / 384 = 0.666667 | 320 / 384 = 0.833333 |
    | others | far away | 0 | 0 |
    """
    boxes = {0: [0, 0, 16, 16], 1: [4, 0, 16, 16], 2: [4, 0, 24, 8], 4: [0, 0, 16, 9.6], 16: [0, 0, 24, 16]}
    target = make_target([[0, 0, 16, 16], [4, 0, 24, 16]], (32, 32), labels=[0, 1])
    return Scene(POINTS, prediction(boxes, classes=2), [target])
