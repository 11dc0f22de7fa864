from __future__ import annotations

import math

import numpy as np
import pytest

from mmmc.draw import curves


def train(step: int, **values: object) -> dict[str, object]:
    return {"kind": "train", "epoch": 0, "step": step, **values}


def drawn(figure) -> list[dict[str, list]]:
    return [{str(line.get_label()): line.get_xydata().tolist() for line in axes.lines} for axes in figure.axes]


def test_every_value_is_drawn_over_its_step_or_epoch():
    lines = [
        train(10, loss=3.0, **{"loss/box": 2.0, "loss/quality": 1.0}, lr=0.1, positives_per_object=5.5),
        {"kind": "val", "epoch": 0, "AP": 0.2, "AP50": 0.4, "AP75": 0.1},
        train(20, loss=2.5, **{"loss/box": 1.75, "loss/quality": 0.75}, lr=0.05, positives_per_object=6.5),
        {"kind": "val", "epoch": 1, "AP": 0.25, "AP50": 0.5, "AP75": 0.125},
    ]
    losses, precision, rate, positives = drawn(curves(lines))
    assert losses == {"total": [[10, 3], [20, 2.5]], "box": [[10, 2], [20, 1.75]], "quality": [[10, 1], [20, 0.75]]}
    assert precision == {"AP": [[0, 0.2], [1, 0.25]], "AP50": [[0, 0.4], [1, 0.5]], "AP75": [[0, 0.1], [1, 0.125]]}
    assert rate == {"lr": [[10, 0.1], [20, 0.05]]}
    assert positives == {"positives_per_object": [[10, 5.5], [20, 6.5]]}


def test_the_best_epoch_is_named():
    lines = [{"kind": "val", "epoch": epoch, "AP": ap} for epoch, ap in enumerate([10.0, 31.25, 30.0])]
    assert curves(lines).axes[1].get_title("right") == "best AP 31.2 in epoch 1"


def test_epochs_are_whole_also_where_there_is_one():
    axes = curves([{"kind": "val", "epoch": 18, "AP": 0.5}]).axes[1]
    low, high = axes.get_xlim()
    assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [18]


def test_what_is_missing_or_no_number_is_left_out():
    lines = [
        train(1, loss=1.0),
        train(2, loss=math.nan, lr=0.1),
        train(3, loss=None),
        train(4, loss="high"),
        {"kind": "train", "loss": 2.0},
        {"kind": "val", "AP50": 0.5},
        {"kind": "note", "text": "no panel of mine"},
        {},
    ]
    losses, precision, rate, positives = drawn(curves(lines))
    # A row without a step stands at its number among the rows.
    assert losses == {"total": [[1, 1], [5, 2]]}
    assert precision == {"AP50": [[1, 0.5]]}
    assert rate == {"lr": [[2, 0.1]]}
    assert positives == {}


def test_empty_panels_say_so():
    for axes in curves([]).axes:
        assert [text.get_text() for text in axes.texts] == ["no values"]


def test_a_long_series_is_smoothed_over_what_it_was():
    values = np.sin(np.arange(300.0))
    (raw, smooth) = curves([train(step, loss=float(value)) for step, value in enumerate(values)]).axes[0].lines
    np.testing.assert_allclose(raw.get_ydata(), values)
    # Mean of ten values, at the mean of their steps.
    assert smooth.get_xdata()[0] == pytest.approx(4.5)
    assert smooth.get_ydata()[0] == pytest.approx(values[:10].mean())
    assert smooth.get_xdata()[-1] == pytest.approx(294.5)
