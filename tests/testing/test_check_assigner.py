"""The public suite: FCOS keeps every promise, and for each promise there is a toy that breaks it and is told so."""

from __future__ import annotations

import re

import pytest
import torch

from mmmc.assign import FCOS, Assigner
from mmmc.boxes import area
from mmmc.testing import check_assigner, make_scene
from mmmc.testing.hard_cases import scenes
from mmmc.testing.promises import CHECKS

from .broken_assigners import (
    AllChosen,
    ClampsInPlace,
    ComputesInItsInput,
    CrashesOnEmptyPictures,
    CrashesOnNan,
    FirstObjectFirst,
    FirstPairFirst,
    ForgetsARow,
    HalfPairs,
    HalfScores,
    HidesNan,
    LikesPadding,
    LooksIntoPadding,
    NanInNanOut,
    NanInPairs,
    NegativeWeight,
    NoReason,
    NoStateOfEmptyPictures,
    OneTooMany,
    PairsOfThePrediction,
    PairsShareTheBatch,
    Random,
    Remembers,
    SaysNothingOfNan,
    ScoredBackground,
    ScoreOfThePrediction,
    SharesTheBatch,
    ShortIndices,
    UnknownMark,
    WantsSortedPictures,
    Weighs,
    WeighsAllAlike,
    WeighsBelowZero,
    WrongReason,
)


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
