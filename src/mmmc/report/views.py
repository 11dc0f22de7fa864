"""The pictures of a run's report: labels and predictions, what was found wrongly, what was missed, where labels lie."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64, UInt8
from torch import Tensor
from torchvision.transforms.v2 import functional

from mmmc import draw
from mmmc.data.coco import CocoSet
from mmmc.data.pictures import read_picture
from mmmc.gallery import draw_comparison, draw_labels, evenly
from mmmc.page import Picture
from mmmc.predictor import Predictor
from mmmc.report import html
from mmmc.report.findings import Findings
from mmmc.structures import Detections

Rows = Int64[np.ndarray, " _"]

SHOWN = 6
"""Pictures of a kind; a report is made in seconds and sent by mail."""

LABELLED = 2
"""Pictures whose labels are drawn."""

_WIDEST = 1100
_QUALITY = 82


class Views:
    """Draws pictures of a set as HTML.

    Args:
        predictor: of the run.
        pictures: the set.
        found: what was found on it.
    """

    def __init__(self, predictor: Predictor, pictures: CocoSet, found: Findings) -> None:
        self.predictor, self.pictures, self.found = predictor, pictures, found
        index_of = {pictures.image_id(index): index for index in range(len(pictures))}
        self._index = [index_of[id] for id in found.truth.image_ids.tolist()]

    def some(self) -> Iterator[str]:
        """Pictures that nobody chose."""
        yield from map(self._pair, evenly(len(self.pictures), SHOWN))

    def best(self) -> Iterator[str]:
        """Those of the best F1; at most half of all, so that none is among the worst too."""
        rows, f1 = self.found.ranked()
        yield from self._ranked(rows[: min(SHOWN, len(rows) // 2)], f1)

    def worst(self) -> Iterator[str]:
        """Those of the worst F1, the worst first."""
        rows, f1 = self.found.ranked()
        yield from self._ranked(rows[::-1][: min(SHOWN, -(-len(rows) // 2))], f1[::-1])

    def false_positives(self) -> Iterator[str]:
        """The detections of best score that found nothing."""
        boxes, names = self.found.boxes, self.found.truth.names
        for row in self.found.false_positives(SHOWN).tolist():
            objects = self.found.truth.picture == boxes.picture[row]
            said = f"{names[boxes.label[row]]} {boxes.score[row]:.2f}"
            yield self._cutout(int(boxes.picture[row]), boxes.xywh[row], np.flatnonzero(objects), np.array([row]), said)

    def misses(self) -> Iterator[str]:
        """The largest objects that were not found, with the detections near them."""
        truth, boxes, names = self.found.truth, self.found.boxes, self.found.truth.names
        for row in self.found.misses(SHOWN).tolist():
            near = (boxes.picture == truth.picture[row]) & (boxes.score >= self.found.threshold)
            width, height = truth.xywh[row, 2:]
            said = f"{names[truth.label[row]]}, {width:.0f} × {height:.0f} px"
            yield self._cutout(int(truth.picture[row]), truth.xywh[row], np.array([row]), np.flatnonzero(near), said)

    def labels(self) -> Iterator[str]:
        """Where the run's assigner puts labels when training ends: the picture with most objects and another."""
        counts = [len(self.pictures.objects(index).labels) for index in range(len(self.pictures))]
        ranked = sorted(range(len(counts)), key=lambda index: -counts[index])
        middle = sum(count > 0 for count in counts) // 2
        for index in dict.fromkeys((ranked[0], ranked[middle])):
            figure = draw_labels(self.predictor, self.pictures, index)
            yield html.drawn(
                f"{self.pictures.names[index]}: the points of each object, level by level.", figure, photos=True
            )

    def _ranked(self, rows: Rows, f1: np.ndarray) -> Iterator[str]:
        for row, value in zip(rows.tolist(), f1.tolist(), strict=False):
            yield self._pair(self._index[row], f", F1 {value:.2f}")

    def _pair(self, index: int, said: str = "") -> str:
        pair = draw_comparison(self.predictor, self.pictures, index, self.found.threshold)
        return _jpeg(f"{self.pictures.names[index]}{said}", pair)

    def _cutout(self, picture: int, xywh: np.ndarray, objects: Rows, detections: Rows, said: str) -> str:
        index, truth, boxes = self._index[picture], self.found.truth, self.found.boxes
        found = Detections(
            _corners(boxes.xywh[detections]),
            torch.from_numpy(boxes.score[detections]).float(),
            torch.from_numpy(boxes.label[detections]),
            self.pictures.image_id(index),
        )
        x1, y1, x2, y2 = _corners(xywh[None])[0].tolist()
        labelled = _corners(truth.xywh[objects]), torch.from_numpy(truth.label[objects])
        image = read_picture(self.pictures.file(index))
        part = draw.cutout(image, (x1, y1, x2, y2), labelled, found, self.predictor.categories.names)
        return _jpeg(f"{said}, {self.pictures.names[index]}", part)


def _corners(xywh: Float64[np.ndarray, "n 4"]) -> Float[Tensor, "n 4"]:
    return torch.from_numpy(np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)).float()


def _jpeg(caption: str, image: UInt8[Tensor, "3 H W"]) -> str:
    """A picture with its caption, no wider than a page."""
    picture = functional.to_pil_image(image)
    picture.thumbnail((_WIDEST, _WIDEST))
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=_QUALITY)
    return Picture(caption, buffer.getvalue(), "jpeg").html()
