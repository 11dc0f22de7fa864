"""What every object of a batch would cost at every point, for rules that look at the prediction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import softplus
from torch.nn.utils.rnn import pad_sequence

from mmmc.assign.shared.claims import AT_ONCE
from mmmc.assign.shared.rules import at_hand
from mmmc.boxes import area, paired_giou, paired_iou
from mmmc.structures import Points, Prediction, Target

ClassLoss = Literal["focal", "focal_gt_only", "bce"]


@dataclass(frozen=True)
class Objects:
    """The objects of a batch side by side, each picture filled up to the largest number; `M` counts with fillers.

    Attributes:
        boxes: in pixels; a filler's holds no point.
        labels: class indices.
        in_box: whether a point of the picture, not of its padding, lies strictly inside the box.
        counts: objects of each picture.
    """

    boxes: Float[Tensor, "B M 4"]
    labels: Int[Tensor, "B M"]
    in_box: Bool[Tensor, "B M P"]
    counts: tuple[int, ...]

    def per_picture(self, values: Tensor) -> list[Tensor]:
        """Cut `B M …` into one tensor per picture, without the fillers."""
        return [row[:count] for row, count in zip(values, self.counts, strict=True)]

    def with_each(self, boxes: Float[Tensor, "B P 4"]) -> tuple[Float[Tensor, "B M P 4"], Float[Tensor, "B M P 4"]]:
        """The predicted and the true box of every pair; views, not copies."""
        predicted = boxes[:, None].expand(-1, self.boxes.shape[1], -1, -1)
        return predicted, self.boxes[:, :, None].expand_as(predicted)

    def in_turn(self) -> Iterator[tuple[slice, Objects]]:
        """Some objects of each picture at a time, and which, so that what is computed of all their pairs stays small.

        Where there are none at all, none come once.
        """
        for first in range(0, max(self.boxes.shape[1], 1), AT_ONCE):
            some = slice(first, first + AT_ONCE)
            counts = tuple(min(max(count - first, 0), AT_ONCE) for count in self.counts)
            yield some, Objects(self.boxes[:, some], self.labels[:, some], self.in_box[:, some], counts)


def gather_objects(points: Points, targets: Sequence[Target], dtype: torch.dtype) -> Objects:
    """The objects of a batch and the points inside each."""
    xy = points.xy.to(dtype)
    boxes = pad_sequence([target.boxes for target in targets], batch_first=True).to(dtype)
    within = torch.stack([points.within(target.size) for target in targets])
    x, y = xy.unbind(1)
    x1, y1, x2, y2 = boxes[..., None].unbind(2)
    return Objects(
        boxes=boxes,
        labels=pad_sequence([target.labels for target in targets], batch_first=True),
        in_box=(x > x1) & (x < x2) & (y > y1) & (y < y2) & within[:, None],
        counts=tuple(len(target.labels) for target in targets),
    )


@dataclass(frozen=True)
class PairLosses:
    """Both tasks' losses of every pair of object and point.

    Attributes:
        cls: class loss.
        reg: box loss.
    """

    cls: Float[Tensor, "B M P"]
    reg: Float[Tensor, "B M P"]

    @property
    def total(self) -> Float[Tensor, "B M P"]:
        """Their sum, by which points and levels are compared (Eqs. 5 and 6)."""
        return self.cls + self.reg

    def finite(self, admitted: Bool[Tensor, "B M P"]) -> Bool[Tensor, "B M P"]:
        """The admitted pairs both of whose losses are finite."""
        return admitted if self._seen_finite else admitted & self.total.isfinite()

    def wrong(self, admitted: Bool[Tensor, "B M P"]) -> dict[str, Bool[Tensor, "B M"]]:
        """By the name of a loss, which objects meet one that is not finite among their admitted points."""
        named = {"class": self.cls, "box": self.reg}
        if self._seen_finite:
            return {name: admitted.new_zeros(admitted.shape[:2]) for name in named}
        return {name: (admitted & ~values.isfinite()).any(dim=2) for name, values in named.items()}

    @property
    def _seen_finite(self) -> bool:
        """Whether the host sees that all are finite: then so is their sum, which is found much sooner."""
        return at_hand(self.cls) and bool(self.total.sum().isfinite())


def join_wrong(parts: Sequence[Mapping[str, Bool[Tensor, "B _"]]]) -> dict[str, Bool[Tensor, "B M"]]:
    """What `PairLosses.wrong` says of the objects of all parts."""
    return {name: torch.cat([part[name] for part in parts], dim=1) for name in parts[0]}


def pair_losses(
    points: Points,
    prediction: Prediction,
    *,
    class_loss: ClassLoss = "focal",
    iou_smooth: float = 0.0,
    lambda_reg: float = 1.0,
) -> Callable[[Objects, Bool[Tensor, "B M P"]], PairLosses]:
    """Losses of each point if it answered for each of some objects.

    What does not depend on the objects is computed once (memory `P·C`); a call then needs `P·M` for its objects. It
    takes the objects and the pairs that are looked at; of all others the losses are arbitrary finite numbers.

    Args:
        points: of the batch.
        prediction: of the batch, in at least float32.
        class_loss: as `class_table`.
        iou_smooth: added to intersection and union in square strides; 1 is what the authors' code does.
        lambda_reg: factor on the box loss, which is 1 − GIoU.
    """
    table = class_table(prediction.logits, class_loss)

    def box_losses(predicted: Float[Tensor, "*shape 4"], truth: Float[Tensor, "*shape 4"], stride: Tensor) -> Tensor:
        losses = 1 - paired_giou(predicted, truth)
        if iou_smooth:
            losses = losses + paired_iou(predicted, truth) - _smooth_iou(predicted, truth, stride, iou_smooth)
        return lambda_reg * losses

    def of(objects: Objects, looked_at: Bool[Tensor, "B M P"]) -> PairLosses:
        if at_hand(looked_at):
            # A few percent of the pairs; how many is known to the host without waiting.
            picture, member, point = looked_at.nonzero(as_tuple=True)
            few = box_losses(prediction.boxes[picture, point], objects.boxes[picture, member], points.stride[point])
            reg = few.new_zeros(looked_at.shape).index_put_((picture, member, point), few)
        else:
            reg = box_losses(*objects.with_each(prediction.boxes), points.stride)
        return PairLosses(of_labels(table, objects.labels), reg)

    return of


def class_losses(
    logits: Float[Tensor, "B P C"],
    labels: Int[Tensor, "B M"],
    kind: ClassLoss = "focal",
    *,
    alpha: float = 0.25,
    gamma: float = 2.0,
) -> Float[Tensor, "B M P"]:
    """Class loss of each point if it answered for an object of this label.

    Args:
        logits: of the prediction.
        labels: of the objects.
        kind: as `class_table`.
        alpha: as `class_table`.
        gamma: as `class_table`.
    """
    return of_labels(class_table(logits, kind, alpha=alpha, gamma=gamma), labels)


def class_table(
    logits: Float[Tensor, "B P C"], kind: ClassLoss = "focal", *, alpha: float = 0.25, gamma: float = 2.0
) -> Float[Tensor, "B P C"]:
    """Class loss of each point if it answered for an object of each class.

    Args:
        logits: of the prediction.
        kind: `focal` is the focal loss (Lin et al. 2017) summed over all classes, with the object's class as the
            positive one; `focal_gt_only` its term of that class alone; `bce` binary cross-entropy summed over all.
        alpha: focal loss's weight of positives.
        gamma: focal loss's exponent.
    """
    # −log(p) and −log(1 − p) from the logits, without cancellation; the slow logarithm is the same in both.
    rest = (-logits.abs()).exp().log1p()
    positive, negative = (-logits).clamp(min=0) + rest, logits.clamp(min=0) + rest
    if kind != "bce":
        probability = logits.sigmoid()
        positive = alpha * (1 - probability) ** gamma * positive
        negative = (1 - alpha) * probability**gamma * negative
    if kind == "focal_gt_only":
        return positive
    return positive - negative + negative.sum(dim=2, keepdim=True)


def of_labels(values: Float[Tensor, "B P C"], labels: Int[Tensor, "B M"]) -> Float[Tensor, "B M P"]:
    """What each point says of the class of each object."""
    return values.mT.gather(1, labels[:, :, None].expand(-1, -1, values.shape[1]))


def score_table(logits: Float[Tensor, "B P C"], quality: Float[Tensor, "B P"]) -> Float[Tensor, "B P C"]:
    """Cross-entropy of the score sqrt(class probability · quality) if a point answered for an object of each class.

    It is summed over all classes (Ge et al. 2021).

    A logarithm is at least -100, as in PyTorch's loss on probabilities; that loss itself refuses autocast.
    """
    log_score = -(softplus(-logits) + softplus(-quality)[..., None]) / 2
    positive = -log_score.clamp(min=-100)
    negative = -(-log_score.expm1()).log().clamp(min=-100)
    return positive - negative + negative.sum(dim=2, keepdim=True)


def iou_losses(iou: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """-log IoU (Yu et al. 2016), of an IoU of at least 1e-8."""
    return -iou.clamp(min=1e-8).log()


def _smooth_iou(
    first: Float[Tensor, "*shape 4"], second: Float[Tensor, "*shape 4"], stride: Float[Tensor, " P"], smooth: float
) -> Float[Tensor, "*shape"]:
    """IoU with `smooth` square strides added to intersection and union."""
    iou = paired_iou(first, second)
    areas = area(first) + area(second)
    intersection = iou * areas / (1 + iou)
    extra = smooth * stride.to(iou.dtype).square()
    return (intersection + extra) / (areas - intersection + extra)
