"""`mmmc study figure`: a record of a run, and figures of a record alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from mmmc.cli import main
from mmmc.closeup import look
from mmmc.draw.closeup import figure_of
from mmmc.predictor import Predictor
from mmmc.study import figures
from mmmc.training.sets import open_sets

ROOT = Path(__file__).parents[2]


def shown(figure: Figure) -> list[object]:
    """Titles, heat maps, bars and lines of a figure, in order; pictures apart."""
    found: list[object] = []
    for axes in figure.axes:
        found += [axes.get_title(loc="left"), axes.get_ylabel()]
        found += [line.get_xydata().tolist() for line in axes.lines]
        found += [patch.get_path().vertices.tolist() for patch in axes.patches]
        found += [patch.get_extents().bounds for patch in axes.patches]
        heats = [image.get_array() for image in axes.images if image.get_array().ndim == 2]
        found += [np.ma.filled(heat.astype(float), -1).tolist() for heat in heats]
    return found


@pytest.mark.parametrize("figure", figures.NAMES)
def test_the_record_of_a_run_shows_what_the_run_shows(tiny_run: Path, tmp_path: Path, figure: int) -> None:
    predictor = Predictor.load(tiny_run)
    _, pictures = open_sets(predictor.recipe.data)
    path = tmp_path / "record.npz"
    command = ["study", "figure", str(figure), "--run", str(tiny_run), "--device", "cpu", "--record", str(path)]
    assert main([*command, "--picture", pictures.names[1], "--object", "0"]) == 0
    record = figures.read(path, figure)
    assert record.about["picture"] == pictures.names[1]
    assert record.about["image_id"] == pictures.image_ids[1]
    assert (record.about["set"], record.about["object"], record.about["weights"]) == ("tiny", 0, "best")
    wanted = shown(figure_of(look(predictor, pictures, 1, str(figure), 0).view))
    assert len(wanted) > 10
    assert shown(figure_of(record.view)) == wanted
    # Without --out nothing is drawn.
    assert [entry.name for entry in tmp_path.iterdir()] == ["record.npz"]


@pytest.mark.parametrize("figure", figures.NAMES)
def test_committed_records_are_drawn_without_their_run(
    figure: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["study", "figure", str(figure), "--out", str(tmp_path)]) == 0
    pdf, png = (tmp_path / f"figure-{figure}.{suffix}" for suffix in ("pdf", "png"))
    data = pdf.read_bytes()
    assert data.startswith(b"%PDF")
    # Letters are letters, and of a kind that publishers take.
    assert b"/Type0" in data
    assert b"/Type3" not in data
    with Image.open(png) as drawn, Image.open(ROOT / "docs" / "pictures" / f"figure-{figure}.png") as documented:
        assert drawn.size == documented.size
    said = capsys.readouterr().out
    assert said.startswith(
        f"Figure {figure}: object 2 (RBC) of BloodImage_00062.jpg (bccd); recipe 4036716217a9, seed 0"
    )
    assert said.endswith(f"Pictures: {pdf}, {png}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["4", "--out", "x"], "There is no record of a figure 4; allowed: 1, 2, 3."),
        (["1"], "--out is missing: mmmc study figure 1 --out DIR"),
        (["1", "--out", "x", "--object", "0"], "--object is for --run, which is not given"),
        (["1", "--out", "x", "--picture", "a.jpg"], "--picture is for --run, which is not given"),
        (["2", "--run", "r", "--record", "f"], "A record needs --picture and --record: mmmc study figure 2 --run RUN"),
        (["2", "--run", "r", "--picture", "f"], "A record needs --picture and --record"),
        (
            ["3", "--out", "x"],
            "results/figures/3.npz: there is no such record of a figure. Make it by: "
            "mmmc study figure 3 --run RUN --picture PICTURE --record results/figures/3.npz",
        ),
    ],
)
def test_refused(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["study", "figure", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
