"""The three largest losses in words, and what in mmmc is there against each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from mmmc.misalignment.oracles import PLAIN, Costs
from mmmc.misalignment.tide import KINDS, Tide
from mmmc.recipe import Recipe

ALIGNMENT, LOOSE = "alignment", "loose"
SHOWN = 3
RESULTS = "docs/results.md"
CAUTION = (
    "Errors are measured in AP at IoU 0.5 and misalignment in COCO's AP, so the order between them is a hint only."
)


@dataclass(frozen=True)
class Remedy:
    """An option of mmmc against a loss.

    Attributes:
        option: what to set.
        why: what it changes.
        place: heading of `RESULTS` under which it was measured; empty where nobody measured it here.
        finding: what stands there, in few words; the numbers stay there.
        taken: whether a recipe has the option already, so that it is no advice; None where every recipe can go further.
    """

    option: str
    why: str
    place: str = ""
    finding: str = ""
    taken: Callable[[Recipe], bool] | None = None


@dataclass(frozen=True)
class Loss:
    """Something that costs AP on this set.

    Attributes:
        kind: one of TIDE's kinds, `ALIGNMENT` or `LOOSE`.
        cost: as a fraction.
        unit: what the cost is measured in.
        meaning: what goes wrong.
        remedies: what is there against it.
    """

    kind: str
    cost: float
    unit: str
    meaning: str
    remedies: tuple[Remedy, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        words = ("option", "why", "place", "finding")
        remedies = [{name: getattr(remedy, name) for name in words} for remedy in self.remedies]
        return {"kind": self.kind, "cost": self.cost, "unit": self.unit, "meaning": self.meaning, "remedies": remedies}


def _assigner(recipe: Recipe) -> str:
    """By its name, so that no assigner is needed here."""
    return type(recipe.assigner).__name__


_METHODS = "Every method on one head"
_PRETRAINED = Remedy("--recipe and model.weights", "a backbone that has seen many classes, and a longer training")
_START = Remedy(
    "model.box_bias: 2",
    "boxes that begin 4 strides wide",
    "Which reading of APS",
    "4.1 AP for FCOS on a part of signs, three seeds; recipes made from small have it",
    taken=lambda recipe: recipe.model.box_bias == 2,
)
_LEVELS = Remedy(
    "assigner.range_strides",
    "which sizes of objects each level answers for",
    "How `small` got its settings",
    "4 strides beat 8 on a part of BCCD in one seed; no difference on signs",
)

_BINS = Remedy(
    "--recipe small_gfl",
    "boxes as distributions over bins, learned with the distribution focal loss",
    _METHODS,
    "GFL beside FCOS on BCCD",
    taken=lambda recipe: recipe.model.box_bins > 0,
)
_SIZE = Remedy("augmentation.short and resize.short", "larger pictures: more points an object, finer boxes")

REMEDIES: dict[str, tuple[Remedy, ...]] = {
    "class": (
        _PRETRAINED,
        Remedy(
            "assigner.class_loss: bce with APS",
            "points are chosen by how well they tell classes apart",
            "Which reading of APS",
            "a gain on the embedded set; on a part of signs none, and with RFA a loss of 4 AP, two seeds",
            taken=lambda recipe: _assigner(recipe) == "APS" and getattr(recipe.assigner, "class_loss", "") == "bce",
        ),
    ),
    "box": (_START, _BINS),
    LOOSE: (_START, _BINS, _SIZE),
    "both": (_PRETRAINED, _LEVELS),
    "duplicate": (
        Remedy("postprocess.nms", "a lower IoU takes more neighbours away; it costs objects that stand close"),
        Remedy(
            "--assigner APS or SimOTA",
            "fewer positive points an object leave fewer boxes to suppress",
            _METHODS,
            "both beside FCOS on BCCD",
            taken=lambda recipe: _assigner(recipe) in ("APS", "SimOTA"),
        ),
    ),
    "background": (
        Remedy(
            "criterion.quality_target: centerness",
            "the quality branch learns to be silent away from the middle of objects",
            "FCOS on BCCD",
            "better than GIoU where boxes began at 0; with today's start it cannot be told",
            taken=lambda recipe: getattr(recipe.criterion, "quality_target", None) == "centerness",
        ),
        Remedy("data", "unlabelled objects count as background: look at the false positives of best score first"),
    ),
    "missed": (
        _LEVELS,
        Remedy("augmentation.short and resize.short", "larger pictures, so that small objects hold points"),
        Remedy("postprocess.threshold", "a lower one keeps fainter boxes; AP wants 0.05 or less"),
    ),
    ALIGNMENT: (
        Remedy(
            "--recipe small_mmmc",
            "RFA, and labels that both tasks choose together (APS)",
            "The paper's rows",
            "1.5 AP above FCOS on BCCD, 0.8 below it on signs, three seeds each",
            taken=lambda recipe: _assigner(recipe) == "APS" and recipe.model.rfa.class_position > 0,
        ),
        Remedy(
            "criterion.quality_target",
            "what the branch learns that ranks boxes",
            "FCOS on BCCD",
            "centerness is better than GIoU where boxes began at 0; with today's start it cannot be told",
        ),
    ),
}
"""By loss. Whoever measures an option changes its finding here."""


def largest_losses(costs: Costs, tide: Tide, recipe: Recipe | None = None) -> list[Loss]:
    """The three that cost most, the largest first; none that costs nothing. `CAUTION` belongs beside them.

    Boxes that are not tight cost what the box oracle gains and the alignment oracle does not. Without boxes before
    suppression nobody can tell the two apart, so they are one loss then.

    Args:
        costs: AP with and without oracles.
        tide: what each kind of error costs.
        recipe: of the detector; what it has already is no remedy. None where it is not known.
    """
    losses = [
        Loss(kind, cost, "AP50", f"{kind} errors: {KINDS[kind]}", REMEDIES[kind]) for kind, cost in tide.costs.items()
    ]
    loose = "boxes that are not tight: a detection touches the object, and no box before suppression is good enough"
    if ALIGNMENT in costs.ap:
        meaning = "misalignment: a good box was there, and a worse one had the better score"
        losses.append(Loss(ALIGNMENT, costs.gain(ALIGNMENT), "AP", meaning, REMEDIES[ALIGNMENT]))
    else:
        loose = "boxes that are not tight, or outranked by worse ones: boxes before suppression would tell"
    if "box" in costs.ap:
        cost = costs.total("box") - costs.total(ALIGNMENT if ALIGNMENT in costs.ap else PLAIN)
        losses.append(Loss(LOOSE, cost, "AP", loose, REMEDIES[LOOSE]))
    first = sorted((loss for loss in losses if loss.cost > 0), key=lambda loss: -loss.cost)[:SHOWN]
    return first if recipe is None else [replace(loss, remedies=_open(loss.remedies, recipe)) for loss in first]


def _open(remedies: tuple[Remedy, ...], recipe: Recipe) -> tuple[Remedy, ...]:
    return tuple(remedy for remedy in remedies if remedy.taken is None or not remedy.taken(recipe))
