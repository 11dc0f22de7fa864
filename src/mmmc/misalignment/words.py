"""The three largest losses in words, and what in mmmc is there against each."""

from __future__ import annotations

from dataclasses import dataclass

from mmmc.misalignment.oracles import Costs
from mmmc.misalignment.tide import KINDS, Tide

ALIGNMENT = "alignment"
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
    """

    option: str
    why: str
    place: str = ""
    finding: str = ""


@dataclass(frozen=True)
class Loss:
    """Something that costs AP on this set.

    Attributes:
        kind: one of TIDE's kinds or `ALIGNMENT`.
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


_PRETRAINED = Remedy("--recipe and model.weights", "a backbone that has seen many classes, and a longer training")
_START = Remedy(
    "model.box_bias: 2",
    "boxes that begin 4 strides wide",
    "Which reading of APS",
    "4.1 AP for FCOS on a part of signs, three seeds; recipes made from small have it",
)
_LEVELS = Remedy(
    "assigner.range_strides",
    "which sizes of objects each level answers for",
    "How `small` got its settings",
    "4 strides beat 8 on a part of BCCD in one seed; no difference on signs",
)

REMEDIES: dict[str, tuple[Remedy, ...]] = {
    "class": (
        _PRETRAINED,
        Remedy(
            "assigner.class_loss: bce with APS",
            "points are chosen by how well they tell classes apart",
            "Which reading of APS",
            "a gain on the embedded set, none on signs, and the least steady there",
        ),
    ),
    "box": (
        _START,
        Remedy("--recipe small_gfl", "boxes as distributions over bins, learned with the distribution focal loss"),
    ),
    "both": (_PRETRAINED, _LEVELS),
    "duplicate": (
        Remedy("postprocess.nms", "a lower IoU takes more neighbours away; it costs objects that stand close"),
        Remedy("--assigner APS or SimOTA", "fewer positive points an object leave fewer boxes to suppress"),
    ),
    "background": (
        Remedy(
            "criterion.quality_target: centerness",
            "the quality branch learns to be silent away from the middle of objects",
            "FCOS on BCCD",
            "better than GIoU where boxes began at 0; with today's start it cannot be told",
        ),
        Remedy("data", "unlabelled objects count as background: look at the false positives of best score first"),
    ),
    "missed": (
        _LEVELS,
        Remedy("resize.short", "larger pictures, so that small objects hold points"),
        Remedy("postprocess.threshold", "a lower one keeps fainter boxes; AP wants 0.05 or less"),
    ),
    ALIGNMENT: (
        Remedy(
            "--recipe small_mmmc",
            "RFA, and labels that both tasks choose together (APS)",
            "The paper's rows",
            "1.5 AP above FCOS on BCCD, 0.8 below it on signs, three seeds each",
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


def largest_losses(costs: Costs, tide: Tide) -> list[Loss]:
    """The three that cost most, the largest first; none that costs nothing. `CAUTION` belongs beside them."""
    losses = [
        Loss(kind, cost, "AP50", f"{kind} errors: {KINDS[kind]}", REMEDIES[kind]) for kind, cost in tide.costs.items()
    ]
    if ALIGNMENT in costs.ap:
        meaning = "misalignment: a good box was there, and a worse one had the better score"
        losses.append(Loss(ALIGNMENT, costs.gain(ALIGNMENT), "AP", meaning, REMEDIES[ALIGNMENT]))
    return sorted((loss for loss in losses if loss.cost > 0), key=lambda loss: -loss.cost)[:SHOWN]
