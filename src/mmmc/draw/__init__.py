"""From values to pictures: annotated pictures as 8-bit tensors, everything else as matplotlib figures.

Nothing here shows or saves anything, and `pyplot` with its global figures is never imported: the caller
calls `figure.savefig(...)`, or `save` on what `torchvision.transforms.v2.functional.to_pil_image` makes of a tensor.
"""

from mmmc.draw.assignment import positives
from mmmc.draw.colors import class_colors
from mmmc.draw.curves import curves
from mmmc.draw.dataset import label_map
from mmmc.draw.loss import loss_maps
from mmmc.draw.pictures import comparison, detections, mosaic, objects
from mmmc.draw.side_by_side import side_by_side
from mmmc.draw.spread import spread

__all__ = [
    "class_colors",
    "comparison",
    "curves",
    "detections",
    "label_map",
    "loss_maps",
    "mosaic",
    "objects",
    "positives",
    "side_by_side",
    "spread",
]
