"""Weights to begin with: from torchvision's FCOS, or from a run of ours with other classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torchvision.models.detection import FCOS_ResNet50_FPN_Weights

from mmmc.checkpoint import load_tensors, load_weights, weights_file
from mmmc.data.sets import Categories
from mmmc.errors import InputError
from mmmc.model import Detector, ModelConfig
from mmmc.model.torchvision_fcos import from_torchvision

CLASS_TENSORS = ("head.class_logits.weight", "head.class_logits.bias")
"""Tensors with one row for each class."""

COCO_NAMES = tuple(FCOS_ResNet50_FPN_Weights.COCO_V1.meta["categories"])
"""torchvision's class layer has a row for each COCO id from 0 to 90."""

BOX_BIAS = "head.box_distances.bias"

BOX_LAYER = ("head.box_distances.weight", BOX_BIAS)
"""Tensors with a row for each bin of each side, or for each side."""


QUALITY_LAYER = "head.box_quality."
"""It reads one tower or the other."""


@dataclass(frozen=True)
class InitReport:
    """What became of the file's tensors.

    Attributes:
        source: the file.
        taken: tensors that were taken as they are.
        shifted: tensors that were taken with a change.
        classes: classes whose rows were found by name.
        left: classes and tensors that keep their random start, among them what a method has of its own and the file's
            model did not: offsets of RFA, distances as bins, a part that only training has; and layers whose output is
            read in another way here than there.
    """

    source: Path
    taken: tuple[str, ...]
    shifted: tuple[str, ...]
    classes: tuple[str, ...]
    left: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"{self.source}: {len(self.taken)} tensors taken"]
        if self.shifted:
            lines.append(
                f"shifted by half a stride, because points lie at cell centres here: {', '.join(self.shifted)}"
            )
        if self.classes:
            lines.append(f"rows of the class layer taken by name: {', '.join(self.classes)}")
        if self.left:
            lines.append(f"left as initialised: {', '.join(self.left)}")
        return "; ".join(lines) + "."


def initialize(detector: Detector, model: ModelConfig, path: Path, categories: Categories) -> InitReport:
    """Copy the tensors that fit, class rows by the names of the classes, and say which.

    torchvision's points lie at `i · stride`, ours half a stride further right and down. For the same boxes its
    distances in strides `left top right bottom` change by `+½ +½ −½ −½`, which its bias takes.

    Args:
        detector: gets the tensors.
        model: what it was built by.
        path: a run, its weights, or torchvision's file.
        categories: its classes.

    Raises:
        InputError: the file is neither, or its trunk or head is of another kind.
    """
    file = weights_file(path)
    shifted: tuple[str, ...] = ()
    if file.suffix == ".safetensors":
        weights = load_weights(file)
        theirs, names, read_as = dict(weights.state), weights.categories.names, weights.recipe.model
    else:
        state = load_tensors(file)
        try:
            theirs, names, read_as = from_torchvision(state), COCO_NAMES, ModelConfig()
        except InputError as error:
            raise InputError(f"{file}: {error}") from error
        theirs[BOX_BIAS] = theirs[BOX_BIAS] + torch.tensor([0.5, 0.5, -0.5, -0.5])
        shifted = (BOX_BIAS,)
    ours = detector.state_dict()
    for name, value in ours.items():
        if name.endswith("num_batches_tracked"):  # a frozen BatchNorm has counted none
            theirs.setdefault(name, value)
    own = [
        name
        for name, value in ours.items()
        if _of_the_method(name, value, theirs.get(name)) or _means_another(name, model, read_as)
    ]
    theirs.update({name: ours[name] for name in own})
    shifted = tuple(name for name in shifted if name not in own)
    wrong = [
        name
        for name, value in ours.items()
        if name not in CLASS_TENSORS and (name not in theirs or theirs[name].shape != value.shape)
    ]
    if wrong:
        raise InputError(f"{file} does not fit this model: {wrong[0]} is missing there or has another shape.")
    known = [name for name in categories.names if name in names]
    for tensor in CLASS_TENSORS:
        theirs[tensor] = _rows(ours[tensor], theirs, tensor, categories.names, names)
    detector.load_state_dict({name: theirs[name] for name in ours})
    missing = [f"class {name!r}" for name in categories.names if name not in names]
    taken = tuple(name for name in ours if name not in (*CLASS_TENSORS, *shifted, *own))
    return InitReport(file, taken, shifted, tuple(known), (*missing, *own))


def _of_the_method(name: str, ours: Tensor, theirs: Tensor | None) -> bool:
    """Whether a tensor is one that a method adds and the file's model did without."""
    if theirs is None:
        # With untrained offsets RFA is the convolution that it replaces.
        return ".offset." in name or name.startswith("part.")
    return name in BOX_LAYER and len(ours) != len(theirs) and ours.shape[1:] == theirs.shape[1:]


def _means_another(name: str, ours: ModelConfig, theirs: ModelConfig) -> bool:
    """Whether a tensor of the same shape says something else there."""
    if name in BOX_LAYER:
        return ours.box_form != theirs.box_form
    if name.startswith(QUALITY_LAYER):
        return ours.quality_on != theirs.quality_on
    return ".offset." in name and ours.rfa.mask != theirs.rfa.mask


def _rows(
    own: Tensor, theirs: Mapping[str, Tensor], tensor: str, ours_names: tuple[str, ...], names: tuple[str, ...]
) -> Tensor:
    if tensor not in theirs or theirs[tensor].shape[1:] != own.shape[1:] or len(theirs[tensor]) != len(names):
        raise InputError(f"{tensor} of the file does not fit this model and the names of its {len(names)} classes.")
    rows = own.clone()
    for index, name in enumerate(ours_names):
        if name in names:
            rows[index] = theirs[tensor][names.index(name)].to(rows)
    return rows
