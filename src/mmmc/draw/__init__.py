"""From values to pictures: annotated pictures as 8-bit tensors, everything else as matplotlib figures.

Nothing here shows or saves anything, and `pyplot` with its global figures is never imported: the caller
calls `figure.savefig(...)`, or `save` on what `torchvision.transforms.v2.functional.to_pil_image` makes of a tensor.
"""

from mmmc.draw.assignment import positives
from mmmc.draw.colors import class_colors
from mmmc.draw.curves import curves
from mmmc.draw.cutout import cutout
from mmmc.draw.dataset import label_map
from mmmc.draw.loss import loss_maps
from mmmc.draw.measures import confusion_matrix, precision_and_f1
from mmmc.draw.pictures import comparison, detections, mosaic, objects
from mmmc.draw.side_by_side import side_by_side
from mmmc.draw.spread import spread

__all__ = [
    "class_colors",
    "comparison",
    "confusion_matrix",
    "curves",
    "cutout",
    "detections",
    "label_map",
    "loss_maps",
    "mosaic",
    "objects",
    "positives",
    "precision_and_f1",
    "side_by_side",
    "spread",
]
