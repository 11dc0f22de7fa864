"""What goes into a file: from pictures of one size to detections, without a branch on any value.

`Letterbox` and `Network` are `mmmc.data.transforms.Resize`, `mmmc.data.batching` and `mmmc.postprocess` once more, in a
form that has a graph; tests hold them equal.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad
from torchvision.ops import batched_nms

from mmmc.data.batching import padded
from mmmc.data.transforms import Resize
from mmmc.model import Detector
from mmmc.model.rfa import DeformableConv
from mmmc.postprocess import Postprocess
from mmmc.predictor import DIVISOR, Predictor

GONE = -1.0
"""Score of what is no detection; a score is at least 0."""


class Letterbox(nn.Module):
    """Pictures of one size as the detector takes them: resized as in evaluation, padded right and bottom.

    Args:
        resize: the new size.
        colour: of the padding, RGB.
    """

    colour: Tensor

    def __init__(self, resize: Resize, colour: tuple[int, int, int]) -> None:
        super().__init__()
        self.resize = resize
        self.register_buffer("colour", torch.tensor(colour, dtype=torch.float32).view(3, 1, 1))

    def forward(
        self, pictures: UInt8[Tensor, "B height width 3"]
    ) -> tuple[UInt8[Tensor, "B 3 H W"], Int[Tensor, "2"], Int[Tensor, "2"]]:
        """The padded pictures; height and width that a picture has among them, and that it had before."""
        height, width = pictures.shape[1], pictures.shape[2]
        new_height, new_width = self.resize.size(height, width)
        # In whole numbers, as the resize of training: float32 would round once at the end instead of after each axis.
        images = interpolate(pictures.permute(0, 3, 1, 2), (new_height, new_width), mode="bilinear", antialias=True)
        right, bottom = padded(new_width, DIVISOR) - new_width, padded(new_height, DIVISOR) - new_height
        images = pad(images.float() - self.colour, (0, right, 0, bottom)) + self.colour
        return images.to(torch.uint8), _pair(new_height, new_width), _pair(height, width)


class Network(nn.Module):
    """The detector and all of `Postprocess`.

    Args:
        detector: the detector; its RFA must compute by torchvision's operator.
        postprocess: its thresholds.
    """

    def __init__(self, detector: Detector, postprocess: Postprocess) -> None:
        super().__init__()
        self.detector = detector
        self.postprocess = postprocess

    def forward(
        self, images: UInt8[Tensor, "B 3 H W"], size: Int[Tensor, "2"], original: Int[Tensor, "2"]
    ) -> tuple[Float[Tensor, "B D 4"], Float[Tensor, "B D"], Int[Tensor, "B D"], Int[Tensor, " B"]]:
        """Detections of each picture, best first, in pixels of the pictures as they came, and how many there are.

        Args:
            images: resized and padded.
            size: height and width that every picture has among them.
            original: height and width that it had before.
        """
        rule = self.postprocess
        points, prediction = self.detector(images)
        within = (points.xy[:, 0] < size[1]) & (points.xy[:, 1] < size[0])
        probability = prediction.logits.sigmoid() * within[:, None]
        scores = probability
        if rule.score == "quality":
            scores = (probability * prediction.quality.sigmoid()[..., None]).sqrt()
        scores = scores.where((probability > rule.threshold) & scores.isfinite(), GONE)

        sizes, classes = [height * width for height, width in points.shapes], scores.shape[2]
        best, labels, boxes = [], [], []
        for level_scores, level_boxes in zip(scores.split(sizes, 1), prediction.boxes.split(sizes, 1), strict=True):
            # Filled up, so that as many are taken of each level of each picture: a graph with fixed sizes is simpler.
            values, order = pad(level_scores.flatten(1), (0, rule.per_level), value=GONE).topk(rule.per_level)
            best.append(values)
            labels.append(order % classes)
            boxes.append(_rows(level_boxes, (order // classes).clamp(max=level_boxes.shape[1] - 1)))
        limit = size.flip(0).repeat(2).float()  # width, height, width, height
        found, score, label = torch.cat(boxes, 1).clamp(min=0).minimum(limit), torch.cat(best, 1), torch.cat(labels, 1)

        keep = suppress(found, score, label, classes, rule.nms, rule.detections)
        kept = score.where(keep, GONE)
        score, order = kept.topk(min(rule.detections, rule.per_level * len(sizes)))
        there = score > GONE
        old = original.flip(0).repeat(2).float()
        found = (_rows(found, order) / (limit / old)).minimum(old)
        label = label.gather(1, order)
        return found.where(there[..., None], 0.0), score.where(there, 0.0), label.where(there, 0), there.sum(1)


def network(predictor: Predictor) -> Network:
    """The predictor's network, copied to the CPU in float32, without what only training has."""
    detector = deepcopy(predictor.detector).cpu().float()
    detector.part = None
    for module in detector.modules():
        if isinstance(module, DeformableConv):
            module.backend = "torchvision"
    return Network(detector, predictor.recipe.postprocess).eval()


def letterbox(predictor: Predictor) -> Letterbox:
    """What the predictor does to a picture before its network."""
    return Letterbox(predictor.recipe.resize, predictor.detector.backbone.normalize.padding).eval()


# An operator of its own, because no graph of PyTorch's says "for each picture": each format names its own instead.
@torch.library.custom_op(
    "mmmc::suppress",
    mutates_args=(),
    schema="(Tensor boxes, Tensor scores, Tensor labels, int classes, float iou, int most) -> Tensor",
)
def suppress(
    boxes: Float[Tensor, "B K 4"],
    scores: Float[Tensor, "B K"],
    labels: Int[Tensor, "B K"],
    classes: int,  # noqa: ARG001 - a graph asks for it
    iou: float,
    most: int,  # noqa: ARG001 - a graph may stop there
) -> Bool[Tensor, "B K"]:
    """Which boxes non-maximum suppression leaves in each picture, class by class; at least the best `most` of each.

    Args:
        boxes: candidates.
        scores: of the candidates; `GONE` is none.
        labels: of the candidates, below `classes`.
        classes: number of classes.
        iou: above which the lower-scored box of a class goes.
        most: boxes of a class that are wanted.
    """
    keep = torch.zeros_like(scores, dtype=torch.bool)
    for index in range(len(scores)):
        there = (scores[index] > GONE).nonzero()[:, 0]
        left = batched_nms(boxes[index, there], scores[index, there], labels[index, there], iou)
        keep[index, there[left]] = True
    return keep


@suppress.register_fake
def _(boxes: Tensor, scores: Tensor, labels: Tensor, classes: int, iou: float, most: int) -> Tensor:  # noqa: ARG001
    return torch.empty_like(scores, dtype=torch.bool)


def _rows(values: Float[Tensor, "B P 4"], index: Int[Tensor, "B K"]) -> Float[Tensor, "B K 4"]:
    return values.gather(1, index[..., None].expand(-1, -1, 4))


def _pair(height: int, width: int) -> Int[Tensor, "2"]:
    return torch.cat([torch.full((1,), side, dtype=torch.long) for side in (height, width)])
