"""Confusion and F1 by COCO's matches: by hand, and what must hold of any set."""

from __future__ import annotations

import numpy as np
import pytest

from mmmc.misalignment import Boxes, Truth
from mmmc.misalignment.arrays import overlaps
from mmmc.misalignment.confusion import Confusion, confusion
from mmmc.misalignment.flags import MOST, Verdicts
from mmmc.misalignment.working import SCORES, Working, working
from mmmc.thresholds import best_thresholds

from .sets import box, coco, object, random_set


def measured(truth: dict, results: list, threshold: float) -> tuple[Confusion, Working]:
    objects = Truth.from_coco(truth)
    boxes = Boxes.from_coco(results, objects)
    boxes = boxes[boxes.first(MOST, by_class=True)]
    flags = Verdicts(boxes, objects, overlaps(boxes, objects))(0.5)
    return confusion(boxes, objects, flags, threshold, 0.5), working(boxes, objects, flags)


def test_by_hand() -> None:
    truth = coco(
        [
            object(0, 0, 10, 10),  # found, though another class is surer there
            object(50, 0, 10, 10),  # taken for class 1
            object(100, 0, 10, 10, label=1),  # seen too faintly
            object(150, 0, 10, 10, label=1),  # not seen
            object(200, 0, 50, 50, crowd=True),
        ],
        classes=2,
    )
    results = [
        box(0.9, 0, 0, 10, 10, label=1),
        box(0.8, 0, 0, 10, 9),
        box(0.7, 50, 0, 10, 10, label=1),
        box(0.3, 100, 0, 10, 10, label=1),
        box(0.6, 300, 0, 10, 10),  # nothing there
        box(0.6, 210, 5, 10, 10),  # in the crowd of its class: counts neither way
        box(0.6, 210, 5, 10, 10, label=1),  # another class: it does
    ]
    seen, at_work = measured(truth, results, 0.5)
    assert seen.counts.tolist() == [[1, 1, 0], [0, 0, 2], [1, 2, 0]]
    assert measured(truth, results, 0.3)[0].counts.tolist() == [[1, 1, 0], [0, 1, 1], [1, 2, 0]]
    # At 0.5: class 0 keeps two, one hits, of two objects; class 1 keeps three and hits none of two.
    assert at_work.f1()[:, 50].tolist() == [pytest.approx(2 * 1 / (2 + 2)), 0]
    assert at_work.f1_of_all()[50] == pytest.approx(2 * 1 / (5 + 4))
    assert at_work.f1_of_all()[30] == pytest.approx(2 * 2 / (6 + 4))
    # At 0.61 and up to 0.7 three are kept and one hits; to 0.8 two.
    assert at_work.best() == pytest.approx(0.3)


@pytest.mark.parametrize("seed", range(20))
def test_every_object_and_detection_is_counted_once(seed: int) -> None:
    truth, results, _ = random_set(seed)
    objects = Truth.from_coco(truth)
    threshold = 0.4
    seen, at_work = measured(truth, results, threshold)
    assert seen.counts[-1, -1] == 0
    alive = objects.label[~objects.crowd]
    assert seen.counts[:-1].sum(axis=1).tolist() == np.bincount(alive, minlength=3).tolist()
    place = int(np.flatnonzero(np.isclose(SCORES, threshold))[0])
    # Columns are the detections kept, the diagonal their hits, as the evaluator of F1 thresholds has them.
    assert seen.counts[:, :-1].sum(axis=0).tolist() == at_work.kept[:, place].tolist()
    assert np.diag(seen.counts)[:-1].tolist() == at_work.hits[:, place].tolist()
    f1 = at_work.f1()
    for label, best in best_thresholds(truth, results).items():
        if at_work.objects[label]:
            assert np.nanmax(f1[label]) <= best.f1 + 1e-12
        else:
            assert np.isnan(f1[label]).all()


def test_without_objects_and_without_detections() -> None:
    seen, at_work = measured(coco([]), [box(0.9, 0, 0, 5, 5)], 0.5)
    assert seen.counts.tolist() == [[0, 0], [1, 0]]
    assert np.isnan(at_work.f1_of_all()).all()
    assert at_work.best() == 0.5
    seen, at_work = measured(coco([object(0, 0, 5, 5)]), [], 0.5)
    assert seen.counts.tolist() == [[0, 1], [0, 0]]
    assert at_work.best() == 0.5


def test_more_detections_of_a_picture_than_coco_looks_at_of_a_class() -> None:
    """Each class has fewer than COCO's number, all together have more; each lies on an object of another class."""
    places = [(15.0 * (number % 20), 15.0 * (number // 20), 10.0, 10.0) for number in range(MOST + 20)]
    truth = coco([object(*place) for place in places], classes=3)
    results = [box(0.9 - 0.001 * number, *place, label=1 + number % 2) for number, place in enumerate(places)]
    half = len(places) // 2
    assert measured(truth, results, 0.5)[0].counts.tolist() == [[0, half, half, 0], [0] * 4, [0] * 4, [0] * 4]
