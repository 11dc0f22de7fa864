"""Results as files and tables of scores: what is refused, what survives."""

from __future__ import annotations

import io
import json
import math

import numpy as np
import pytest
import torch
from evaluation_scenes import CATEGORY_IDS, A, B, found, random_set, truth
from rich.console import Console

from mmmc.evaluate import (
    NUMBERS,
    Scores,
    score,
    tables,
    to_results,
    write_results,
)
from mmmc.structures import Detections


@pytest.fixture(scope="module")
def scene():
    ground_truth, detections = random_set()
    return ground_truth, to_results(detections, CATEGORY_IDS)


def detections(image_id: int, *boxes: list[float]) -> Detections:
    return Detections(
        torch.tensor(boxes).view(-1, 4), torch.linspace(0.9, 0.1, len(boxes)), torch.arange(len(boxes)), image_id
    )


def test_results_are_what_coco_takes():
    results = to_results([detections(9, [0.1, 2, 10.3, 5], [1, 1, 2, 4]), detections(4), detections(2, A)], (7, 3))
    assert [(r["image_id"], r["category_id"]) for r in results] == [(2, 7), (9, 7), (9, 3)]
    assert set(results[0]) == {"image_id", "category_id", "bbox", "score"}
    assert results[2]["bbox"] == [1.0, 1.0, 1.0, 3.0]
    # float32 numbers, subtracted in float64.
    low, high = float(np.float32(0.1)), float(np.float32(10.3))
    assert results[1]["bbox"] == [low, 2.0, high - low, 3.0]
    assert {type(value) for r in results for value in [*r["bbox"], r["score"]]} == {float}


def test_a_picture_twice_is_refused():
    with pytest.raises(ValueError, match="id 4"):
        to_results([detections(4, A), detections(2), detections(4)], (7,))


def test_the_way_through_a_file_changes_no_number(tmp_path, scene):
    path = tmp_path / "new" / "results.json"
    write_results(path, scene[1])
    again = json.loads(path.read_text())
    assert again == scene[1]
    assert [file.name for file in path.parent.iterdir()] == ["results.json"]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "results.json"
    write_results(path, found((1, 7, A, 0.9)))
    before = path.read_text()
    with pytest.raises(ValueError, match="JSON"):
        write_results(path, found((1, 7, A, math.nan)))
    assert path.read_text() == before
    assert list(tmp_path.iterdir()) == [path]


def test_scores_survive_json(scene):
    scores = score(*scene)
    text = json.dumps(scores.to_dict(), allow_nan=False)
    again = Scores.from_dict(json.loads(text))
    assert again.to_dict() == scores.to_dict()
    assert repr(again) == repr(scores)  # NaN is not equal to itself, its text is.
    assert json.loads(text)["per_class"]["class 9"]["AP"] is None
    assert scores.numbers()["AP"] == scores.AP
    assert tuple(scores.numbers()) == NUMBERS


def test_tables_show_percent_and_a_dash_for_what_is_undefined():
    scores = score(truth((1, 7, A, 0), (1, 7, B, 0)), found((1, 7, A, 0.9)))
    console = Console(file=io.StringIO(), width=80)
    console.print(tables(scores))
    lines = [line.replace("│", " ").split() for line in console.file.getvalue().splitlines()]
    assert ["50.5", "50.5", "50.5", "100.0", "0.0", "–"] in lines
    assert ["cat", "2", "50.5", "50.5", "50.5"] in lines
    assert ["dog", "0", "–", "–", "–"] in lines


def test_a_class_name_is_no_markup():
    ground_truth = truth((1, 7, A, 0))
    ground_truth["categories"][0]["name"] = "[/red]"
    console = Console(file=io.StringIO(), width=80)
    console.print(tables(score(ground_truth, [])))
    assert "[/red]" in console.file.getvalue()
