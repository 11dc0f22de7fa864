"""A detector that is called as torchvision's detectors are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from mmmc.assign import FCOS, Assigner
from mmmc.criterion import Criterion
from mmmc.data.batching import padded
from mmmc.errors import InputError
from mmmc.model import Detector
from mmmc.postprocess import Postprocess
from mmmc.structures import Points, Prediction, Target
from mmmc.torchvision.losses import LOSSES, losses_by_name

DIVISOR = 32
"""Sides of a batch are multiples of it."""


class TorchvisionModel(nn.Module):
    """A `Detector` as torchvision's models are called: `model(images, targets)`.

    Pictures are a list of `3 H W`, floating point in 0..1, of any sizes. In training a dictionary of losses comes back,
    otherwise one for each picture: `boxes` (`N 4`, `x1 y1 x2 y2` in its pixels), `scores`, `labels`, best score first.
    A target has `boxes` and `labels`, and may have `iscrowd`: regions of 1 are taken out of the losses. Labels are
    those of the targets, 0 to below the detector's number of classes; who counts classes from 1, as torchvision's
    documents do, builds it with one more.

    All arguments but the detector are attributes that may be changed at any time, such as the assigner after a few
    epochs.

    Args:
        detector: the network. A part that only training has (`model.part`) needs `mmmc train`.
        assigner: which point answers for which object.
        criterion: the losses; torchvision's by default.
        min_size: shorter side that pictures are brought to; of several, training takes one at random and prediction the
            last.
        max_size: the longer side is at most this.
        size_divisible: sides of a batch are multiples of it, and it is one of 32.
        fixed_size: width and height of all pictures, instead.
        score_thresh: least score.
        nms_thresh: IoU above which the lower-scored box of a class goes.
        detections_per_img: boxes of a picture.
        topk_candidates: boxes of each level before suppression.
        score: the square root of class probability times quality, as torchvision has it, or the class probability.
        point_offset: where in its cell a point lies, in strides: 0.5 in its middle; 0, as torchvision's, for weights
            that were trained there.
        _skip_resize: training pictures keep their size, as torchvision's reference scripts ask for with some
            augmentation.
    """

    def __init__(
        self,
        detector: Detector,
        *,
        assigner: Assigner | None = None,
        criterion: Criterion = LOSSES,
        min_size: int | Sequence[int] = 800,
        max_size: int = 1333,
        size_divisible: int = DIVISOR,
        fixed_size: tuple[int, int] | None = None,
        score_thresh: float = 0.2,
        nms_thresh: float = 0.6,
        detections_per_img: int = 100,
        topk_candidates: int = 1000,
        score: Literal["quality", "class"] = "quality",
        point_offset: float = 0.5,
        _skip_resize: bool = False,
    ) -> None:
        super().__init__()
        if detector.part is not None:
            raise InputError("The detector has a part that only training has; allowed: none, or `mmmc train`.")
        if size_divisible < 1 or size_divisible % DIVISOR:
            raise InputError(f"size_divisible is {size_divisible}; allowed: a multiple of {DIVISOR}.")
        self.detector = detector
        self.assigner = FCOS() if assigner is None else assigner
        self.criterion = criterion
        mean, std = (
            value.flatten() / 255 for value in (detector.backbone.normalize.mean, detector.backbone.normalize.std)
        )
        self.transform = GeneralizedRCNNTransform(
            min_size,
            max_size,
            mean.tolist(),
            std.tolist(),
            size_divisible,
            fixed_size,
            _skip_resize=_skip_resize,
        )
        self.score_thresh = score_thresh
        self.nms_thresh = nms_thresh
        self.detections_per_img = detections_per_img
        self.topk_candidates = topk_candidates
        self.score = score
        self.point_offset = point_offset
        self._postprocess()  # says what is wrong with the numbers

    def forward(
        self, images: Sequence[Tensor], targets: Sequence[Mapping[str, Tensor]] | None = None
    ) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        """Losses in training, detections otherwise; then targets are not looked at.

        Raises:
            InputError: pictures or targets of other forms, a box without area; names its place in the list.
        """
        if not self.training:
            targets = None
        elif targets is None or len(targets) != len(images):
            given = "None" if targets is None else f"{len(targets)} for {len(images)} pictures"
            raise InputError(f"targets are {given}, in training; allowed: a dictionary for each picture.")
        resized, known = [], []
        for index, image in enumerate(images):
            picture, target = self._resized(image, None if targets is None else targets[index], index)
            resized.append(picture)
            known.append(target)
        points, prediction = self._moved(*self.detector(self._padded(resized)))
        if targets is not None:
            return losses_by_name(points, prediction, known, self.assigner, self.criterion)
        # Theirs compares the score, ours the class probability.
        found = [(one, one.scores > self.score_thresh) for one in self._postprocess()(points, prediction, known)]
        return [
            {"boxes": one.boxes[keep], "scores": one.scores[keep], "labels": one.labels[keep]} for one, keep in found
        ]

    def _postprocess(self) -> Postprocess:
        """Lets everything through that may have the score: as the square root of a product with at most 1, it is
        above a threshold only where the class probability is above the threshold's square."""
        least = self.score_thresh**2 if self.score == "quality" else self.score_thresh
        return Postprocess(self.score, least, self.topk_candidates, self.nms_thresh, self.detections_per_img)

    def _resized(self, image: Tensor, given: Mapping[str, Tensor] | None, index: int) -> tuple[Tensor, Target]:
        """A picture at its size in the batch, and what is known of it."""
        if not isinstance(image, Tensor) or image.dim() != 3 or len(image) != 3 or not image.is_floating_point():
            form = f"{tuple(image.shape)} and {image.dtype}" if isinstance(image, Tensor) else type(image).__name__
            raise InputError(f"images[{index}] is of {form}; allowed: a tensor 3 × H × W, floating point in 0..1.")
        height, width = image.shape[1], image.shape[2]
        if given is None:
            boxes, labels = image.new_zeros(0, 4), torch.zeros(0, dtype=torch.long, device=image.device)
        elif "boxes" not in given or "labels" not in given:
            raise InputError(f"targets[{index}] has {', '.join(given) or 'nothing'}; allowed: at least boxes, labels.")
        else:
            boxes, labels = given["boxes"].to(image.dtype), given["labels"]
            self._require(boxes, labels, index)
        picture, resized = self.transform.resize(image, {"boxes": boxes})
        crowd = torch.zeros_like(labels, dtype=torch.bool)
        if given is not None and "iscrowd" in given:
            crowd = given["iscrowd"].bool()
        size = (picture.shape[1], picture.shape[2])
        target = Target(
            boxes=resized["boxes"][~crowd],
            labels=labels[~crowd],
            crowd=resized["boxes"][crowd],
            image_id=index,
            size=size,
            original_size=(height, width),
            scale=(size[1] / width, size[0] / height),
        )
        return picture, target

    def _require(self, boxes: Tensor, labels: Tensor, index: int) -> None:
        """Raise if these are no objects of a picture; waits for the device, as torchvision's models do."""
        if boxes.dim() != 2 or boxes.shape[1] != 4 or labels.shape != boxes.shape[:1]:
            raise InputError(
                f"targets[{index}]: boxes are of {tuple(boxes.shape)} and labels of {tuple(labels.shape)}; "
                "allowed: M × 4 and M."
            )
        classes = self.detector.head.class_logits.out_channels
        good = boxes.isfinite().all(dim=1) & (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
        if not (good & (labels >= 0) & (labels < classes)).all():
            wrong = int((~(good & (labels >= 0) & (labels < classes))).nonzero()[0])
            raise InputError(
                f"targets[{index}], object {wrong}: box {boxes[wrong].tolist()}, label {int(labels[wrong])}; "
                f"allowed: x1 < x2 and y1 < y2, finite, and labels 0 to {classes - 1}."
            )

    def _padded(self, pictures: Sequence[Tensor]) -> Tensor:
        """One batch in 0..255, padded right and bottom with the colour that becomes zero."""
        height, width = (
            padded(max(picture.shape[axis] for picture in pictures), self.transform.size_divisible) for axis in (1, 2)
        )
        images = self.detector.backbone.normalize.mean.expand(len(pictures), 3, height, width).clone()
        for place, picture in zip(images, pictures, strict=True):
            place[:, : picture.shape[1], : picture.shape[2]] = 255 * picture
        return images

    def _moved(self, points: Points, prediction: Prediction) -> tuple[Points, Prediction]:
        """Points and boxes from the middle of the cells to where `point_offset` has them."""
        if self.point_offset == 0.5:
            return points, prediction
        shift = (self.point_offset - 0.5) * points.stride[:, None]
        return replace(points, xy=points.xy + shift), replace(prediction, boxes=prediction.boxes + shift)
