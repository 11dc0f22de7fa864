"""Large pictures in tiles, so that small objects keep their pixels.

Every tile is predicted as a picture of its own. What is found goes back to the pixels of the whole picture and is
merged per class, in two steps:

1. **Boxes that were seen whole** go through the detector's own non-maximum suppression, over the whole picture.
2. **Boxes that were cut** touch a side of their tile that is no side of the picture. They come after, the largest
   first. One goes if a box of its class from *another* tile, kept so far, covers more of its own area than the
   suppression's IoU: the other tile saw more of the same object. Plain IoU would keep it, since a part is small beside
   the whole.

So an object that is smaller than the overlap leaves one box. A larger one may be whole in no tile, and its parts stay,
unless the whole picture is one more tile: its boxes are cut nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torchvision.ops import batched_nms, box_area

from mmmc.data.tiling import Tiling, Window
from mmmc.predictor import Predictor
from mmmc.structures import Detections

TOUCH = 0.01
"""A box nearer to a side of its tile than this share of the tile's side touches it. A box ends where its distances say,
not at the last pixel."""


def detect_tiled(
    predictor: Predictor,
    image: UInt8[Tensor, "3 H W"],
    tiling: Tiling,
    *,
    threshold: float | Float[Tensor, " C"] = 0.0,
    batch_size: int = 8,
) -> Detections:
    """Detections of one picture from its tiles, in its pixels; their number is that of all tiles together, no less.

    Args:
        predictor: the detector.
        image: 8-bit RGB.
        tiling: how it is cut.
        threshold: least score, of all classes or of each. It comes before merging: what is too weak to be reported
            takes no place either.
        batch_size: tiles that go through the network at once.
    """
    windows = tiling.windows(image.shape[1], image.shape[2])
    parts = (image[:, y1:y2, x1:x2] for x1, y1, x2, y2 in windows)
    found = [one.above(threshold) for one in predictor(parts, batch_size=batch_size)]
    if len(windows) == 1:
        return found[0]
    return merge(found, windows, (image.shape[1], image.shape[2]), iou=predictor.recipe.postprocess.nms)


def merge(found: Sequence[Detections], windows: Sequence[Window], size: tuple[int, int], iou: float) -> Detections:
    """Detections of a picture's tiles as those of the picture, best score first; see the top of this file.

    Args:
        found: of each tile, in its own pixels.
        windows: the tiles.
        size: height and width of the picture.
        iou: of the suppression.
    """
    offsets = [
        torch.tensor([x1, y1, x1, y1], dtype=one.boxes.dtype)
        for one, (x1, y1, _, _) in zip(found, windows, strict=True)
    ]
    boxes = torch.cat([one.boxes + offset for one, offset in zip(found, offsets, strict=True)])
    scores = torch.cat([one.scores for one in found])
    labels = torch.cat([one.labels for one in found])
    tile = torch.cat([torch.full((len(one),), index) for index, one in enumerate(found)])
    cut = torch.cat([_cut(one.boxes, window, size) for one, window in zip(found, windows, strict=True)])

    seen_whole = (~cut).nonzero().flatten()
    keep = seen_whole[batched_nms(boxes[seen_whole], scores[seen_whole], labels[seen_whole], iou)].tolist()
    areas = box_area(boxes)
    parts = cut.nonzero().flatten()
    for index in parts[areas[parts].argsort(descending=True, stable=True)].tolist():
        kept = torch.tensor(keep, dtype=torch.long)
        others = kept[(labels[kept] == labels[index]) & (tile[kept] != tile[index])]
        if not (_shared(boxes[index], boxes[others]) > iou * areas[index]).any():
            keep.append(index)
    order = torch.tensor(keep, dtype=torch.long)
    order = order[scores[order].argsort(descending=True, stable=True)]
    return replace(found[0], boxes=boxes[order], scores=scores[order], labels=labels[order])


def _cut(boxes: Float[Tensor, "N 4"], window: Window, size: tuple[int, int]) -> Bool[Tensor, " N"]:
    """Which boxes of a tile, in its pixels, touch a side of it that is no side of the picture."""
    x1, y1, x2, y2 = window
    across, down = TOUCH * (x2 - x1), TOUCH * (y2 - y1)
    cut = torch.zeros(len(boxes), dtype=torch.bool)
    if x1 > 0:
        cut |= boxes[:, 0] < across
    if y1 > 0:
        cut |= boxes[:, 1] < down
    if x2 < size[1]:
        cut |= boxes[:, 2] > x2 - x1 - across
    if y2 < size[0]:
        cut |= boxes[:, 3] > y2 - y1 - down
    return cut


def _shared(box: Float[Tensor, " 4"], others: Float[Tensor, "N 4"]) -> Float[Tensor, " N"]:
    """Area that a box has in common with each of others."""
    corner, opposite = torch.maximum(box[:2], others[:, :2]), torch.minimum(box[2:], others[:, 2:])
    return (opposite - corner).clamp(min=0).prod(dim=1)
