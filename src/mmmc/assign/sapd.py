"""SAPD: points in the middle of the box weigh by how central they are and by their level (Zhu et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmmc.assign.protocol import Assigner
from mmmc.assign.shared.conflicts import object_states, owners
from mmmc.assign.shared.levels import Middle, level_means, middle, on_levels
from mmmc.assign.shared.pairs import Objects, gather_objects, join_wrong, pair_losses
from mmmc.assign.shared.rules import widened
from mmmc.boxes import area, centerness, distances
from mmmc.errors import InputError
from mmmc.parts.selection_net import LEVEL_LOGITS
from mmmc.structures import Assignment, Points, Prediction, Target


@dataclass(frozen=True)
class SAPD(Assigner):
    """The points in the middle of a box are positive, each with a weight; all others are negative with weight 1.

    The middle is the box shrunk to `shrink` of its size. On a level where that holds no point, the point in the box
    that is nearest to the centre is the middle, so that each level that can see an object has a point for it; an
    object that holds no others in the end counts as a fallback. A point that several objects want goes to the
    smallest. The weight of a positive is its level's, times FCOS's centerness squared:
    `min(l, r) · min(t, b) / (max(l, r) · max(t, b))`.

    Re-created from descriptions of the method; not compared with the authors' code.

    Args:
        shrink: width and height of the middle, as a share of the box's.
        levels: what the weights of an object's levels are a softmax of: minus the mean focal and GIoU `loss` in the
            middle, which with one level is FSAF's choice (Zhu et al. 2019, section 3.3); or what the selection net
            says (`net`), which needs `model.part: SelectionNet`.
        soft_levels: how many levels share an object, the best ones; positives lie on these alone and their weights
            add up to 1. `null`: one for `loss`, for that names a level and no shares, and all for `net`.
    """

    shrink: float = 0.2
    levels: Literal["loss", "net"] = "loss"
    soft_levels: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.shrink <= 1:
            raise InputError(f"assigner SAPD: shrink is {self.shrink}; allowed: above 0 to 1.")
        if not (self.soft_levels is None or self.soft_levels >= 1):
            raise InputError(f"assigner SAPD: soft_levels is {self.soft_levels}; allowed: 1 or more, or null.")

    @torch.no_grad()
    def __call__(self, points: Points, prediction: Prediction, targets: Sequence[Target]) -> Assignment:
        """Assign the points of a batch; see `Assigner`.

        Raises:
            InputError: `levels` is `net`, and the prediction comes without the net's `level logits`.
        """
        with torch.autocast(points.xy.device.type, enabled=False):
            dtype = torch.promote_types(prediction.boxes.dtype, torch.float32)
            prediction = widened(prediction, dtype)
            objects = gather_objects(points, targets, dtype)
            if self.levels == "loss":
                judged = level_losses(points, prediction, objects, self.shrink)
                region, preference, wrong = judged.middle, -judged.mean, judged.wrong
            else:
                region = middle(points, objects, objects.in_box, self.shrink)
                preference = net_logits(prediction, objects)
                wrong = {"level": (~preference.isfinite()).any(dim=2) & objects.in_box.any(dim=2)}
            shares, chosen = self.shares(preference, on_levels(points, region.either))
            wanted = region.either & chosen[..., points.level]
            gt, weight = self.settle(points, objects, wanted, shares)
            return Assignment(
                gt=gt,
                score=(gt >= 0).to(dtype),
                weight=weight,
                state=objects.per_picture(_states(gt, objects, region, wanted)),
                finite=~torch.stack(list(wrong.values())).any(dim=0).any(dim=1),
                not_finite={term: objects.per_picture(values) for term, values in wrong.items()},
            )

    def shares(
        self, preference: Float[Tensor, "B M L"], available: Bool[Tensor, "B M L"]
    ) -> tuple[Float[Tensor, "B M L"], Bool[Tensor, "B M L"]]:
        """The weight of each level for each object, and which levels it is on.

        Args:
            preference: high is good; a level where it is not finite is left out.
            available: levels that have a point for the object.
        """
        levels = preference.shape[2]
        number = min(self.soft_levels or (1 if self.levels == "loss" else levels), levels)
        best = preference.where(available & preference.isfinite(), -torch.inf).topk(number, dim=2)
        on = best.values.isfinite()
        shares = best.values.softmax(dim=2).masked_fill(~on, 0)
        zeros = torch.zeros_like(preference)
        return zeros.scatter(2, best.indices, shares), zeros.bool().scatter(2, best.indices, on)

    @staticmethod
    def settle(
        points: Points, objects: Objects, wanted: Bool[Tensor, "B M P"], shares: Float[Tensor, "B M L"]
    ) -> tuple[Int[Tensor, "B P"], Float[Tensor, "B P"]]:
        """The object and the weight of each point."""
        gt = owners(area(objects.boxes)[..., None].expand(wanted.shape), wanted)
        if wanted.shape[1] == 0:
            return gt, shares.new_ones(gt.shape)
        index = gt.clamp(min=0)[..., None]
        boxes = objects.boxes.gather(1, index.expand(-1, -1, 4))
        share = shares.gather(1, index.expand(-1, -1, shares.shape[2])).gather(
            2, points.level.expand(gt.shape)[..., None]
        )
        central = centerness(distances(points.xy.to(boxes.dtype), boxes)).square()
        return gt, (share.squeeze(2) * central).where(gt >= 0, 1.0)


class LevelLosses(NamedTuple):
    """How well each level does on each object now.

    Attributes:
        mean: focal and GIoU loss over the middle of the box; NaN on a level without a point for the object.
        middle: the points that it is the mean of.
        wrong: by the name of a loss, which objects met one that is not finite; such points take no part.
    """

    mean: Float[Tensor, "B M L"]
    middle: Middle
    wrong: dict[str, Bool[Tensor, "B M"]]


def level_losses(points: Points, prediction: Prediction, objects: Objects, shrink: float) -> LevelLosses:
    """What FSAF's choice of a level looks at: the mean loss in the middle of each box on each level."""
    losses_of = pair_losses(points, prediction)
    means, regions, wrong = [], [], []
    for _, few in objects.in_turn():
        losses = losses_of(few, few.in_box)
        regions.append(middle(points, few, losses.finite(few.in_box), shrink))
        means.append(level_means(points, losses.total, regions[-1].either))
        wrong.append(losses.wrong(few.in_box))
    return LevelLosses(torch.cat(means, dim=1), Middle.joined(regions), join_wrong(wrong))


def net_logits(prediction: Prediction, objects: Objects) -> Float[Tensor, "B M L"]:
    """What the selection net says of the levels of these objects.

    Raises:
        InputError: there is no such net.
    """
    if LEVEL_LOGITS not in prediction.extra:
        raise InputError("assigner SAPD: levels is net, which needs model.part: SelectionNet.")
    # A picture that was taken out of its batch may have been filled up further than it is now.
    return prediction.extra[LEVEL_LOGITS][:, : objects.boxes.shape[1]]


def _states(
    gt: Int[Tensor, "B P"], objects: Objects, region: Middle, wanted: Bool[Tensor, "B M P"]
) -> Int[Tensor, "B M"]:
    """An `ObjectState` of each object; one whose points all stand in for the shrunk box had to fall back."""
    batch, number, _ = wanted.shape
    if number == 0:
        return torch.zeros_like(objects.labels)
    own = region.inside.gather(1, gt.clamp(min=0)[:, None]).squeeze(1) & (gt >= 0)
    central = gt.new_zeros(batch, number).scatter_add_(1, gt.clamp(min=0), own.long()) > 0
    return object_states(gt, ~central, objects.in_box, wanted)
