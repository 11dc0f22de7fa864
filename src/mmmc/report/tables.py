"""The tables of a diagnosis, for the terminal and for the page alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group
from rich.markup import escape
from rich.table import Table as Grid

from mmmc.evaluate import NUMBERS, percent
from mmmc.label_measures import MEASURES
from mmmc.misalignment import Diagnosis
from mmmc.misalignment.apart import DISTANCES, LEVELS, Apart, groups
from mmmc.misalignment.calibration import CONFIDENT
from mmmc.misalignment.flags import SIZES
from mmmc.misalignment.oracles import NEED_BEFORE, ORACLES, PLAIN
from mmmc.misalignment.tide import BACKGROUND, FOREGROUND, KINDS
from mmmc.misalignment.words import CAUTION, RESULTS


@dataclass(frozen=True)
class Share:
    """A fraction that a page draws as a bar."""

    value: float

    def __str__(self) -> str:
        return "–" if math.isnan(self.value) else f"{self.value:.0%}"


Cell = str | Share

BEFORE = (
    "Boxes before suppression are those kept until then: of a run, class probability above postprocess.threshold "
    "and the best postprocess.per_level of each level."
)


@dataclass(frozen=True)
class Table:
    """A table with what is to be known of it.

    Attributes:
        title: of the table.
        notes: sentences.
        columns: their titles, the first for the names of the rows.
        rows: as many cells each.
    """

    title: str
    notes: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def tables(found: Diagnosis) -> list[Table]:
    """All that there are, in the order of reading."""
    return [
        *(_scores(found), _misalignment(found), _by_class(found), _errors(found), _trust(found)),
        *([_bins(found)] if any(part.detections for part in found.trust.bins) else []),
        *([] if found.apart is None else _points(found.apart, found.names)),
        *([] if found.labels is None else [_labels(found.labels)]),
    ]


def evaluations(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The best and the last evaluation of a training, from the lines of its journal of kind `val`; at least one."""
    best = max(rows, key=lambda row: row.get("AP", -1.0))
    return Table(
        "In training, on all pictures to score",
        ("Averaged weights (EMA) where the recipe has them.",),
        ("", "epoch", *NUMBERS[:6]),
        tuple(
            (name, str(row["epoch"]), *(percent(row.get(n, math.nan)) for n in NUMBERS[:6]))
            for name, row in (("best", best), ("last", rows[-1]))
        ),
    )


def words(found: Diagnosis) -> list[str]:
    """The largest losses and what is there against each, a paragraph each."""
    if not found.losses:
        return [_without_losses(found)]
    paragraphs = []
    for number, loss in enumerate(found.losses, 1):
        lines = [f"{number}. {loss.meaning} ({percent(loss.cost)} {loss.unit})."]
        if not loss.remedies:
            lines.append("The run has all that mmmc knows against it.")
        for remedy in loss.remedies:
            measured = f" Measured: {RESULTS}, “{remedy.place}”: {remedy.finding}." if remedy.place else ""
            lines.append(f"{remedy.option}: {remedy.why}.{measured or ' Not measured here.'}")
        paragraphs.append("\n".join(lines))
    return paragraphs


def _without_losses(found: Diagnosis) -> str:
    """Of a perfect detector, or of one that is so far off that mending one kind of error brings nothing."""
    ap = found.costs.total(PLAIN)
    if not found.objects:
        return "There is no object to find, so nothing can cost AP."
    if not found.detections:
        return f"There is no detection: all {found.objects} objects are missed, and AP is {percent(ap)}."
    if ap < 1:
        return f"AP is {percent(ap)}, and mending no single kind of error would raise it: look at the counts of errors."
    return "Nothing that is measured here costs AP."


def on_terminal(found: Diagnosis) -> Group:
    """For `rich.print`."""
    parts: list[Grid | str] = ["[bold]The largest losses[/bold]", *(escape(text) for text in words(found)), CAUTION, ""]
    for table in tables(found):
        grid = Grid(title=escape(table.title), title_justify="left", caption_justify="left")
        for place, title in enumerate(table.columns):
            grid.add_column(escape(title), justify="right" if place else "left")
        for row in table.rows:
            grid.add_row(*(escape(str(cell)) for cell in row))
        parts += [grid, *(escape(note) for note in table.notes), ""]
    return Group(*parts, *(escape(sentence) for sentence in found.absent))


def headline(found: Diagnosis) -> str:
    """What was looked at."""
    return f"{found.detections} detections of {found.objects} objects in {found.pictures} pictures"


def _scores(found: Diagnosis) -> Table:
    costs = found.costs
    return Table(
        headline(found),
        ("COCO's AP × 100.",),
        ("", "AP", "AP50", "AP75", "APs", "APm", "APl"),
        (
            (
                "all classes",
                *map(percent, (costs.total(PLAIN), costs.at(PLAIN, 0), costs.at(PLAIN, 5))),
                *(percent(costs.total(PLAIN, size)) for size in SIZES[1:]),
            ),
        ),
    )


def _misalignment(found: Diagnosis) -> Table:
    costs = found.costs
    rows = tuple(
        (
            name,
            percent(costs.total(kind)),
            *(percent(costs.gain(kind, size)) for size in SIZES),
            *(percent(costs.at(kind, place) - costs.at(PLAIN, place)) for place in (0, 5)),
        )
        for kind, name in ORACLES.items()
        if kind in costs.ap
    )
    return Table(
        "Misalignment, as AP",
        (
            "AP with each oracle, and what it adds: in all, by COCO's sizes, and at IoU 0.5 and 0.75. The gains do not "
            "add up.",
            "Alignment: false positives that touch an object take its place in the ranking, where a box that is good "
            "enough was there before suppression. Box: the same wherever they touch one. Score: true positives rank "
            "first. Ceiling: the best that any ranking of the boxes before suppression could reach.",
            *((BEFORE,) if NEED_BEFORE[0] in costs.ap else ()),
        ),
        ("", "AP", "+ all", *(f"+ {size}" for size in SIZES[1:]), "+ AP50", "+ AP75"),
        rows,
    )


def _by_class(found: Diagnosis) -> Table:
    kinds = [kind for kind in ORACLES if kind in found.costs.ap]
    labels = [label for label in range(len(found.names)) if not math.isnan(found.costs.of_class(PLAIN, label))]
    return Table(
        "Misalignment by class",
        ("AP of each class and what each oracle adds. Classes without objects are left out.",),
        ("class", "AP", *(f"+ {ORACLES[kind]}" for kind in kinds)),
        tuple(
            (
                found.names[label],
                percent(found.costs.of_class(PLAIN, label)),
                *(percent(found.costs.class_gain(kind, label)) for kind in kinds),
            )
            for label in labels
        ),
    )


def _errors(found: Diagnosis) -> Table:
    tide = found.tide
    return Table(
        "Errors, as AP50 (TIDE)",
        (
            f"What mending all errors of one kind alone would add to AP at IoU {FOREGROUND} (here "
            f"{percent(tide.AP50)}); up to IoU {BACKGROUND} a detection lies on the background. The costs do not "
            "add up.",
        ),
        ("error", "errors", "costs AP50"),
        tuple(
            (f"{kind}: {meaning}", str(tide.counts[kind]), percent(tide.costs[kind])) for kind, meaning in KINDS.items()
        ),
    )


def _trust(found: Diagnosis) -> Table:
    trust = found.trust
    return Table(
        "Can the scores be trusted?",
        (
            "Rank correlation is 1 where the better score always has the better box. D-ECE (Küppers et al. 2020, over "
            "the score alone, hits by COCO's matching at IoU 0.5) is 0 where a score is the share of hits.",
            *(() if trust.probable else ("Here are scores below 0 or above 1, so no score is a share: no D-ECE.",)),
        ),
        ("", "value"),
        (
            ("rank correlation of score and IoU, detections that found an object", _number(trust.correlation_true)),
            ("rank correlation of score and IoU, all detections", _number(trust.correlation_all)),
            ("calibration error (D-ECE), all detections", _number(trust.error)),
            (f"calibration error (D-ECE), score {CONFIDENT} or more", _number(trust.error_confident)),
        ),
    )


def _bins(found: Diagnosis) -> Table:
    return Table(
        "Score and share of hits",
        (),
        ("score", "detections", "mean score", "hits"),
        tuple(
            (f"{part.low:.2f}–{part.high:.2f}", str(part.detections), _number(part.score), Share(part.precision))
            for part in found.trust.bins
            if part.detections
        ),
    )


def _points(apart: Apart, names: Sequence[str]) -> list[Table]:
    notes = {
        "strides": "Share of the objects at each distance, in strides of the level of the best-overlapping point, and "
        "the overlap that the best-scored point falls short of. "
        f"{int(apart.without.sum())} objects hold no point and are left out.",
        "levels": "Share of the objects by the levels between their two points.",
    }
    table = groups(apart, names)
    return [
        Table(
            f"From the best-scored to the best-overlapping point, in {name}",
            (notes[name],),
            ("objects of", "objects", "IoU lost", *columns),
            tuple(
                (
                    group,
                    str(values["objects"]),
                    f"{values['lost_iou']:.2f}",
                    *(Share(values[name][column]) for column in columns),
                )
                for group, values in table.items()
            ),
        )
        for name, columns in (("strides", DISTANCES), ("levels", LEVELS))
    ]


def _labels(labels: Mapping[str, Any]) -> Table:
    sizes = [name.removeprefix("objects_") for name in labels if name.startswith("objects_") and labels[name]]
    levels = sorted({name.split("_")[0] for name in labels if name.startswith("P")})
    without, fallback = (Share(float(labels.get(name, math.nan))) for name in ("without", "fallback"))
    return Table(
        f"Labels in training, epoch {labels['epoch']:g}",
        (
            f"{MEASURES['without']}: {without}; {MEASURES['fallback']}: {fallback}. Objects by size in pixels of the "
            "batch, and the share with a positive point on each level.",
        ),
        ("size in px", "objects", "no point in the box", *levels),
        tuple(
            (
                size,
                f"{labels[f'objects_{size}']:.0f}",
                *(Share(float(labels.get(f"{name}_{size}", math.nan))) for name in ("no_point", *levels)),
            )
            for size in sizes
        ),
    )


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"
