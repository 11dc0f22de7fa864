"""torchvision's FCOS with a ResNet-50, by the names of our detector."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mmmc.errors import InputError
from mmmc.model.fpn import PYRAMID_STRIDES

PREFIXES = {
    "backbone.body.": "backbone.trunk.",
    "backbone.fpn.": "fpn.pyramid.",
    "head.classification_head.conv.": "head.class_tower.",
    "head.classification_head.cls_logits.": "head.class_logits.",
    "head.regression_head.conv.": "head.box_tower.",
    "head.regression_head.bbox_reg.": "head.box_distances.",
    "head.regression_head.bbox_ctrness.": "head.box_quality.",
}
"""Theirs to ours."""


def from_torchvision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of `torchvision.models.detection.fcos_resnet50_fpn` as that of a `Detector` with a `resnet50`.

    Tensors are shared, not copied, and those of the class logits keep their rows: torchvision's COCO-trained file
    has 91, one for each COCO id. Its head has no scales per level, which is the same as ours at 1. The numbers of
    batches that BatchNorm has seen are left out: a frozen one has none.

    The distances are learned from points at `i · stride`, ours lie at `(i + 0.5) · stride`.

    Raises:
        InputError: a name that this model does not have, or none at all of one of its parts.
    """
    ours = {}
    for name, value in state.items():
        prefix = next((prefix for prefix in PREFIXES if name.startswith(prefix)), None)
        if prefix is None:
            raise InputError(
                f"{name!r} is no tensor of torchvision's FCOS; its names begin with {', '.join(PREFIXES)}."
            )
        if not name.endswith(".num_batches_tracked"):
            ours[PREFIXES[prefix] + name.removeprefix(prefix)] = value
    missing = [theirs for theirs, prefix in PREFIXES.items() if not any(name.startswith(prefix) for name in ours)]
    if missing:
        raise InputError(f"This is not the state of torchvision's FCOS: nothing in it begins with {missing[0]!r}.")
    like = ours["head.box_distances.weight"]
    ours["head.scales"] = torch.ones(len(PYRAMID_STRIDES), dtype=like.dtype, device=like.device)
    return ours
