"""TIDE's costs are TIDE's."""

from __future__ import annotations

import pytest
from tidecv import TIDE, Data

from mmmc.misalignment.tide import KINDS, MOST, Tide, tide

from .sets import Row, box, coco, object, prepared, random_set

SHORT = {"class": "Cls", "box": "Loc", "both": "Both", "duplicate": "Dupe", "background": "Bkg", "missed": "Miss"}


def measured(ground_truth: dict, results: list[Row]) -> Tide:
    truth, boxes, pairs, verdicts = prepared(ground_truth, results)
    return tide(boxes, truth, verdicts(0.5), pairs)


def corners(row: Row) -> list[float]:
    x, y, width, height = row["bbox"]
    return [x, y, x + width, y + height]


@pytest.mark.parametrize("block", range(5))
def test_costs_are_those_of_tidecv(block: int) -> None:
    """On 100 sets without crowd regions, whose code tidecv-light leaves out."""
    kinds: set[str] = set()
    for seed in range(20 * block, 20 * block + 20):
        ground_truth, results, _ = random_set(seed, crowds=False, pictures=6)
        truth, found = Data("truth"), Data("found")
        for row in ground_truth["annotations"]:
            truth.add_ground_truth(row["image_id"], row["category_id"], corners(row))
        for row in results:
            found.add_detection(row["image_id"], row["category_id"], row["score"], corners(row))
        run = TIDE().evaluate(truth, found, mode=TIDE.BOX)
        expected = {kind.short_name: cost for kind, cost in run.fix_main_errors().items()}
        counts = {kind.short_name: len(errors) for kind, errors in run.error_dict.items()}

        ours = measured(ground_truth, results)

        assert run.ap == pytest.approx(100 * ours.AP50, abs=1e-6)
        assert {SHORT[kind]: 100 * cost for kind, cost in ours.costs.items()} == pytest.approx(expected, abs=1e-6)
        assert {SHORT[kind]: count for kind, count in ours.counts.items()} == counts
        kinds |= {kind for kind, cost in ours.costs.items() if cost}
    assert kinds == set(KINDS)


def test_more_than_a_hundred_detections_of_a_picture() -> None:
    truth = coco([object(0, 0, 100, 100), object(200, 0, 100, 100)])
    faint = box(0.1, 200, 0, 100, 100)
    noise = [box(0.9 - k / 1000, 350, 350, 10, 10) for k in range(MOST - 1)]
    ours = measured(truth, [box(0.95, 0, 0, 100, 100), *noise, faint])
    # TIDE does not look at the last one, so its object is missed.
    assert (ours.counts["background"], ours.counts["missed"]) == (MOST - 1, 1)
    assert pytest.approx(51 / 101) == ours.AP50


def test_what_lies_in_a_crowd_region_is_no_error() -> None:
    truth = coco([object(0, 0, 100, 100), object(200, 200, 150, 150, crowd=True)])
    ours = measured(truth, [box(0.9, 220, 220, 20, 20), box(0.8, 0, 0, 100, 100)])
    assert ours.AP50 == 1
    assert set(ours.counts.values()) == {0}


def test_nothing_found() -> None:
    ours = measured(coco([object(0, 0, 10, 10)]), [])
    assert (ours.AP50, ours.counts["missed"]) == (0, 1)
