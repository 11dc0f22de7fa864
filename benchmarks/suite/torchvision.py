"""Ours against torchvision's FCOS R50: inference with the same weights, training steps on the same batch.

Inference: one picture of 800 × 1333 pixels, from 8-bit (ours) or float (theirs) pixels to detections; threshold 0.05,
1,000 candidates a level, NMS at 0.6, 100 detections. Random weights; the class layer is spread and shifted so that some
100 class scores of the picture pass. Theirs puts the threshold on the score and ours on the class, so the numbers that
pass are not quite equal; how many detections come out is noted. Training: 2 pictures of 512 × 512 pixels with 7 objects
each, the same layers frozen, fused SGD on both sides. bf16 is autocast on both sides. Theirs keeps its usual memory
layout; ours has channels last, as it trains and predicts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torchvision.models.detection import FCOS
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops import FrozenBatchNorm2d
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from benchmarks.detectors import PICTURE, PRECISIONS, Inference, autocast, noise, noise_samples
from benchmarks.result import Row
from benchmarks.setting import Setting
from benchmarks.steps import Step
from benchmarks.timing import Rival, interleaved, timed
from mmmc.data.batching import Sample
from mmmc.model import Detector, ModelConfig
from mmmc.model.torchvision_fcos import from_torchvision
from mmmc.recipe import load_recipe
from mmmc.structures import Batch

PARTS = ("inference", "training")
CLASSES = 80
PASSING = 100
"""Class scores above the threshold in the whole picture; suppression leaves nearly all of them."""

SPREAD = 30.0
"""Standard deviation of the logits: wide enough that few lie between both thresholds."""

THRESHOLD = 0.05
BASE = "torchvision, fp32"


def run(setting: Setting) -> list[Row]:
    """Rows of both parts."""
    parts = {"inference": inference, "training": training}
    return [row for name, part in parts.items() if setting.wants(name) for row in part(setting)]


def inference(setting: Setting) -> list[Row]:
    """Seconds of a picture."""
    size = (64, 96) if setting.tiny else PICTURE
    samples = noise_samples(1, 0, size, CLASSES)
    theirs = like_trained(torchvision_fcos(size).to(setting.device).eval(), samples[0].image)
    ours = same_weights(theirs)
    runs: dict[str, Callable[[], object]] = {}
    for precision in PRECISIONS:
        runs[f"torchvision, {precision}"] = TheirInference(theirs, samples, precision, setting.device)
        runs[f"mmmc, {precision}"] = Inference(ours, samples, precision, setting.device)
    return compared("inference", runs, setting, lambda found: f"{len(found[0])} detections")


def training(setting: Setting) -> list[Row]:
    """Seconds of a step."""
    size = (64, 96) if setting.tiny else (512, 512)
    batch = noise(2, 7, size, CLASSES)
    recipe = load_recipe("fcos_r50_1x", {"model": {"weights": "none"}})
    runs: dict[str, Callable[[], object]] = {}
    for precision in PRECISIONS:
        runs[f"torchvision, {precision}"] = TheirStep(torchvision_fcos(size), batch, precision, setting.device)
        runs[f"mmmc, {precision}"] = Step(recipe, batch, CLASSES, setting.device, precision=precision)
    return compared("training step", runs, setting)


def compared(
    what: str,
    runs: dict[str, Callable[[], object]],
    setting: Setting,
    note: Callable[..., str] = lambda _: "",
) -> list[Row]:
    """Rows of all rivals against torchvision's in float32; those that fail in bf16 are left out with the reason."""
    rivals: dict[str, Rival] = {}
    notes: dict[str, str] = {}
    failed = []
    for name, run in runs.items():
        try:
            notes[name] = note(run())
        except (RuntimeError, NotImplementedError) as error:
            if name == BASE:
                raise
            failed.append(Row(f"{what}, {name}", skipped=f"it ends with {str(error).splitlines()[0]!r}"))
            continue
        rivals[f"{what}, {name}"] = timed(run, setting.device)
    pairs = {name: f"{what}, {BASE}" for name in rivals if not name.endswith(BASE)}
    rows = interleaved(rivals, pairs, setting.effort(warmup=0, seconds=60))
    return [replace(row, note=notes[row.name.removeprefix(f"{what}, ")]) for row in rows] + failed


class TheirInference:
    """From float pictures in memory to the scores of their detections on the CPU."""

    def __init__(self, model: FCOS, samples: list[Sample], precision: str, device: torch.device) -> None:
        self.model, self.precision, self.device = model.eval(), precision, device
        self.pictures = [sample.image / 255 for sample in samples]

    @torch.no_grad()
    def __call__(self) -> list[Tensor]:
        with autocast(self.precision, self.device):
            found = self.model([picture.to(self.device) for picture in self.pictures])
        return [{name: value.cpu() for name, value in one.items()}["scores"] for one in found]


class TheirStep:
    """torchvision's FCOS that takes a training step at each call."""

    def __init__(self, model: FCOS, batch: Batch, precision: str, device: torch.device) -> None:
        self.model, self.precision, self.device = model.to(device).train(), precision, device
        batch = batch.to(device)
        self.pictures = list(batch.images / 255)
        self.targets = [{"boxes": target.boxes, "labels": target.labels} for target in batch.targets]
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.SGD(
            trained, lr=0.01 * len(batch) / 16, momentum=0.9, weight_decay=1e-4, fused=True
        )

    def __call__(self) -> None:
        self.optimizer.zero_grad()
        with autocast(self.precision, self.device):
            losses = self.model(self.pictures, self.targets)
        torch.stack(list(losses.values())).sum().backward()
        self.optimizer.step()


def torchvision_fcos(size: tuple[int, int]) -> FCOS:
    """torchvision's FCOS as it is fine-tuned: frozen BatchNorm, stem and first stage; pictures keep this size."""
    torch.manual_seed(0)
    backbone = resnet_fpn_backbone(
        backbone_name="resnet50",
        weights=None,
        norm_layer=FrozenBatchNorm2d,
        trainable_layers=3,
        returned_layers=[2, 3, 4],
        extra_blocks=LastLevelP6P7(256, 256),
    )
    return FCOS(backbone, CLASSES, min_size=min(size), max_size=max(size), score_thresh=THRESHOLD)


@torch.no_grad()
def like_trained(model: FCOS, picture: Tensor) -> FCOS:
    """The model with boxes a few strides wide, and a class layer by which `PASSING` scores of the picture pass."""
    head = model.head.classification_head
    model.head.regression_head.bbox_reg.bias.fill_(1.0)
    pixels, _ = model.transform([picture.to(head.cls_logits.weight.device) / 255])
    maps = list(model.backbone(pixels.tensors).values())
    head.cls_logits.bias.zero_()
    head.cls_logits.weight *= SPREAD / head(maps).std()
    logits = head(maps).flatten()
    lowest = logits.topk(min(PASSING, len(logits))).values[-1]
    head.cls_logits.bias.fill_(torch.logit(torch.tensor(THRESHOLD)) - lowest)
    return model


def same_weights(theirs: FCOS) -> Detector:
    """Our detector with the weights of torchvision's."""
    device = next(theirs.parameters()).device
    ours = Detector(ModelConfig("resnet50", weights="none"), CLASSES)
    ours.load_state_dict(from_torchvision(theirs.state_dict()))
    return ours.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
