"""The paper's figures of one object: which points they show, and what cannot be drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure
from tiny_run import TINY

from mmmc.assign import APS
from mmmc.cli import main
from mmmc.closeup import FIGURES, look
from mmmc.draw.closeup import CLASS, figure_of
from mmmc.draw.views import Candidates, Deformed, Found, Misaligned, Parted, Scene
from mmmc.errors import InputError
from mmmc.points import make_points
from mmmc.predictor import Predictor
from mmmc.training.sets import open_sets

RFA = ("--model.rfa.class_position", "1", "--model.rfa.box_position", "1")

POINTS = make_points([(4, 4), (2, 2)], (8, 16))
SCENE = Scene(torch.full((3, 32, 32), 90, dtype=torch.uint8), (32, 32), POINTS, torch.tensor([4.0, 4, 28, 28]), "a cup")


@pytest.fixture(scope="module")
def adapted_run(tiny_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with RFA, and with APS after a start by FCOS."""
    out = tmp_path_factory.mktemp("adapted") / "run"
    flags = ("--assigner", "APS", "--warm_start.assigner", "FCOS")
    assert main(["train", str(tiny_set), "--recipe", "small", "--out", str(out), *TINY, *RFA, *flags]) == 0
    return out


def texts(figure: Figure) -> str:
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    legend = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    return "\n".join([*titles, *legend])


@pytest.mark.parametrize("figure", FIGURES)
def test_every_figure_of_a_run(adapted_run: Path, figure: str, tmp_path: Path) -> None:
    name = Path(open_sets(Predictor.load(adapted_run).recipe.data)[1].names[0]).stem
    assert main(["show", str(adapted_run), "--figure", figure, "--object", "0", "--out", str(tmp_path)]) == 0
    (file,) = tmp_path.iterdir()
    assert file.name == f"{name}-{'figure-' if figure.isdigit() else ''}{figure}.png"
    assert file.stat().st_size > 5_000


def test_figures_of_a_run_without_aps_or_rfa(tiny_run: Path) -> None:
    predictor = Predictor.load(tiny_run)
    _, pictures = open_sets(predictor.recipe.data)
    assert "APS" in texts(figure_of(look(predictor, pictures, 0, "3").view))
    drawn = figure_of(look(predictor, pictures, 0, "2").view)
    assert "by APS with its defaults" in drawn.get_suptitle()
    with pytest.raises(InputError, match=r"This run has no RFA"):
        look(predictor, pictures, 0, "offsets")
    with pytest.raises(InputError, match=r"--object is 99; allowed for .*: 0 to \d+\."):
        look(predictor, pictures, 0, "1", 99)
    with pytest.raises(InputError, match=r"There is no figure '4'"):
        look(predictor, pictures, 0, "4")


def test_figure_3_shows_the_rule_of_the_run(adapted_run: Path) -> None:
    predictor = Predictor.load(adapted_run)
    _, pictures = open_sets(predictor.recipe.data)
    shown = []
    for rule in (APS(candidates_per_level=1, num_levels=1), APS(rule="topk", topk=99, num_levels=9)):
        predictor.recipe = replace(predictor.recipe, assigner=rule)
        shown.append(texts(figure_of(look(predictor, pictures, 0, "3").view)))
    assert "APS: 1 on P" in shown[0]
    assert "APS: 1 on P" not in shown[1]


def test_the_assign_table(adapted_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(adapted_run), "--table", "assign"]) == 0
    printed = capsys.readouterr().out
    for expected in ("positives an object", "gap |Lc − Lr|", "offset in cells, class tower, P3", "share with a point"):
        assert expected in printed
    assert main(["show", str(adapted_run), "--table", "asign"]) == 2
    assert "Did you mean 'assign'" in capsys.readouterr().err


def test_figure_1_names_score_iou_and_level() -> None:
    losses = {"class loss": torch.full((20,), torch.nan).index_fill(0, torch.tensor([5, 6, 16]), 0.5)}
    first = Found(5, torch.tensor([2.0, 2, 20, 20]), 0.91, 0.33)
    second = Found(16, torch.tensor([4.0, 4, 27, 28]), 0.42, 0.95)
    figure = figure_of(Misaligned(SCENE, first, second, {**losses, "box loss": losses["class loss"]}))
    said = texts(figure)
    assert "best class score: P3\nscore 0.91, IoU 0.33" in said
    assert "best box: P4\nscore 0.42, IoU 0.95" in said
    assert [axes.get_ylabel() for axes in figure.axes if "loss" in axes.get_ylabel()] == ["class loss", "box loss"]
    crosses = [line for line in figure.axes[0].lines if line.get_color() == CLASS]
    assert [line.get_xydata().tolist() for line in crosses] == [[POINTS.xy[5].tolist()]]


def test_figure_2_parts_candidates_by_colour_and_names_levels() -> None:
    score = torch.tensor([0.5, 0.4, 0.1])
    shown = Candidates(torch.tensor([5, 6, 16]), score, score, (score, score), score, torch.tensor([True, True, False]))
    figure = figure_of(Parted(SCENE, shown, "paper"))
    scores = figure.axes[2]
    labels = {text.get_text() for text in scores.get_legend().get_texts()}
    assert labels == {"positive", "negative", "split"}
    # Halfway between 0.4 and 0.1.
    assert [line.get_ydata()[0] for line in scores.lines if line.get_linestyle() == "--"] == [pytest.approx(0.25)]
    assert [text.get_text() for text in figure.axes[0].texts] == ["P3 · stride 8", "P4 · stride 16"]


def test_offsets_are_drawn_where_the_taps_look() -> None:
    """From (12, 12) on stride 8 tap 0 lies at (4, 4); moved by one cell down and two right it lies at (20, 12)."""
    moved = torch.zeros(9, 2)
    moved[0] = torch.tensor([1.0, 2.0])
    figure = figure_of(Deformed(SCENE, 5, {"class": moved}, {"class": torch.ones(9)}))
    ends = [line.get_xydata().tolist() for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert ends[0] == [[20.0, 12.0]]
    assert "mean offset 0.25 cells" in texts(figure)  # √5 / 9
