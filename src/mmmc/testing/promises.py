"""What every assigner promises, each as a function that raises where it is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import partial

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mmmc.assign import Assigner
from mmmc.boxes import area
from mmmc.structures import IGNORED, Assignment, ObjectState, Prediction, Target
from mmmc.testing.scenes import Scene, make_scene


class BrokenPromise(Exception):
    """What was seen instead of what is promised."""


def _require(holds: bool | Tensor, seen: str) -> None:
    if not holds:
        raise BrokenPromise(seen)


def _require_equal(first: Assignment, second: Assignment, when: str, tolerance: float = 0.0) -> None:
    """The same objects and states everywhere, and scores and weights that differ by no more than rounding."""

    def close(a: Tensor, b: Tensor) -> bool:
        return torch.allclose(a, b, rtol=tolerance, atol=tolerance) if a.is_floating_point() else torch.equal(a, b)

    for name in ("gt", "finite", "score", "weight"):
        _require(close(getattr(first, name), getattr(second, name)), f"{name} differs {when}")
    for index, (a, b) in enumerate(zip(_pairs(first), _pairs(second), strict=True)):
        _require(close(a, b), f"pairs of picture {index} differ {when}")
    for index, (a, b) in enumerate(zip(first.state, second.state, strict=True)):
        _require(torch.equal(a, b), f"state of picture {index} differs {when}")


def _pairs(assignment: Assignment) -> list[Tensor]:
    """The weights of each picture's pairs, without the rows that fill it up; nothing where none are weighed."""
    if assignment.pairs is None:
        return []
    return [rows[: len(state)] for rows, state in zip(assignment.pairs, assignment.state, strict=True)]


# Rules that compute over a whole batch may round otherwise when the batch is another one.
_ROUNDING = 1e-5


def _documented_form(assigner: Assigner, scene: Scene) -> None:
    result = assigner(*scene)
    shape = scene.prediction.quality.shape
    for name in ("gt", "score", "weight"):
        _require(getattr(result, name).shape == shape, f"{name} has shape {tuple(getattr(result, name).shape)}")
    _require(result.gt.dtype == torch.long, f"gt is {result.gt.dtype}")
    for name in ("score", "weight"):
        _require(getattr(result, name).dtype in (torch.float32, torch.float64), f"{name} is not at least float32")
    if result.pairs is not None:
        full = (shape[0], max(len(target.labels) for target in scene.targets), shape[1])
        _require(result.pairs.shape == full, f"pairs has shape {tuple(result.pairs.shape)}")
        _require(result.pairs.dtype in (torch.float32, torch.float64), "pairs is not at least float32")
        weighed = (result.pairs > 0).any(dim=1) if full[1] else torch.zeros_like(result.gt, dtype=torch.bool)
        _require(torch.equal(weighed, result.gt >= 0), "gt does not name an object exactly where a pair has a weight")
    _require(result.finite.shape == shape[:1] and result.finite.dtype == torch.bool, "finite is no bool per picture")
    _require(len(result.state) == len(scene.targets), f"state has {len(result.state)} entries")
    for index, (state, target) in enumerate(zip(result.state, scene.targets, strict=True)):
        _require(state.shape == target.labels.shape, f"state of picture {index} has shape {tuple(state.shape)}")
        _require(state.dtype == torch.long, f"state of picture {index} is {state.dtype}")


def _indices_in_range(assigner: Assigner, scene: Scene) -> None:
    for index, (gt, target) in enumerate(zip(assigner(*scene).gt, scene.targets, strict=True)):
        _require((gt >= IGNORED).all(), f"picture {index} has index {int(gt.min())}")
        _require((gt < len(target.labels)).all(), f"picture {index} has index {int(gt.max())}")


def _scores_and_weights(assigner: Assigner, scene: Scene) -> None:
    result = assigner(*scene)
    _require(result.finite.all(), "finite is false although the prediction is finite")
    for name in ("score", "weight"):
        value = getattr(result, name)
        _require(value.isfinite().all() and (value >= 0).all(), f"{name} has a value that is negative or not finite")
    for index, rows in enumerate(_pairs(result)):
        _require(
            rows.isfinite().all() and (rows >= 0).all(),
            f"pairs of picture {index} has a weight that is negative or not finite",
        )
    _require((result.score <= 1).all(), "a score is above 1")
    _require((result.score[result.gt < 0] == 0).all(), "a point without an object has a score")


def _states_say_why(assigner: Assigner, scene: Scene) -> None:
    result = assigner(*scene)
    for index, (state, count, target) in enumerate(zip(result.state, result.counts(), scene.targets, strict=True)):
        known = torch.tensor([int(member) for member in ObjectState])
        _require(torch.isin(state, known).all(), f"picture {index} has a state that is no ObjectState")
        has_point = (state == ObjectState.CHOSEN) | (state == ObjectState.FALLBACK)
        for member in ((has_point != (count > 0)).nonzero().flatten().tolist())[:1]:
            _require(False, f"object {member} of picture {index} has {count[member]} points and state {state[member]}")
        x, y = (scene.points.xy[scene.points.within(target.size)])[:, :, None].unbind(1)
        x1, y1, x2, y2 = target.boxes.unbind(1)
        holds_point = ((x > x1) & (x < x2) & (y > y1) & (y < y2)).any(dim=0)
        wrong = ~has_point & ((state == ObjectState.NO_POINT) == holds_point)
        for member in wrong.nonzero().flatten().tolist()[:1]:
            _require(False, f"object {member} of picture {index} is said to be {ObjectState(int(state[member])).name}")


def _no_gradient(assigner: Assigner, scene: Scene) -> None:
    prediction = _each_tensor(scene.prediction, lambda value: value.clone().requires_grad_())
    result = assigner(scene.points, prediction, scene.targets)
    for name in ("gt", "score", "weight", "finite", "pairs"):
        value = getattr(result, name)
        _require(value is None or not value.requires_grad, f"{name} requires a gradient")


def _deterministic(assigner: Assigner, scene: Scene) -> None:
    _require_equal(assigner(*scene), assigner(*scene), "between two calls")


def _stateless(assigner: Assigner, scene: Scene) -> None:
    first = assigner(*scene)
    assigner(*make_scene(len(scene.targets), images=1, objects=2, size=(64, 64), strides=scene.points.strides))
    _require_equal(assigner(*scene), first, "after another batch")


def _input_unchanged(assigner: Assigner, scene: Scene) -> None:
    before = [tensor.clone() for tensor in _tensors(scene)]
    assigner(*scene)
    after = _tensors(scene)
    _require(all(torch.equal(a, b) for a, b in zip(before, after, strict=True)), "a tensor of the input has changed")


def _nothing_in_padding(assigner: Assigner, scene: Scene) -> None:
    result = assigner(*scene)
    padding = torch.stack([~scene.points.within(target.size) for target in scene.targets])
    _require((result.gt[padding] < 0).all(), "a point in the padding has an object")
    for index, rows in enumerate(_pairs(result)):
        _require((rows[:, padding[index]] == 0).all(), f"a point in the padding of picture {index} has a pair")
    other = _each_tensor(scene.prediction, lambda value: value.flip(1) + 1)
    mixed = Prediction(
        logits=scene.prediction.logits.where(~padding[..., None], other.logits),
        boxes=scene.prediction.boxes.where(~padding[..., None], other.boxes),
        quality=scene.prediction.quality.where(~padding, other.quality),
        extra=scene.prediction.extra,
    )
    _require_equal(assigner(scene.points, mixed, scene.targets), result, "with another prediction in the padding")


def _alone_as_in_batch(assigner: Assigner, scene: Scene) -> None:
    together = assigner(*scene)
    for index in range(len(scene.targets)):
        alone = assigner(*_pictures(scene, [index]))
        _require_equal(alone, _rows(together, [index]), f"when picture {index} is alone", _ROUNDING)


def _order_of_pictures(assigner: Assigner, scene: Scene) -> None:
    order = list(reversed(range(len(scene.targets))))
    back = assigner(*_pictures(scene, order))
    _require_equal(back, _rows(assigner(*scene), order), "when the pictures are reversed", _ROUNDING)


def _order_of_objects(assigner: Assigner, scene: Scene) -> None:
    if any(len(area(target.boxes).unique()) < len(target.boxes) for target in scene.targets):
        return  # Between equals the first may win.
    result = assigner(*scene)
    back = assigner(scene.points, scene.prediction, [_reversed(target) for target in scene.targets])
    last = torch.tensor([[len(target.labels) - 1] for target in scene.targets])
    restored = replace(
        back,
        gt=torch.where(back.gt >= 0, last - back.gt, back.gt),
        state=[state.flip(0) for state in back.state],
        pairs=None if back.pairs is None else pad_sequence([rows.flip(0) for rows in _pairs(back)], batch_first=True),
    )
    _require_equal(restored, result, "when the objects are reversed", _ROUNDING)


def _low_precision(assigner: Assigner, scene: Scene) -> None:
    logits, quality = scene.prediction.logits.bfloat16(), scene.prediction.quality.bfloat16()
    low = replace(scene.prediction, logits=logits, quality=quality)
    wide = replace(scene.prediction, logits=logits.float(), quality=quality.float())
    expected = assigner(scene.points, wide, scene.targets)
    _require_equal(assigner(scene.points, low, scene.targets), expected, "when the prediction is bfloat16")
    with torch.autocast("cpu", torch.bfloat16):
        _require_equal(assigner(scene.points, wide, scene.targets), expected, "under autocast")


def _not_finite(assigner: Assigner, scene: Scene) -> None:
    clean = assigner(*scene)
    for value in (torch.nan, torch.inf):
        # The first picture alone is spoilt: the others must not notice.
        spoilt = _each_tensor(scene.prediction, partial(_with_first, value=value))
        result = assigner(scene.points, spoilt, scene.targets)
        for name in ("score", "weight"):
            _require(getattr(result, name).isfinite().all(), f"{name} is not finite after {value}")
        for index, rows in enumerate(_pairs(result)):
            _require(rows.isfinite().all(), f"pairs of picture {index} is not finite after {value}")
        others = list(range(1, len(scene.targets)))
        if others:
            _require_equal(_rows(result, others), _rows(clean, others), f"after {value} in another picture", _ROUNDING)
        if result.finite[0]:
            _require_equal(_rows(result, [0]), _rows(clean, [0]), f"after {value}, with finite true,", _ROUNDING)
        else:
            _require(_says(result, scene.targets), f"check() does not name the picture after {value}")


def _says(result: Assignment, targets: list[Target]) -> bool:
    """Whether an assignment whose first picture met values that are not finite names it."""
    try:
        result.check(targets)
    except FloatingPointError as error:
        return f"picture {targets[0].image_id}" in str(error)
    return False


CHECKS: dict[str, Callable[[Assigner, Scene], None]] = {
    "the result has the documented shapes and types": _documented_form,
    "every index names an object of its picture": _indices_in_range,
    "scores are in 0..1, weights finite and not negative, and points without an object score 0": _scores_and_weights,
    "the state of an object says how it came by its points, or why it has none": _states_say_why,
    "no gradient flows": _no_gradient,
    "two calls agree": _deterministic,
    "nothing is kept from one call to the next": _stateless,
    "the input is left as it is": _input_unchanged,
    "padding is nobody's and changes nothing": _nothing_in_padding,
    "a picture gets the labels that it would get alone": _alone_as_in_batch,
    "the order of the pictures changes nothing else": _order_of_pictures,
    "the order of the objects changes nothing else": _order_of_objects,
    "low precision is widened": _low_precision,
    "values that are not finite do no harm unseen": _not_finite,
}
"""Promise to the function that raises when it is broken."""


def _pictures(scene: Scene, order: list[int]) -> Scene:
    prediction = _each_tensor(scene.prediction, lambda value: value[order])
    return Scene(scene.points, prediction, [scene.targets[index] for index in order])


def _rows(assignment: Assignment, order: list[int]) -> Assignment:
    return Assignment(
        gt=assignment.gt[order],
        score=assignment.score[order],
        weight=assignment.weight[order],
        state=[assignment.state[index] for index in order],
        finite=assignment.finite[order],
        not_finite={name: [rows[index] for index in order] for name, rows in assignment.not_finite.items()},
        pairs=None if assignment.pairs is None else assignment.pairs[order],
    )


def _reversed(target: Target) -> Target:
    return replace(target, boxes=target.boxes.flip(0), labels=target.labels.flip(0))


def _with_first(tensor: Tensor, value: float) -> Tensor:
    return torch.cat([torch.full_like(tensor[:1], value), tensor[1:]])


def _each_tensor(prediction: Prediction, change: Callable[[Tensor], Tensor]) -> Prediction:
    return Prediction(
        logits=change(prediction.logits),
        boxes=change(prediction.boxes),
        quality=change(prediction.quality),
        extra={name: change(value) for name, value in prediction.extra.items()},
    )


def _tensors(scene: Scene) -> list[Tensor]:
    def of(value: object) -> Iterator[Tensor]:
        for field in fields(value):  # type: ignore[arg-type]
            member = getattr(value, field.name)
            if isinstance(member, Tensor):
                yield member

    return [tensor for value in (scene.points, scene.prediction, *scene.targets) for tensor in of(value)]
