"""The public suite: FCOS keeps every promise, and for each promise there is a toy that breaks it and is told so."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from mmmc.assign import FCOS, Assigner
from mmmc.boxes import area
from mmmc.structures import NEGATIVE, Assignment, ObjectState, Points, Prediction, Target
from mmmc.testing import Scene, check_assigner, make_scene
from mmmc.testing.hard_cases import scenes
from mmmc.testing.promises import CHECKS


@pytest.mark.parametrize("assigner", [FCOS(), FCOS(range_strides=None), FCOS(4.0, None), FCOS(None, None)], ids=str)
def test_fcos_keeps_every_promise(assigner: FCOS) -> None:
    check_assigner(assigner)


def test_a_scene_is_a_function_of_its_seed() -> None:
    first, again, other = make_scene(5), make_scene(5), make_scene(6)
    assert torch.equal(first.prediction.boxes, again.prediction.boxes)
    assert torch.equal(first.targets[1].boxes, again.targets[1].boxes)
    assert not torch.equal(first.targets[1].boxes, other.targets[1].boxes)
    for target in make_scene(0, images=3, objects=(50, 0, 50)).targets:
        (height, width), (x1, y1, x2, y2) = target.size, target.boxes.unbind(1)
        assert bool(((x1 >= 0) & (y1 >= 0) & (x2 <= width) & (y2 <= height) & (x1 < x2) & (y1 < y2)).all())
        assert len(area(target.boxes).unique()) == len(target.boxes)


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


FORM, INDEX, SCORES, STATE, GRADIENT, AGREE, KEPT, INPUT, PADDING, ALONE, PICTURES, OBJECTS, LOW, FINITE = CHECKS

BROKEN = [
    (ShortIndices, FORM, "gt is torch.int32"),
    (HalfScores, FORM, "score is not at least float32"),
    (NoStateOfEmptyPictures, FORM, "three pictures, one of them empty"),
    (CrashesOnEmptyPictures, FORM, "IndexError"),
    (OneTooMany, INDEX, "index"),
    (UnknownMark, INDEX, "index -3"),
    (ScoredBackground, SCORES, "a point without an object has a score"),
    (NegativeWeight, SCORES, "weight"),
    (AllChosen, STATE, "has 0 points and state 0"),
    (WrongReason, STATE, "NO_POINT"),
    (NoReason, STATE, "no ObjectState"),
    (ScoreOfThePrediction, GRADIENT, "score requires a gradient"),
    (Random, AGREE, "weight differs between two calls"),
    (Remembers, KEPT, "weight differs after another batch"),
    (ClampsInPlace, INPUT, "a tensor of the input has changed"),
    (LikesPadding, PADDING, "a point in the padding has an object"),
    (LooksIntoPadding, PADDING, "weight differs with another prediction in the padding"),
    (SharesTheBatch, ALONE, "weight differs when picture 0 is alone"),
    (WantsSortedPictures, PICTURES, "weight differs when the pictures are reversed"),
    (FirstObjectFirst, OBJECTS, "gt differs when the objects are reversed"),
    (ComputesInItsInput, LOW, "weight differs when the prediction is bfloat16"),
    (NanInNanOut, FINITE, "score is not finite after nan"),
    (HidesNan, FINITE, "with finite true"),
    (ForgetsARow, FORM, "pairs has shape"),
    (WeighsAllAlike, FORM, "gt does not name an object exactly where a pair has a weight"),
    (HalfPairs, FORM, "pairs is not at least float32"),
    (WeighsBelowZero, SCORES, "has a weight that is negative or not finite"),
    (PairsOfThePrediction, GRADIENT, "pairs requires a gradient"),
    (PairsShareTheBatch, ALONE, "pairs of picture 0 differ when picture 0 is alone"),
    (FirstPairFirst, OBJECTS, "pairs of picture 0 differ when the objects are reversed"),
    (NanInPairs, FINITE, "pairs of picture 0 is not finite after nan"),
    (SaysNothingOfNan, FINITE, "IndexError"),
    (CrashesOnNan, FINITE, "RuntimeError: no topk of NaN"),
]


def test_weighed_pairs_keep_every_promise() -> None:
    check_assigner(Weighs(), crowd=200)


@pytest.mark.parametrize(("toy", "promise", "seen"), BROKEN)
def test_a_broken_promise_is_named(toy: type[Assigner], promise: str, seen: str) -> None:
    with pytest.raises(AssertionError) as raised:
        check_assigner(toy(), seed=3, crowd=200)
    message = str(raised.value)
    assert f"breaks the promise {promise!r}" in message
    assert seen in message
    assert "with seed 3" in message
    assert re.search(r"in the scene '([^']+)'", message)[1] in scenes(200)
