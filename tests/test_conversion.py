"""Detections in the forms of other packages."""

from __future__ import annotations

import sys

import pandas
import pytest
import supervision
import torch

import mmmc
from mmmc import InputError
from mmmc.structures import Detections

NAMES = ("cat", "dog")
FOUND = Detections(
    boxes=torch.tensor([[1.0, 2.0, 30.5, 40.0], [5.0, 5.0, 9.0, 9.0], [0.0, 0.0, 4.0, 8.0]]),
    scores=torch.tensor([0.75, 0.5, 0.25]),
    labels=torch.tensor([1, 0, 1]),
    image_id=7,
)
NOTHING = FOUND.above(1.0)


def test_supervision() -> None:
    theirs = mmmc.to_supervision(FOUND, NAMES)
    assert theirs.xyxy.tolist() == FOUND.boxes.tolist()
    assert theirs.confidence.tolist() == FOUND.scores.tolist()
    assert theirs.class_id.tolist() == [1, 0, 1]
    # Its own selection keeps all fields together.
    assert theirs[theirs.class_id == 1].data["class_name"].tolist() == ["dog", "dog"]
    assert "class_name" not in mmmc.to_supervision(FOUND).data


def test_supervision_joins_and_empties() -> None:
    joined = supervision.Detections.merge([mmmc.to_supervision(NOTHING, NAMES), mmmc.to_supervision(FOUND, NAMES)])
    assert len(joined) == 3
    assert joined.data["class_name"].tolist() == ["dog", "cat", "dog"]
    assert len(mmmc.to_supervision(NOTHING, NAMES)) == 0


def test_pandas() -> None:
    table = mmmc.to_pandas([FOUND, NOTHING], NAMES)
    assert list(table.columns) == ["picture", "label", "class", "score", "x1", "y1", "x2", "y2"]
    assert table["class"].tolist() == ["dog", "cat", "dog"]
    assert table.iloc[0].tolist() == [7, 1, "dog", 0.75, 1.0, 2.0, 30.5, 40.0]
    assert table.groupby("class")["score"].max().to_dict() == {"cat": 0.5, "dog": 0.75}
    assert "class" not in mmmc.to_pandas([FOUND])


def test_an_empty_table_has_the_same_types() -> None:
    pandas.testing.assert_series_equal(mmmc.to_pandas([NOTHING]).dtypes, mmmc.to_pandas([FOUND]).dtypes)


@pytest.mark.parametrize("package", ["supervision", "pandas"])
def test_a_missing_package_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"{package} is not installed\. .* `pip install 'mmmc\[{package}\]'"):
        mmmc.to_supervision(FOUND) if package == "supervision" else mmmc.to_pandas([FOUND])
