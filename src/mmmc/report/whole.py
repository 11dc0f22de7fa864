"""A run as one page: how it went, what it scores, what it sees, what it loses, and how to repeat it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from mmmc import draw
from mmmc.data.coco import CocoSet
from mmmc.evaluate import NUMBERS, percent
from mmmc.files import write_text
from mmmc.gallery import evenly
from mmmc.misalignment.words import CAUTION
from mmmc.misalignment.working import SCORES
from mmmc.page import chapters, page
from mmmc.predictor import Predictor
from mmmc.report import html
from mmmc.report.findings import Findings, find
from mmmc.report.run import worst
from mmmc.report.tables import Table, evaluations, tables, words
from mmmc.report.views import Views
from mmmc.structures import Batch
from mmmc.training.folder import RunFolder
from mmmc.training.journal import read_metrics

MOST = 500
"""Pictures that a report looks at unless it is told otherwise."""

_CONFUSED = 10
_STYLE = """
nav { font-size: 13px; margin: 1rem 0; } h3 { font-size: 1rem; margin: 1.4rem 0 .2rem; }
.loss { white-space: pre-line; }
.many figure { width: 31rem; } .small figure { width: 14.5rem; } .many img, .small img { width: 100%; }
pre { font: 12px/1.4 ui-monospace, monospace; columns: 22rem; white-space: pre-wrap; }
@media print { nav { display: none; } .many figure { width: 46%; } .small figure { width: 29%; } }
"""


_FALSE = (
    "Solid: the best-scored of the detections with score {:.2f} or more that COCO counts as false. Dashed: the objects "
    "near them."
)
_MISSED = (
    "Dashed: the largest of the objects that no detection of their class with score {:.2f} or more found. Solid: "
    "detections near them."
)
_LABELS = (
    "Where the run's assigner puts its labels when training ends, a panel for each level: crosses have the colour of "
    "their object and grow with their weight."
)


def report_run(
    predictor: Predictor, pictures: CocoSet, batches: Iterable[Batch], path: Path, out: Path, *, of: int, weights: str
) -> tuple[Path, Findings]:
    """Write `report.html`, whole or not at all.

    Args:
        predictor: of the run.
        pictures: to score.
        batches: they as they are scored.
        path: the run's folder.
        out: where the page is written; made if it is not there.
        of: pictures that there are in all.
        weights: what the predictor's are called.

    Returns:
        The file, and what was found.

    Raises:
        InputError: the folder holds no run, or the file cannot be written.
    """
    folder = RunFolder(path)
    folder.require()
    found = find(predictor, pictures, batches, path)
    views = Views(predictor, pictures, found)
    rows = read_metrics(folder.metrics) if folder.metrics.is_file() else []
    body = chapters(
        [
            ("Scores", [_paragraph(_looked_at(found, of, weights)), *map(html.table, _scores(found, rows))]),
            ("Training", [html.drawn("Losses, average precision, learning rate, positives.", draw.curves(rows))]),
            ("Precision, recall and F1", _curves(found)),
            ("Confusion", _confusion(found)),
            ("Labels and predictions", _galleries(found, views)),
            ("False positives", _gallery(views.false_positives(), "small", _FALSE.format(found.threshold))),
            ("Misses", _gallery(views.misses(), "small", _MISSED.format(found.threshold))),
            ("Label maps", _gallery(views.labels(), "", _LABELS)),
            ("Diagnosis", _diagnosis(found, predictor, pictures)),
            ("Recipe", [f"<pre>{escape(folder.recipe.read_text(encoding='utf-8'))}</pre>"]),
            ("Environment", _environment(folder.environment)),
        ]
    )
    file = out / "report.html"
    document = page(f"Report of {path.resolve().name}", body, _STYLE)
    write_text(file, document)
    return file, found


def chosen(pictures: CocoSet, most: int = MOST) -> CocoSet:
    """At most so many pictures, at least two, spread over the set."""
    return pictures.subset(evenly(len(pictures), most)) if most < len(pictures) else pictures


def _looked_at(found: Findings, of: int, weights: str) -> str:
    looked = len(found.truth.image_ids)
    pictures = f"all {looked} pictures" if looked == of else f"{looked} of {of} pictures, spread evenly over the set,"
    return (
        f"The weights “{weights}” on {pictures} with {found.diagnosis.objects} objects. Where a report needs one score "
        f"threshold it is {found.threshold:.2f}, that of the best F1 of all classes together on these same pictures."
    )


def _scores(found: Findings, rows: Iterable[Mapping[str, Any]]) -> list[Table]:
    notes = ("COCO's numbers × 100. s, m, l: objects of area up to 32², to 96² and above, in pixels of the file.",)
    numbers = [
        Table(title, note, ("", *names), (("all classes", *(percent(getattr(found.scores, n)) for n in names)),))
        for title, note, names in (
            ("Average precision", notes, NUMBERS[:6]),
            ("Average recall, with 1, 10 and 100 detections of a class and picture", (), NUMBERS[6:]),
        )
    ]
    classes = Table(
        "By class",
        ("Score, F1, precision and recall: at the score threshold of the class's best F1, IoU 0.5.",),
        ("class", "objects", "AP", "AP50", "AP75", "score", "F1", "precision", "recall"),
        tuple(
            (
                name,
                str(one.objects),
                *map(percent, (one.AP, one.AP50, one.AP75)),
                *(f"{value:.2f}" for value in (best.score, best.f1, best.precision, best.recall)),
            )
            for (name, one), best in zip(found.scores.per_class.items(), found.best.values(), strict=True)
        ),
    )
    evaluated = [row for row in rows if row["kind"] == "val"]
    return [*numbers, classes, *([evaluations(evaluated)] if evaluated else [])]


def _curves(found: Findings) -> list[str]:
    precision = {name: one.precision for name, one in found.scores.per_class.items() if one.precision}
    f1 = {
        name: line
        for name, line in zip(found.working.names, found.working.f1().tolist(), strict=True)
        if not math.isnan(line[0])
    }
    figure = draw.precision_and_f1(precision, SCORES, f1, found.working.f1_of_all(), found.threshold)
    return [html.drawn("Precision as COCO averages it for AP50; F1 of all detections of each score or more.", figure)]


def _confusion(found: Findings) -> list[str]:
    seen = found.confusion
    said = (
        f"Score {seen.threshold:.2f} or more, IoU {seen.iou:g}. Matched twice as COCO does: first within classes, "
        "which is the diagonal; then what is left over, without regard to classes."
    )
    wrong = seen.counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_CONFUSED]
    places = [divmod(place, len(wrong)) for place in order.tolist() if wrong.flat[place]]
    objects, answers = (*seen.names, "background"), (*seen.names, "missed")
    often = Table(
        "The most frequent",
        (),
        ("object", "said", "times"),
        tuple((objects[row], answers[column], str(wrong[row, column])) for row, column in places),
    )
    figure = html.drawn("Rows: what is there. Columns: what was said.", draw.confusion_matrix(seen.counts, seen.names))
    return [_paragraph(said), figure, *([html.table(often)] if places else [])]


def _galleries(found: Findings, views: Views) -> list[str]:
    said = f"Left the labels, right the predictions of score {found.threshold:.2f} or more."
    kinds = {"Spread evenly over the set": views.some(), "Best F1": views.best(), "Worst F1": views.worst()}
    drawn = [(title, "".join(pictures)) for title, pictures in kinds.items()]
    return [_paragraph(said), *(f'<h3>{title}</h3><div class="many">{shown}</div>' for title, shown in drawn if shown)]


def _gallery(pictures: Iterable[str], size: str, said: str) -> list[str]:
    shown = "".join(pictures)
    return [_paragraph(said), f'<div class="{size}">{shown}</div>'] if shown else []


def _diagnosis(found: Findings, predictor: Predictor, pictures: CocoSet) -> list[str]:
    seen = found.diagnosis
    shown = "".join(html.drawn(picture.caption, picture.figure) for picture in worst(predictor, pictures, found.apart))
    return [
        *(f'<p class="loss">{escape(text)}</p>' for text in words(seen)),
        _paragraph(CAUTION, "note"),
        # The first says what the chapter of scores has said.
        *map(html.table, tables(seen)[1:]),
        *([f'<h3>The objects that lose the most overlap</h3><div class="small">{shown}</div>'] if shown else []),
        *(_paragraph(sentence, "note") for sentence in seen.absent),
    ]


def _environment(file: Path) -> list[str]:
    if not file.is_file():
        return []
    around = json.loads(file.read_text(encoding="utf-8"))
    packages = around.pop("packages")
    rows = [*packages.items(), *((name, ", ".join(v) if isinstance(v, list) else v) for name, v in around.items())]
    return [html.table(Table("What the run ran on", (), ("", ""), tuple((n, str(v) or "–") for n, v in rows)))]


def _paragraph(text: str, kind: str = "") -> str:
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"
