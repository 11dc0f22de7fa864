"""The losses of bags written again, slowly: loops over objects and points, probabilities in place of logits.

Tensors without an axis, so that their gradients can be compared as well.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import box_iou, generalized_box_iou_loss

from mmmc.criterion import BagCriterion
from mmmc.structures import IGNORED, Assignment, Points, Prediction, Target


def slow_losses(
    rule: BagCriterion, points: Points, prediction: Prediction, target: Target, assignment: Assignment
) -> tuple[Tensor, Tensor]:
    """Sums of the two terms of one picture."""
    probability, boxes = prediction.logits[0].sigmoid(), prediction.boxes[0]
    truth = target.boxes.to(boxes.dtype)
    assert assignment.pairs is not None
    zero = 0 * probability.sum()
    bag_sum, background_sum = zero, zero
    for m, label in enumerate(target.labels.tolist()):
        match, weight = [], []
        for p in range(len(points)):
            if assignment.pairs[0, m, p] > 0:
                loss = rule.box_factor * generalized_box_iou_loss(boxes[p], truth[m], eps=0)
                value = probability[p, label] * torch.exp(-loss)
                match.append(value)
                weight.append(1 / (1 - value))
        if match:
            total = torch.stack(weight).sum()
            mean = torch.stack([w / total * v for w, v in zip(weight, match, strict=True)]).sum()
            bag_sum = bag_sum - rule.alpha * torch.log(mean)

    height, width = target.size
    seen = [
        p for p, (x, y) in enumerate(points.xy.tolist()) if x < width and y < height and assignment.gt[0, p] != IGNORED
    ]
    overlap = box_iou(boxes.detach(), truth).tolist()
    for p in range(len(points)):
        if assignment.gt[0, p] == IGNORED:
            continue
        for c in range(probability.shape[1]):
            belongs = 0.0
            for m, label in enumerate(target.labels.tolist()):
                best = max(overlap[q][m] for q in seen)
                if label == c and p in seen and overlap[p][m] > rule.threshold:
                    belongs = max(belongs, (overlap[p][m] - rule.threshold) / (best - rule.threshold))
            q = probability[p, c] * (1 - belongs)
            background_sum = background_sum - (1 - rule.alpha) * q**rule.gamma * torch.log(1 - q)
    return bag_sum, background_sum
