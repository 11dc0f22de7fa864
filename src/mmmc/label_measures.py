"""How well the two tasks agree about a detector's points, and where its labels lie; for any assigner.

Tables 4 and 5 of the paper print a gap and a sum of both losses without saying over which points, or of which class
loss. Here they are means over each object's positive points, then over objects, with focal loss and with binary
cross-entropy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf, log2
from typing import Any

import torch
from jaxtyping import Bool, Float
from rich.console import Group
from rich.table import Table
from torch import Tensor, nn

from mmmc.assign.shared.pairs import Objects, class_losses, gather_objects
from mmmc.boxes import area, paired_giou, paired_iou
from mmmc.model.rfa import TAPS, DeformableConv
from mmmc.structures import Assignment, ObjectState, Points, Prediction, Target

SIZES = (0.0, 8.0, 16.0, 32.0, 64.0, 128.0, inf)
"""Bounds of the groups of objects, by the square root of the box's area in pixels of the batch."""

AGREEMENT = ("gap_focal", "sum_focal", "gap_bce", "sum_bce")
"""How well both tasks agree: the measures that the paper's Tables 4 and 5 are made of."""

SIXTHS = 6
"""Parts of a training at whose ends its record says so; the paper prints five of 15,000 of 90,000 iterations."""


@dataclass
class LabelMeasures:
    """Collects pictures and says what was seen.

    Attributes:
        labels: for each picture which points were positive, to be compared with the next look.
    """

    labels: list[Bool[Tensor, " _"]] = field(default_factory=list)
    _objects: list[dict[str, Float[Tensor, " _"]]] = field(default_factory=list)
    _offsets: dict[str, list[Tensor]] = field(default_factory=dict)
    _strides: tuple[int, ...] = ()

    @torch.no_grad()
    def add(
        self,
        points: Points,
        prediction: Prediction,
        targets: Sequence[Target],
        assignment: Assignment,
        sampling: Sampling | None = None,
    ) -> None:
        """Look at a batch.

        Args:
            points: where the detector looked.
            prediction: what it said.
            targets: the objects.
            assignment: who answers for them.
            sampling: where deformable convolutions looked (`recorded_sampling`).
        """
        self._strides = points.strides
        self.labels += [gt.cpu() for gt in assignment.positive]
        objects = gather_objects(points, targets, torch.float32)
        if objects.labels.shape[1]:
            for which, some in objects.in_turn():
                seen = _object_measures(points, prediction, some, which.start, assignment)
                self._objects += [
                    {name: values[index][:count].cpu() for name, values in seen.items()}
                    for index, count in enumerate(some.counts)
                ]
        for tower, levels in (sampling or {}).items():
            for stride, (offsets, _) in zip(points.strides, levels, strict=True):
                length = offsets.float().unflatten(1, (TAPS, 2)).norm(dim=2)
                self._offsets.setdefault(f"offset_{tower}_{_level(stride)}", []).append(length.flatten().cpu())

    def result(self, before: Sequence[Bool[Tensor, " _"]] = ()) -> dict[str, float]:
        """All measures by name; shares are fractions, and what has no value is left out.

        Args:
            before: `labels` of an earlier look at the same pictures.
        """
        found: dict[str, float] = {}
        if self._objects:
            table = {name: torch.cat([entry[name] for entry in self._objects]) for name in self._objects[0]}
            found |= self._by_object(table)
        for name, lengths in self._offsets.items():
            found[name] = float(torch.cat(lengths).mean())
        if len(before) == len(self.labels) and self.labels:
            pairs = list(zip(before, self.labels, strict=True))
            either = sum(int((a | b).sum()) for a, b in pairs)
            found["changed"] = sum(int((a ^ b).sum()) for a, b in pairs) / max(either, 1)
        return found

    def _by_object(self, table: Mapping[str, Float[Tensor, " _"]]) -> dict[str, float]:
        count, state, size = table["positives"], table["state"], table["size"]
        found = {"objects": float(len(count))}
        if not len(count):
            return found
        for name, share in (("q1", 0.25), ("median", 0.5), ("q3", 0.75)):
            found[f"positives_{name}"] = float(count.quantile(share))
        found["fallback"] = float((state == ObjectState.FALLBACK).float().mean())
        found["without"] = float((count == 0).float().mean())
        for name in ("gap_focal", "sum_focal", "gap_bce", "sum_bce", "rank_correlation"):
            values = table[name][table[name].isfinite()]
            if len(values):
                found[name] = float(values.mean())
        for low, high in pairwise(SIZES):
            group = (size >= low) & (size < high)
            name = f"{low:g}-{high:g}"
            found[f"objects_{name}"] = float(group.sum())
            if group.any():
                found[f"no_point_{name}"] = float(table["no_point"][group].mean())
                for level, stride in enumerate(self._strides):
                    found[f"{_level(stride)}_{name}"] = float((table[f"level {level}"][group] > 0).float().mean())
        return found


def _object_measures(
    points: Points, prediction: Prediction, objects: Objects, first: int, assignment: Assignment
) -> dict[str, Float[Tensor, "B M"]]:
    """Measures of some objects of a batch; NaN where one has none, and arbitrary for fillers.

    Args:
        points: where the detector looked.
        prediction: what it said.
        objects: some that follow one another in each picture.
        first: the number that the first of them has in its picture.
        assignment: of all objects.
    """
    numbers = torch.arange(first, first + objects.labels.shape[1], device=assignment.gt.device)
    own = assignment.gt[:, None] == numbers[None, :, None]
    states = nn.utils.rnn.pad_sequence([state.float() for state in assignment.state], batch_first=True)
    positives = own.sum(dim=2)
    logits, boxes = prediction.logits.float(), prediction.boxes.float()
    predicted, truth = objects.with_each(boxes)
    reg = 1 - paired_giou(predicted, truth)
    found = {
        "size": area(objects.boxes).sqrt(),
        "positives": positives.float(),
        "state": states[:, first : first + objects.labels.shape[1]],
        "no_point": (~objects.in_box.any(dim=2)).float(),
    }
    for level in range(len(points.strides)):
        found[f"level {level}"] = (own & (points.level == level)).sum(dim=2).float()
    for name, cls in (
        ("focal", class_losses(logits, objects.labels)),
        ("bce", class_losses(logits, objects.labels, "bce")),
    ):
        found[f"gap_{name}"] = (cls - reg).abs().masked_fill(~own, 0).sum(dim=2) / positives
        found[f"sum_{name}"] = (cls + reg).masked_fill(~own, 0).sum(dim=2) / positives
    score = logits.mT.gather(1, objects.labels[:, :, None].expand(-1, -1, logits.shape[1]))
    found["rank_correlation"] = rank_correlation(score, paired_iou(predicted, truth), objects.in_box)
    return found


def rank_correlation(
    first: Float[Tensor, "*n P"], second: Float[Tensor, "*n P"], valid: Bool[Tensor, "*n P"]
) -> Float[Tensor, "*n"]:
    """Spearman's correlation over the valid entries of each row; NaN below three, or if all of one are equal.

    1 where the point with the better class score always has the better box; ties take the mean of their ranks.
    """
    ranks = [_ranks(values.masked_fill(~valid, inf)) for values in (first, second)]
    count = valid.sum(dim=-1, keepdim=True)
    a, b = ((r - r.masked_fill(~valid, 0).sum(-1, keepdim=True) / count).masked_fill(~valid, 0) for r in ranks)
    correlation = (a * b).sum(-1) / (a.square().sum(-1) * b.square().sum(-1)).sqrt()
    return correlation.masked_fill(count.squeeze(-1) < 3, torch.nan)


def _ranks(values: Float[Tensor, "*n P"]) -> Float[Tensor, "*n P"]:
    ascending = values.sort(dim=-1).values
    first = torch.searchsorted(ascending, values.contiguous())
    last = torch.searchsorted(ascending, values.contiguous(), right=True)
    return (first + last).to(values.dtype) / 2


Sampling = dict[str, list[tuple[Float[Tensor, "B 18 _ _"], Float[Tensor, "B 9 _ _"]]]]
"""By tower, `class` and `box`, for each level the offsets in cells and the masks of its deformable convolution."""


@contextmanager
def recorded_sampling(detector: nn.Module) -> Iterator[Sampling]:
    """While it lasts, predictions add where the deformable convolutions of each tower look.

    Yields:
        What is filled; empty where there is no such convolution.
    """
    found: Sampling = {}
    hooks = []
    for name, module in detector.named_modules():
        if isinstance(module, DeformableConv):
            levels = found.setdefault(name.split(".")[-2].removesuffix("_tower"), [])

            def note(layer: DeformableConv, inputs: tuple[Tensor], levels: list[Any] = levels) -> None:
                with torch.no_grad(), torch.autocast(inputs[0].device.type, enabled=False):
                    levels.append(layer.sampling(inputs[0].to(layer.weight.dtype)))

            hooks.append(module.register_forward_pre_hook(note))
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def _level(stride: int) -> str:
    return f"P{log2(stride):g}"


MEASURES = {
    "positives_q1": "positives an object, lower quartile",
    "positives_median": "median",
    "positives_q3": "upper quartile",
    "fallback": "objects that had to fall back",
    "without": "objects without a positive",
    "changed": "positives that changed side since the last epoch",
    "gap_focal": "gap |Lc − Lr|, focal loss",
    "sum_focal": "sum Lc + Lr, focal loss",
    "gap_bce": "gap, cross-entropy",
    "sum_bce": "sum, cross-entropy",
    "rank_correlation": "rank correlation of class score and IoU",
}
"""Measures of a whole set, and what they are called in tables."""

SHARES = ("fallback", "without", "changed")


def tables(rows: Sequence[Mapping[str, Any]], columns: int = 6) -> Group:
    """How the measures went over the epochs, and the last epoch's levels by the size of the objects.

    Args:
        rows: results of several epochs, first to last, with their number as `epoch`.
        columns: epochs that are shown, evenly spaced and always with the last.
    """
    count = min(columns, len(rows))
    shown = [rows[round((index + 1) * len(rows) / count) - 1] for index in range(count)]
    last = shown[-1]
    over_epochs = Table(title="labels and losses, by epoch", title_justify="left")
    over_epochs.add_column("")
    for row in shown:
        over_epochs.add_column(f"{row['epoch']:g}", justify="right")
    offsets = {
        name: "offset in cells, {} tower, {}".format(*name.split("_")[1:]) for name in last if name.startswith("offset")
    }
    for name, title in (MEASURES | offsets).items():
        if any(name in row for row in shown):
            over_epochs.add_row(title, *(_cell(row.get(name), name in SHARES) for row in shown))
    by_size = Table(title=f"objects of epoch {last['epoch']:g} by size in px, and the share with a point on each level")
    by_size.add_column("size")
    levels = sorted({name.split("_")[0] for name in last if name.startswith("P")})
    for title in ("objects", "no point in the box", *levels):
        by_size.add_column(title, justify="right")
    for low, high in pairwise(SIZES):
        group = f"{low:g}-{high:g}"
        if last.get(f"objects_{group}"):
            by_size.add_row(
                f"{low:g} – {high:g}" if high < inf else f"from {low:g}",
                f"{last[f'objects_{group}']:.0f}",
                *(_cell(last.get(f"{name}_{group}"), True) for name in ("no_point", *levels)),
            )
    return Group(over_epochs, by_size)


def _cell(value: float | None, share: bool) -> str:
    if value is None:
        return "–"
    return f"{value:.0%}" if share else f"{value:.3g}"
