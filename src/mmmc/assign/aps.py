"""APS, the aligned points sampler: levels, then points, by both tasks' current losses (the paper's section 3.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mmmc.assign.aps_admission import by_fcos, long_enough, with_nearest
from mmmc.assign.aps_scores import Score, SoftmaxOver, relative_scores, scored
from mmmc.assign.aps_steps import Levels, Looked, Owners, Scores, Split, Steps
from mmmc.assign.fcos import FCOS
from mmmc.assign.protocol import Assigner
from mmmc.assign.shared.candidates import Candidates, best_candidates
from mmmc.assign.shared.conflicts import Conflict, object_states, owners, provide, ranks
from mmmc.assign.shared.levels import iou_with_level_squares, level_means, level_shares, middle
from mmmc.assign.shared.pairs import ClassLoss, Objects, PairLosses, gather_objects, join_wrong, pair_losses
from mmmc.assign.shared.rules import widened
from mmmc.assign.shared.split import Rule, parted
from mmmc.errors import InputError
from mmmc.structures import IGNORED, NEGATIVE, Assignment, Points, Prediction, Target


@dataclass(frozen=True)
class APS(Assigner):
    """Each object chooses its levels, then its points, by what both tasks lose there now.

    1. `candidates`: on each level the `candidates_per_level` points in the box with the least `Lc + Lr`.
    2. `levels`: the `num_levels` levels where their mean is least.
    3. `scores`: fitness and alignment of the candidates of these levels, and their geometric mean.
    4. `split`: a two-component Gaussian mixture parts them into positives and negatives.
    5. A point that several objects want goes to the one of least `Lc + Lr`. Objects left without a point then get
       one in order of their least loss: their best free candidate, else the best free point in their box, else the
       best point of an object that keeps another.

    All other points are negative. The defaults are the readings of the paper that docs/paper.md argues for.

    Args:
        candidates_per_level: K of Eq. 4.
        num_levels: levels that an object chooses.
        scale: choose levels by losses; otherwise FCOS's ranges of `range_strides` say which points may be chosen.
        spatial: choose points by the mixture; otherwise as `scale_only` says. With neither, APS is FCOS.
        scale_only: without the spatial step, positives are the points of the chosen levels near the centre as in
            FCOS (where none is there, the candidate of least loss), all candidates, or all points in the box.
        spatial_levels: without the scale step, candidates come from the levels that FCOS's ranges permit, or from all.
        level_stat: what a level is judged by: the `mean` over its candidates; the `quantile` of level
            `level_share` over all its points in the box; the mean over this share of them (`fixed_fraction`); or
            the IoU of the box with a square of `square_strides` strides at its centre (`square`), which looks at no
            prediction; or the mean over its points in the box shrunk to `shrink` of its size (`shrunk`), which with
            `num_levels: 1` is FSAF's choice of a level (Zhu et al. 2019, section 3.3). Where the shrunk box holds no
            point of a level, that point in the box stands for it which is nearest to the centre, or those which are.
            The mean of the best nine is lower the more points they are the best of, which favours
            fine levels as long as all losses are alike; the others do not have this bias.
        level_share: for `quantile` and `fixed_fraction`.
        square_strides: for `square`.
        shrink: for `shrunk`.
        scale_standard: which loss levels are judged by (the paper's Table 1).
        score: `paper`: softmax of the negative losses and Eq. 8 as printed, high is good. `code`: the released
            code's `sqrt(sigmoid(|Lc − Lr|) · (Lc + Lr))`, low is good. `sum`: `Lc + Lr`. `fit_only` and
            `align_only`: Eq. 7 or Eq. 8 alone. `printed`: Eqs. 7–9 to the letter, which prefers bad points; for the
            demonstration only.
        softmax_over: the set of Eq. 7: the candidates of all chosen levels (`object`), or of one `level`.
        score_scale: `standard`: each object's scores are brought to mean 0 and variance 1, and the mixture begins
            with variances of 1. `code`: they are multiplied by 10 and it begins with 10.
        rule: what of the fitted mixture is positive. `a`: what belongs to the better component. `c`: of these,
            those no worse than the component's most likely member. `b`: as `c`, and candidates between the most
            likely members of both components are ignored. `mean`: what is no worse than the mean. `topk`: the
            `topk` best.
        topk: for rule `topk`.
        class_loss: `Lc`: focal loss over all classes, of the object's class alone, or binary cross-entropy.
        iou_smooth: added to intersection and union in square strides; 1 in the released code.
        lambda_reg: factor on `Lr = 1 − GIoU`, wherever it is used.
        center_radius: candidates lie within this many strides of the box's centre; `null`: anywhere in the box.
        conflict: who gets a point that several objects chose: the one of least `Lc + Lr`, the smallest
            (`area_first`), or the one that the predicted box overlaps most (`max_iou`).
        tiny: an object without a point in its box gets none, or the point of the finest level `nearest` to its centre.
        least_cells: a level above the finest is left out for objects whose longer side is less than this many of its
            strides. Not the paper's: an object of 5 px may hold a point of stride 32 and none of stride 8.
        target: class target of a positive: 1 (`hard`), or its score relative to the best of its object (`score`).
        range_strides: of FCOS's ranges, for `scale: false`.
        sampling_radius: of FCOS's centre sampling, for `spatial: false`.
    """

    candidates_per_level: int = 9
    num_levels: int = 2
    scale: bool = True
    spatial: bool = True
    scale_only: Literal["center", "candidates", "inside"] = "center"
    spatial_levels: Literal["ranges", "all"] = "ranges"
    level_stat: Literal["mean", "quantile", "fixed_fraction", "square", "shrunk"] = "mean"
    level_share: float = 0.25
    square_strides: float = 8.0
    shrink: float = 0.2
    scale_standard: Literal["cls", "reg", "sum"] = "sum"
    score: Score = "paper"
    softmax_over: SoftmaxOver = "object"
    score_scale: Literal["standard", "code"] = "standard"
    rule: Rule = "a"
    topk: int = 9
    class_loss: ClassLoss = "focal"
    iou_smooth: float = 0.0
    lambda_reg: float = 1.0
    center_radius: float | None = None
    conflict: Conflict = "min_cost"
    tiny: Literal["none", "nearest"] = "none"
    least_cells: float = 0.0
    target: Literal["hard", "score"] = "hard"
    range_strides: float = 8.0
    sampling_radius: float = 1.5

    def __post_init__(self) -> None:
        for name in ("candidates_per_level", "num_levels", "topk"):
            self._require(name, getattr(self, name) >= 1, "at least 1")
        for name in ("level_share", "shrink"):
            self._require(name, 0 < getattr(self, name) <= 1, "above 0 to 1")
        for name in ("iou_smooth", "least_cells"):
            self._require(name, 0 <= getattr(self, name) < torch.inf, "a finite number of at least 0")
        for name in ("lambda_reg", "square_strides", "range_strides", "sampling_radius"):
            self._require(name, 0 < getattr(self, name) < torch.inf, "a finite number above 0")
        self._require("center_radius", self.center_radius is None or self.center_radius > 0, "above 0, or null")

    def _require(self, name: str, holds: bool, allowed: str) -> None:
        if not holds:
            raise InputError(f"assigner APS: {name} is {getattr(self, name)!r}; allowed: {allowed}.")

    def __call__(self, points: Points, prediction: Prediction, targets: Sequence[Target]) -> Assignment:
        """Assign the points of a batch; see `Assigner`."""
        if not (self.scale or self.spatial):
            return FCOS(self.range_strides, self.sampling_radius)(points, prediction, targets)
        return self.steps(points, prediction, targets).assignment

    @torch.no_grad()
    def steps(self, points: Points, prediction: Prediction, targets: Sequence[Target]) -> Steps:
        """Assign the points of a batch and keep what each step saw and decided.

        Raises:
            InputError: neither `scale` nor `spatial` is on, so there are no such steps.
        """
        self._require("scale", self.scale or self.spatial, "true, or spatial: true, to look at the steps")
        with torch.autocast(points.xy.device.type, enabled=False):
            dtype = torch.promote_types(prediction.boxes.dtype, torch.float32)
            prediction = widened(prediction, dtype)
            objects = gather_objects(points, targets, dtype)
            looked = self.look(points, prediction, objects, targets)
            levels = self.levels(looked)
            shortlist = looked.candidates.of(levels.order)
            scores = self.scores(shortlist)
            split = self.split(shortlist, scores)
            wanted = self.wanted(points, objects, looked, levels, shortlist, split)
            settled = self.settle(prediction, objects, looked, shortlist, wanted)
            assignment = self._assignment(objects, settled, shortlist, scores, split, looked.wrong)
        return Steps(objects, looked, levels, shortlist, scores, split, wanted, assignment)

    def look(self, points: Points, prediction: Prediction, objects: Objects, targets: Sequence[Target]) -> Looked:
        """Step 1, and what step 2 compares levels by: all that looks at every pair, some objects at a time."""
        losses_of = pair_losses(
            points,
            prediction,
            class_loss=self.class_loss,
            iou_smooth=self.iou_smooth,
            lambda_reg=self.lambda_reg,
        )
        cost = torch.full(objects.in_box.shape, torch.inf, dtype=objects.boxes.dtype, device=objects.boxes.device)
        candidates, stats, wrong = [], [], []
        for some, few in objects.in_turn():
            admitted = self.admitted(points, few, targets)
            losses = losses_of(few, admitted)
            eligible = losses.finite(admitted)
            cost[:, some] = losses.total.masked_fill(~eligible, torch.inf)
            candidates.append(self.candidates(points, losses, eligible & self.permitted(points, few)))
            stats.append(self.level_stats(points, losses, eligible, few, candidates[-1]))
            wrong.append(losses.wrong(admitted))
        return Looked(cost, Candidates.joined(candidates), torch.cat(stats, dim=1), join_wrong(wrong))

    def admitted(self, points: Points, objects: Objects, targets: Sequence[Target]) -> Bool[Tensor, "B M P"]:
        """Points in the box on levels that may see it and, with `tiny: nearest`, one for each object without any."""
        own = objects.in_box
        if self.least_cells:
            own = own & long_enough(points, objects, self.least_cells)
        return with_nearest(points, objects, targets, own) if self.tiny == "nearest" and own.shape[1] else own

    def permitted(self, points: Points, objects: Objects) -> Bool[Tensor, "B M P"]:
        """Pairs whose point may be a candidate where it lies; all of them unless hand-set rules are switched on."""
        ranges = self.range_strides if not self.scale and self.spatial_levels == "ranges" else None
        return by_fcos(FCOS(ranges, self.center_radius), points, objects).expand_as(objects.in_box)

    def candidates(self, points: Points, losses: PairLosses, allowed: Bool[Tensor, "B M P"]) -> Candidates:
        """Step 1: on each level the `min(K, n)` allowed points of least `Lc + Lr` (Eqs. 4 and 5).

        Eq. 4 prints a maximum; "limited within K" makes it a minimum.
        """
        return best_candidates(points, losses, allowed, self.candidates_per_level)

    def levels(self, looked: Looked) -> Levels:
        """Step 2: the levels of least mean loss (Eq. 6); all levels with a candidate where `scale` is off."""
        stat = looked.stat.masked_fill(~looked.candidates.valid.any(dim=3), torch.inf)
        number = min(self.num_levels, stat.shape[2]) if self.scale else stat.shape[2]
        order = stat.topk(number, largest=False).indices
        chosen = torch.zeros_like(stat, dtype=torch.bool).scatter(2, order, True) & stat.isfinite()
        return Levels(stat, order, chosen)

    def level_stats(
        self,
        points: Points,
        losses: PairLosses,
        eligible: Bool[Tensor, "B M P"],
        objects: Objects,
        candidates: Candidates,
    ) -> Float[Tensor, "B M L"]:
        """What levels are compared by; NaN or infinite where a level has nothing to judge."""
        if self.level_stat == "square":
            return 1 - iou_with_level_squares(points, objects.boxes, self.square_strides)
        if self.level_stat == "mean":
            values = self._standard(candidates.cls, candidates.reg)
            return values.masked_fill(~candidates.valid, 0).sum(dim=3) / candidates.valid.sum(dim=3)
        values = self._standard(losses.cls, losses.reg)
        if self.level_stat == "shrunk":
            return level_means(points, values, middle(points, objects, eligible, self.shrink).either)
        return level_shares(points, values, eligible, self.level_share, self.level_stat)

    def scores(self, shortlist: Candidates) -> Scores:
        """Step 3: fitness (Eq. 7), alignment (Eq. 8) and their geometric mean (Eq. 9), or what replaces it."""
        return scored(shortlist, self.score, self.softmax_over)

    def split(self, shortlist: Candidates, scores: Scores) -> Split:
        """Step 4: positives by the mixture (Eq. 10). An object with a candidate has a positive; see `parted`."""
        shape = shortlist.valid.shape
        positive, ignored = parted(
            scores.cost.flatten(2).flatten(0, 1),
            shortlist.valid.flatten(2).flatten(0, 1),
            self.rule,
            scale="standard" if self.score_scale == "standard" else "tenfold",
            topk=self.topk,
        )
        return Split(positive.view(shape), ignored.view(shape))

    def wanted(
        self,
        points: Points,
        objects: Objects,
        looked: Looked,
        levels: Levels,
        shortlist: Candidates,
        split: Split,
    ) -> Bool[Tensor, "B M P"]:
        """The pairs of all objects and points that are positive before conflicts."""
        if self.spatial:
            return shortlist.spread(split.positive, len(points))
        if self.scale_only == "candidates":
            return shortlist.spread(shortlist.valid, len(points))
        on_level = looked.eligible & levels.chosen[:, :, points.level]
        if self.scale_only == "inside":
            return on_level
        central = on_level & by_fcos(FCOS(None, self.sampling_radius), points, objects)
        return central | (shortlist.spread(shortlist.best(), len(points)) & ~central.any(dim=2, keepdim=True))

    def settle(
        self,
        prediction: Prediction,
        objects: Objects,
        looked: Looked,
        shortlist: Candidates,
        wanted: Bool[Tensor, "B M P"],
    ) -> Owners:
        """Step 5: conflicts, then objects without a point."""
        gt = owners(ranks(self.conflict, prediction.boxes, objects, looked.cost), wanted)
        gt, helped = provide(gt, looked.cost, shortlist.spread(shortlist.valid, wanted.shape[2]))
        # An object without a point of its own in its box was helped too, by the nearest.
        helped |= ~(looked.eligible & objects.in_box).any(dim=2)
        return Owners(gt, object_states(gt, helped, objects.in_box, looked.eligible))

    def _assignment(
        self,
        objects: Objects,
        steps: Owners,
        shortlist: Candidates,
        scores: Scores,
        split: Split,
        wrong: Mapping[str, Bool[Tensor, "B M"]],
    ) -> Assignment:
        gt = steps.gt
        points = gt.shape[1]
        ignored = shortlist.spread(split.ignored, points).any(dim=1) & (gt == NEGATIVE)
        hard = (gt >= 0).to(scores.cost.dtype)
        score = hard if self.target == "hard" else hard * relative_scores(gt, shortlist, scores.cost, self.score)
        return Assignment(
            gt=gt.masked_fill(ignored, IGNORED),
            score=score,
            weight=torch.ones_like(score),
            state=objects.per_picture(steps.state),
            finite=~torch.stack(list(wrong.values())).any(dim=0).any(dim=1),
            not_finite={name: objects.per_picture(values) for name, values in wrong.items()},
        )

    def _standard(self, cls: Tensor, reg: Tensor) -> Tensor:
        return {"cls": cls, "reg": reg, "sum": cls + reg}[self.scale_standard]
