"""RT-DETR R18 and D-FINE-N of transformers, from their configurations and random weights, by their authors' settings.

Sizes are those of `rtdetr_r18vd` and `dfine_n_coco`. RT-DETR (configs/rtdetr of its repository): AdamW, rate 1e-4 for
16 pictures, decay 1e-4 but none for norms and biases, gradients clipped at 0.1, averaged weights. D-FINE (its
configuration of N for sets of one's own): AdamW, 8e-4 for 128 pictures, decay 1e-4, a warm-up of 500 steps, the rest
likewise. Both keep their rate to the end. Rates are scaled to the batch by the square root, as for AdamW. Their lower
rates for the backbone are for one that is trained already, so they are left out, and the backbone's BatchNorms train,
as both authors have them. Augmentation is theirs, on squares of 320, not 640.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torchvision.ops import box_convert
from torchvision.transforms import v2

from benchmarks.race import loop
from benchmarks.race.pictures import SIDE, Sample
from benchmarks.race.task import Task, Trained
from mmmc.recipe import OptimizerConfig

if TYPE_CHECKING:
    from transformers import RTDetrImageProcessor

RT_DETR = OptimizerConfig(
    kind="adamw",
    lr=1e-4,
    lr_batch=16,
    weight_decay=1e-4,
    norm_decay=0.0,
    bias_decay=0.0,
    bias_lr=1.0,
    clip=0.1,
    steps=(),
    warmup=0,
)
D_FINE = OptimizerConfig(
    kind="adamw",
    lr=8e-4,
    lr_batch=128,
    weight_decay=1e-4,
    norm_decay=0.0,
    bias_decay=0.0,
    bias_lr=1.0,
    clip=0.1,
    steps=(),
    warmup=500,
    warmup_factor=0.0021,
    warmup_kind="linear",
)
NORMS_TRAIN = {"freeze_backbone_batch_norms": False}
"""By default transformers fixes them, for its pretrained backbones. At random weights their statistics are those of no
data, and what the backbone sees is lost on the way through it."""


def train(variant: str, task: Task) -> Trained:
    """Train one of the two."""
    return loop.train(method(variant), task)


def settings(variant: str) -> Mapping[str, Any]:
    """What decides the training of one of the two, told where transformers is not installed, too."""
    return loop.settings(method(variant))


def method(variant: str) -> loop.Method:
    """The method of a name: `rt-detr` or `d-fine`."""
    augment = [
        v2.RandomPhotometricDistort(p=0.5),
        v2.RandomZoomOut(fill=0),
        # torchvision's transform has no probability of its own.
        v2.RandomApply([v2.RandomIoUCrop()], p=0.8),
        v2.SanitizeBoundingBoxes(min_size=1),
        v2.RandomHorizontalFlip(),
        v2.Resize((SIDE, SIDE)),
        v2.SanitizeBoundingBoxes(min_size=1),
    ]
    known = variant == "rt-detr"
    return loop.Method(
        build=rt_detr if known else d_fine,
        loss=loss,
        detect=detect,
        augment=v2.Compose(augment),
        batch=8,
        optimizer=RT_DETR if known else D_FINE,
        size=f"{SIDE} × {SIDE}",
        source="lyuwenyu/RT-DETR, rtdetr_r18vd_6x_coco"
        if known
        else "Peterande/D-FINE, configs/dfine/custom, dfine_hgnetv2_n_custom",
        ema=0.9999,
        packages=("torch", "torchvision", "transformers"),
    )


def rt_detr(classes: int) -> nn.Module:
    """RT-DETR with ResNet-18."""
    from transformers import RTDetrConfig, RTDetrForObjectDetection

    config = RTDetrConfig(
        num_labels=classes,
        encoder_in_channels=[128, 256, 512],
        hidden_expansion=0.5,
        decoder_layers=3,
        **NORMS_TRAIN,
    )
    backbone = config.backbone_config
    backbone.hidden_sizes, backbone.depths, backbone.layer_type = [64, 128, 256, 512], [2, 2, 2, 2], "basic"
    return RTDetrForObjectDetection(config)


def d_fine(classes: int) -> nn.Module:
    """D-FINE with HGNetV2-B0 and two levels, the smallest."""
    from transformers import DFineConfig, DFineForObjectDetection

    config = DFineConfig(
        num_labels=classes,
        num_feature_levels=2,
        encoder_ffn_dim=512,
        encode_proj_layers=[1],
        d_model=128,
        encoder_hidden_dim=128,
        decoder_ffn_dim=512,
        encoder_in_channels=[512, 1024],
        decoder_n_points=[6, 6],
        decoder_in_channels=[128, 128],
        feat_strides=[16, 32],
        depth_mult=0.5,
        decoder_layers=3,
        hidden_expansion=0.34,
        **NORMS_TRAIN,
    )
    for name, value in HGNET_B0.items():
        setattr(config.backbone_config, name, value)
    return DFineForObjectDetection(config)


HGNET_B0 = {
    "hidden_sizes": [128, 256, 512, 1024],
    "stem_channels": [3, 16, 16],
    "stage_in_channels": [16, 64, 256, 512],
    "stage_mid_channels": [16, 32, 64, 128],
    "stage_out_channels": [64, 256, 512, 1024],
    "stage_num_blocks": [1, 1, 2, 1],
    "stage_downsample": [False, True, True, True],
    "stage_light_block": [False, False, True, True],
    "stage_kernel_size": [3, 3, 5, 5],
    "stage_numb_of_layers": [3, 3, 3, 3],
    "out_indices": [3, 4],
    "use_learnable_affine_block": True,
}


def loss(model: nn.Module, batch: list[Sample]) -> Tensor:
    """Its loss; boxes are `cx cy w h` as shares of the picture there."""
    labels = [{"class_labels": one.labels, "boxes": box_convert(one.boxes, "xyxy", "cxcywh") / SIDE} for one in batch]
    return model(pixel_values=torch.stack([one.image for one in batch]) / 255, labels=labels).loss


def detect(model: nn.Module, picture: Tensor) -> loop.Found:
    """What it finds in a picture: all queries, the best class scores of all."""
    pixels = v2.functional.resize(picture, [SIDE, SIDE])[None] / 255
    size = [tuple(picture.shape[1:])]
    found = _processor().post_process_object_detection(model(pixel_values=pixels), threshold=0.0, target_sizes=size)[0]
    return found["boxes"], found["scores"], found["labels"]


@cache
def _processor() -> RTDetrImageProcessor:
    """What reads the answers of both models."""
    from transformers import RTDetrImageProcessor

    return RTDetrImageProcessor()
