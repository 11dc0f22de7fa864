"""The losses of bags written again, from the published text: loops over objects, points and classes, probabilities in
place of logits, and the weights as they stand, so that their gradients can be compared as well."""

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
    assert assignment.pairs is not None
    pairs, gt = assignment.pairs[0].tolist(), assignment.gt[0].tolist()
    return bags(rule, prediction, target, pairs), background(rule, points, prediction, target, gt)


def bags(rule: BagCriterion, prediction: Prediction, target: Target, pairs: list[list[float]]) -> Tensor:
    probability, boxes = prediction.logits[0].sigmoid(), prediction.boxes[0]
    total = 0 * probability.sum()
    for truth, label, row in zip(target.boxes.to(boxes.dtype), target.labels.tolist(), pairs, strict=True):
        bag = [p for p, weight in enumerate(row) if weight > 0]
        if bag:
            loss = rule.box_factor * generalized_box_iou_loss(boxes[bag], truth.expand(len(bag), 4), eps=0)
            match = probability[bag, label] * torch.exp(-loss)
            weight = 1 / (1 - match)
            total = total - rule.alpha * torch.log((weight / weight.sum() * match).sum())
    return total


def background(rule: BagCriterion, points: Points, prediction: Prediction, target: Target, gt: list[int]) -> Tensor:
    probability, boxes = prediction.logits[0].sigmoid(), prediction.boxes[0].detach()
    (height, width), labels = target.size, target.labels.tolist()
    seen = [p for p, (x, y) in enumerate(points.xy.tolist()) if x < width and y < height and gt[p] != IGNORED]
    overlap = box_iou(boxes, target.boxes.to(boxes.dtype)).tolist()
    best = [max(overlap[p][m] for p in seen) for m in range(len(labels))]
    belongs = [[0.0] * probability.shape[1] for _ in gt]
    for p in seen:
        for m, label in enumerate(labels):
            if overlap[p][m] > rule.threshold:
                share = (overlap[p][m] - rule.threshold) / (best[m] - rule.threshold)
                belongs[p][label] = max(belongs[p][label], share)
    counted = [p for p, owner in enumerate(gt) if owner != IGNORED]
    q = (probability * (1 - torch.tensor(belongs, dtype=boxes.dtype)))[counted]
    return -(1 - rule.alpha) * (q**rule.gamma * torch.log(1 - q)).sum()
