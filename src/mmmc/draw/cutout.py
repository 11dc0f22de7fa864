"""The part of a picture around a box, large enough to be looked at."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torchvision.ops import clip_boxes_to_image
from torchvision.transforms.v2 import functional

from mmmc.draw.panels import around
from mmmc.draw.pictures import detections, objects
from mmmc.structures import Detections

_SIDE = 360


def cutout(
    image: UInt8[Tensor, "3 H W"],
    box: tuple[float, float, float, float],
    truth: tuple[Float[Tensor, "M 4"], Int[Tensor, " M"]],
    found: Detections,
    names: Sequence[str],
) -> UInt8[Tensor, "3 _ _"]:
    """A box and what surrounds it, its longer side 360 pixels, with objects dashed and detections solid.

    Args:
        image: the picture file's pixels.
        box: `x1 y1 x2 y2` in them; what lies outside the picture is not shown.
        truth: boxes and classes of the objects.
        found: detections to draw.
        names: of the classes.
    """
    height, width = image.shape[1:]
    x1, y1, x2, y2 = (round(side) for side in around(box, (height, width)))
    # Of a box outside the picture the nearest pixels are shown.
    x1, y1 = min(x1, width - 1), min(y1, height - 1)
    part = image[:, y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)]
    ratio = _SIDE / max(part.shape[1:])
    shape = [max(1, round(side * ratio)) for side in part.shape[1:]]
    large = functional.resize(part, shape, antialias=True)

    def moved(boxes: Float[Tensor, "N 4"]) -> tuple[Float[Tensor, "N 4"], Tensor]:
        inside = clip_boxes_to_image((boxes - boxes.new_tensor([x1, y1, x1, y1])) * ratio, (shape[0], shape[1]))
        return inside, (inside[:, 2:] - inside[:, :2] >= 1).all(dim=1)

    places, seen = moved(truth[0])
    drawn = objects(large, places[seen], truth[1][seen], names)
    places, seen = moved(found.boxes)
    shown = Detections(places[seen], found.scores[seen], found.labels[seen], found.image_id)
    return detections(drawn, shown, names, threshold=0.0)
