"""Assigners of which each breaks one promise of the suite."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import torch

from mmmc.assign import FCOS, Assigner
from mmmc.structures import NEGATIVE, Assignment, ObjectState, Points, Prediction, Target
from mmmc.testing import Scene


class Toy(Assigner):
    """FCOS with something wrong."""

    def __call__(self, points: Points, prediction: Prediction, targets: Sequence[Target]) -> Assignment:
        scene = Scene(points, prediction, list(targets))
        return self.spoil(FCOS()(*scene), scene)

    @abstractmethod
    def spoil(self, right: Assignment, scene: Scene) -> Assignment:
        """The same labels with something wrong."""


class ShortIndices(Toy):
    def spoil(self, right, *_):
        return replace(right, gt=right.gt.int())


class HalfScores(Toy):
    def spoil(self, right, *_):
        return replace(right, score=right.score.half())


class NoStateOfEmptyPictures(Toy):
    def spoil(self, right, *_):
        return replace(right, state=[state for state in right.state if len(state)])


class CrashesOnEmptyPictures(Toy):
    def spoil(self, right, scene):
        for target in scene.targets:
            target.boxes.amax(dim=0)
        return right


class OneTooMany(Toy):
    def spoil(self, right, *_):
        return replace(right, gt=torch.where(right.gt >= 0, right.gt + 1, right.gt))


class UnknownMark(Toy):
    def spoil(self, right, *_):
        return replace(right, gt=torch.where(right.gt == NEGATIVE, -3, right.gt))


class ScoredBackground(Toy):
    def spoil(self, right, *_):
        return replace(right, score=torch.ones_like(right.score))


class NegativeWeight(Toy):
    def spoil(self, right, *_):
        return replace(right, weight=-right.weight)


class AllChosen(Toy):
    def spoil(self, right, *_):
        return replace(right, state=[torch.full_like(state, ObjectState.CHOSEN) for state in right.state])


class WrongReason(Toy):
    def spoil(self, right, *_):
        states = [state.where(state <= ObjectState.FALLBACK, ObjectState.NO_POINT) for state in right.state]
        return replace(right, state=states)


class NoReason(Toy):
    def spoil(self, right, *_):
        return replace(right, state=[state.where(state != ObjectState.NO_POINT, 9) for state in right.state])


class ScoreOfThePrediction(Toy):
    def spoil(self, right, scene):
        return replace(right, score=right.score * scene.prediction.quality.sigmoid())


class Random(Toy):
    def spoil(self, right, *_):
        return replace(right, weight=torch.rand_like(right.weight))


class Remembers(Toy):
    def __init__(self) -> None:
        self.last_size = None

    def spoil(self, right, scene):
        bonus, self.last_size = float(self.last_size == (64, 64)), scene.targets[0].size
        return replace(right, weight=right.weight + bonus)


class ClampsInPlace(Toy):
    def spoil(self, right, scene):
        scene.prediction.logits.data.clamp_(max=1)
        return right


class LikesPadding(Toy):
    def spoil(self, _, scene):
        everywhere = [replace(target, size=(999, 999)) for target in scene.targets]
        return FCOS(None, None)(scene.points, scene.prediction, everywhere)


class LooksIntoPadding(Toy):
    def spoil(self, right, scene):
        best = scene.prediction.quality.detach().sigmoid().amax(dim=1, keepdim=True)
        return replace(right, weight=right.weight + best)


class SharesTheBatch(Toy):
    def spoil(self, right, *_):
        return replace(right, weight=right.weight / (1 + right.positive.sum()))


class WantsSortedPictures(Toy):
    def spoil(self, right, scene):
        return replace(right, weight=right.weight + float(scene.targets[0].image_id > scene.targets[-1].image_id))


class FirstObjectFirst(Toy):
    def spoil(self, right, scene):
        gt = right.gt.clone()
        for labels, target in zip(gt, scene.targets, strict=True):
            if len(target.boxes) > 1:
                labels[(labels == 0).nonzero().flatten()[1:]] = NEGATIVE
        return replace(right, gt=gt, score=(gt >= 0).float())


class ComputesInItsInput(Toy):
    def spoil(self, right, scene):
        quality = scene.prediction.quality.detach()
        within = torch.stack([scene.points.within(target.size) for target in scene.targets])
        weight = (quality.sigmoid() ** 2).float().nan_to_num().where(within, 0)
        return replace(right, weight=weight, finite=quality.isfinite().all(dim=1))


class NanInNanOut(Toy):
    def spoil(self, right, scene):
        return replace(right, score=torch.where(right.positive, scene.prediction.quality.detach().float().sigmoid(), 0))


class HidesNan(Toy):
    def spoil(self, right, scene):
        score = scene.prediction.quality.detach().float().sigmoid().nan_to_num()
        return replace(right, score=torch.where(right.positive, score, 0))


class CrashesOnNan(Toy):
    def spoil(self, right, scene):
        if scene.prediction.logits.isnan().any():
            raise RuntimeError("no topk of NaN")
        return right


class Weighs(Toy):
    """A weight for each pair of a point and its object, with something wrong."""

    def spoil(self, right, scene):
        most = max(len(target.boxes) for target in scene.targets)
        owned = right.gt[:, None] == torch.arange(most)[:, None]
        return self.wrong(replace(right, pairs=0.5 * owned.float()), scene)

    def wrong(self, right, _):
        return right


class ForgetsARow(Weighs):
    def wrong(self, right, _):
        return replace(right, pairs=right.pairs[:, 1:])


class WeighsAllAlike(Weighs):
    def wrong(self, right, _):
        return replace(right, pairs=torch.ones_like(right.pairs))


class WeighsBelowZero(Weighs):
    def wrong(self, right, _):
        return replace(right, pairs=right.pairs - (right.gt < 0)[:, None].float())


class HalfPairs(Weighs):
    def wrong(self, right, _):
        return replace(right, pairs=right.pairs.half())


class PairsOfThePrediction(Weighs):
    def wrong(self, right, scene):
        return replace(right, pairs=right.pairs * scene.prediction.quality[:, None].sigmoid().float())


class FirstPairFirst(Weighs):
    def wrong(self, right, _):
        rank = torch.arange(right.pairs.shape[1])[:, None] + 1
        return replace(right, pairs=right.pairs / rank)


class PairsShareTheBatch(Weighs):
    def wrong(self, right, _):
        return replace(right, pairs=right.pairs / (1 + right.positive.sum()))


class NanInPairs(Weighs):
    def wrong(self, right, scene):
        quality = scene.prediction.quality.detach()[:, None].float().sigmoid()
        pairs = torch.where(right.pairs > 0, right.pairs * quality, 0)
        return replace(right, pairs=pairs)


class SaysNothingOfNan(Toy):
    def spoil(self, right, scene):
        finite = scene.prediction.quality.isfinite().all(dim=1)
        return replace(right, finite=finite, not_finite={} if finite.all() else {"class": []})
