"""The detector that `fcos_resnet50_fpn` builds, from our parts."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from torch import Tensor
from torchvision.models import ResNet50_Weights, WeightsEnum
from torchvision.models.detection import FCOS_ResNet50_FPN_Weights

from mmmc.assign import FCOS, Assigner
from mmmc.criterion import Criterion
from mmmc.errors import InputError
from mmmc.model import Detector, ModelConfig
from mmmc.model.backbone import Normalize
from mmmc.model.torchvision_fcos import from_torchvision
from mmmc.model.weights import Normalization
from mmmc.torchvision.losses import LOSSES
from mmmc.torchvision.model import TorchvisionModel

LAYERS = 5
"""What torchvision counts of a ResNet: four layers and the stem."""

RADIUS = 1.5


def fcos(
    *,
    weights: FCOS_ResNet50_FPN_Weights | str | None = None,
    progress: bool = True,
    num_classes: int | None = None,
    weights_backbone: ResNet50_Weights | str | None = ResNet50_Weights.IMAGENET1K_V1,
    trainable_backbone_layers: int | None = None,
    download: bool = False,
    assigner: Assigner | None = None,
    criterion: Criterion = LOSSES,
    model: ModelConfig | None = None,
    image_mean: Sequence[float] | None = None,
    image_std: Sequence[float] | None = None,
    center_sampling_radius: float = RADIUS,
    anchor_generator: object = None,
    head: object = None,
    **options: Any,
) -> TorchvisionModel:
    """A detector with a ResNet-50, called like `torchvision.models.detection.fcos_resnet50_fpn`.

    Left as it is, it is torchvision's FCOS, but for points that lie in the middle of their cells. With COCO weights
    they lie in the corners, where torchvision has trained them.

    Args:
        weights: torchvision's COCO weights, such as `"DEFAULT"`.
        progress: show one while a file is fetched.
        num_classes: with the one that torchvision keeps for the background, so classes counted from 1 need one more.
        weights_backbone: torchvision's ImageNet weights.
        trainable_backbone_layers: layers of the backbone that are trained, counted from the last, 0 to 5.
        download: permit what is not on this machine to be fetched. Without, only files that are there are read.
        assigner: which point answers for which object; FCOS's rule by default.
        criterion: the losses; torchvision's by default.
        model: what torchvision has no argument for, such as RFA. Weights, stages and norms that are not trained follow
            from the other arguments.
        image_mean: of each channel in 0..1; that of the weights by default.
        image_std: of each channel in 0..1; that of the weights by default.
        center_sampling_radius: of FCOS's rule, in strides.
        anchor_generator: None; points are ours.
        head: None; ours.
        options: of `TorchvisionModel`, where torchvision has the same: `min_size`, `max_size`, `score_thresh`,
            `nms_thresh`, `detections_per_img`, `topk_candidates`, `fixed_size`, `size_divisible`.

    Raises:
        InputError: weights that are not on this machine and were not asked for, or an option that cannot be used.
    """
    for name, value in (("anchor_generator", anchor_generator), ("head", head)):
        if value is not None:
            raise InputError(f"{name} is a {type(value).__name__}; allowed: None. `model` and `assigner` decide that.")
    if assigner is not None and center_sampling_radius != RADIUS:
        raise InputError("assigner and center_sampling_radius are given; allowed: one of them.")
    model = ModelConfig() if model is None else model
    if model.backbone.partition(".")[0] != "resnet50":  # what follows names a training of it
        raise InputError(f"model.backbone is {model.backbone!r}; allowed: 'resnet50'. Others: TorchvisionModel.")
    trained, imagenet = _known(FCOS_ResNet50_FPN_Weights, weights), _known(ResNet50_Weights, weights_backbone)
    if trained is not None:
        imagenet = None
        found = len(trained.meta["categories"])
        if num_classes not in (None, found):
            raise InputError(f"num_classes is {num_classes}; allowed with weights: {found}.")
        num_classes = found
    for name, colours in (("image_mean", image_mean), ("image_std", image_std)):
        if colours is not None and (len(colours) != 3 or (name == "image_std" and min(colours) <= 0)):
            raise InputError(f"{name} is {colours}; allowed: three numbers, deviations above 0.")
    pretrained = trained is not None or imagenet is not None
    config = replace(
        model,
        weights="none" if imagenet is None else str(file_of(imagenet, download=download, progress=progress)),
        frozen_stages=LAYERS - _trained_layers(trainable_backbone_layers, pretrained),
        frozen_norm=pretrained,
    )
    detector = Detector(config, 91 if num_classes is None else num_classes)
    if trained is not None:
        file = file_of(trained, download=download, progress=progress)
        state = from_torchvision(torch.load(file, map_location="cpu", weights_only=True))
        try:
            detector.load_state_dict(state)
        except RuntimeError as error:
            raise InputError(f"{file} does not fit the model that is asked for: {error}") from error
    known = detector.backbone.normalize
    detector.backbone.normalize = Normalize(
        Normalization(_scaled(image_mean, known.mean), _scaled(image_std, known.std))
    )
    return TorchvisionModel(
        detector,
        assigner=FCOS(center_radius=center_sampling_radius) if assigner is None else assigner,
        criterion=criterion,
        point_offset=0.5 if trained is None else 0.0,
        **options,
    )


def file_of(weights: WeightsEnum, *, download: bool, progress: bool) -> Path:
    """The file of torchvision's weights in PyTorch's cache.

    Raises:
        InputError: it is not there, and may not be fetched or cannot be.
    """
    file = Path(torch.hub.get_dir(), "checkpoints", Path(urlparse(weights.url).path).name)
    if not file.is_file():
        if not download:
            raise InputError(
                f"{weights} are not on this machine: there is no {file}. Permit a download by download=True, or ask "
                "for random weights by weights=None, weights_backbone=None."
            )
        try:
            weights.get_state_dict(progress=progress, check_hash=True)
        except OSError as error:
            raise InputError(f"{weights.url} could not be had: {error}.") from error
    return file


def _known(kind: type[WeightsEnum], asked: WeightsEnum | str | None) -> WeightsEnum | None:
    """The weights of this name."""
    try:
        return kind.verify(asked)
    except (KeyError, TypeError):
        names = ", ".join(kind.__members__)
        raise InputError(f"{kind.__name__} are {asked!r}; allowed: None, DEFAULT, {names}.") from None


def _trained_layers(asked: int | None, pretrained: bool) -> int:
    """How many are trained, by torchvision's rule."""
    if asked is not None and not 0 <= asked <= LAYERS:
        raise InputError(f"trainable_backbone_layers is {asked}; allowed: 0 to {LAYERS}.")
    if not pretrained:
        if asked not in (None, LAYERS):
            warnings.warn(
                f"trainable_backbone_layers is {asked}, but the weights are random: all layers are trained.",
                stacklevel=3,
            )
        return LAYERS
    return 3 if asked is None else asked


def _scaled(given: Sequence[float] | None, own: Tensor) -> tuple[float, float, float]:
    """What is given in 0..1, in 0..255; the own if nothing is given."""
    red, green, blue = own.flatten().tolist() if given is None else (255 * value for value in given)
    return red, green, blue
