"""From pictures, however people hold them, to detections in their pixels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import mmmc
from mmmc import InputError, Predictor
from mmmc.checkpoint import load_weights, save_weights
from mmmc.data.pictures import read_picture
from mmmc.data.synthetic import scene
from mmmc.predictor import build_detector
from mmmc.recipe import load_recipe
from mmmc.structures import Detections
from mmmc.training import train


@pytest.fixture(scope="module")
def predictor(tiny_run: Path) -> Predictor:
    return Predictor.load(tiny_run)


def picture(height: int, width: int, index: int = 0) -> Tensor:
    """A scene of the embedded set as a tensor."""
    return torch.from_numpy(scene(1, "val", index, (height, width)).image).permute(2, 0, 1)


def assert_equal(one: list[Detections], other: list[Detections], pixels: float = 0.0) -> None:
    for left, right in zip(one, other, strict=True):
        assert left.image_id == right.image_id
        assert left.labels.tolist() == right.labels.tolist()
        torch.testing.assert_close(left.boxes, right.boxes, rtol=0, atol=pixels)
        torch.testing.assert_close(left.scores, right.scores, rtol=0, atol=pixels / 100)


def test_every_form_of_a_picture_gives_the_same(predictor: Predictor, tiny_set: Path) -> None:
    files = sorted((tiny_set / "images").glob("val_*.png"))[:2]
    found = predictor(files)
    assert min(map(len, found)) > 10
    assert [one.image_id for one in found] == [0, 1]
    tensors = [read_picture(file) for file in files]
    forms: list[list[Any]] = [
        [str(file) for file in files],
        [Image.open(file) for file in files],
        [np.asarray(Image.open(file).convert("RGB")) for file in files],
        tensors,
        [tensor.float() / 255 for tensor in tensors],
    ]
    for form in forms:
        assert_equal(predictor(form), found)
    assert_equal(predictor(iter(files)), found)
    assert_equal(predictor(torch.stack(tensors)), found)


def test_a_result_does_not_depend_on_the_other_pictures(predictor: Predictor) -> None:
    # All but the second keep their size; it becomes 48 × 96. They are padded to 64 × 64, 64 × 96 or 96 × 64.
    sizes = [(64, 64), (32, 64), (64, 96), (96, 64), (64, 80), (64, 96), (64, 64)]
    pictures = [picture(max(64, height), width, index)[:, :height] for index, (height, width) in enumerate(sizes)]
    together = predictor(pictures)
    assert_equal(predictor(pictures, batch_size=1), together, pixels=1e-4)
    for index, one in enumerate(pictures):
        alone = [replace(found, image_id=index) for found in predictor([one])]
        assert_equal(alone, [together[index]], pixels=1e-4)


def test_boxes_lie_in_the_pictures_own_pixels(predictor: Predictor) -> None:
    small = picture(64, 96)
    large = small.repeat_interleave(3, dim=1).repeat_interleave(3, dim=2)
    # The same picture in larger pixels; resized with antialiasing it is nearly the small one again.
    of_small, of_large = predictor([small])[0], predictor([large])[0]
    for found, (height, width) in ((of_small, (64, 96)), (of_large, (192, 288))):
        assert len(found) > 10
        assert (found.boxes >= 0).all()
        assert (found.boxes[:, 2] <= width).all()
        assert (found.boxes[:, 3] <= height).all()
        assert (found.scores.diff() <= 0).all(), "best first"
    torch.testing.assert_close(of_large.boxes[0] / 3, of_small.boxes[0], rtol=0, atol=3)
    assert of_large.boxes.max() > 100


def test_dictionaries_as_torchvision_gives_them(predictor: Predictor) -> None:
    (found,), (entry,) = predictor([picture(64, 64)]), predictor.torchvision([picture(64, 64)])
    assert entry.keys() == {"boxes", "labels", "scores"}
    assert torch.equal(entry["boxes"], found.boxes)
    assert torch.equal(entry["labels"], found.labels)
    assert torch.equal(entry["scores"], found.scores)
    assert entry["labels"].dtype == torch.long


def test_a_run_is_loaded_from_its_folder_or_a_file_alone(tiny_run: Path, tmp_path: Path) -> None:
    # Change the last weights, to tell them from the best.
    last = mmmc.load(tiny_run, weights="last")
    with torch.no_grad():
        last.detector.head.class_logits.bias += 1
    for name in ("best", "last"):
        (tmp_path / f"{name}.safetensors").write_bytes((tiny_run / "best.safetensors").read_bytes())
    weights = load_weights(tmp_path / "last.safetensors")
    save_weights(tmp_path / "last.safetensors", replace(weights, state=last.detector.state_dict()))

    pictures = [picture(64, 64)]
    best = mmmc.load(tmp_path)(pictures)
    assert_equal(mmmc.load(str(tmp_path / "best.safetensors"))(pictures), best)
    assert_equal(mmmc.load(tmp_path, weights="last")(pictures), last(pictures))
    assert not torch.equal(last(pictures)[0].scores, best[0].scores)
    assert mmmc.load(tmp_path).categories.names[0] == "red-white"
    assert not mmmc.load(tmp_path).detector.training


def test_weights_of_another_model_are_refused(tiny_run: Path) -> None:
    weights = load_weights(tiny_run / "best.safetensors")
    surplus = replace(weights, state={**weights.state, "more": torch.zeros(1)})
    with pytest.raises(InputError, match=r"best\.safetensors.*more is not part of the model"):
        build_detector(surplus, tiny_run / "best.safetensors")


@pytest.mark.parametrize("single", ["a.png", np.zeros((8, 8, 3), np.uint8), torch.zeros(3, 8, 8)], ids=type)
def test_a_single_picture_is_refused(predictor: Predictor, single: Any) -> None:
    with pytest.raises(InputError, match=r"a single picture; allowed: several, so put it into a list"):
        predictor(single)


def test_other_refusals(predictor: Predictor, tiny_run: Path) -> None:
    with pytest.raises(InputError, match=r"batch_size is 0; allowed: at least 1"):
        predictor([], batch_size=0)
    with pytest.raises(InputError, match=r"weights is 'first'; allowed: best, last"):
        mmmc.load(tiny_run, weights="first")
    with pytest.raises(InputError, match=r"nowhere\.png: there is no such file"):
        predictor(["nowhere.png"])
    assert predictor([]) == []


def test_training_from_python(tiny_set: Path, tiny_run: Path, tmp_path: Path) -> None:
    assert mmmc.train is train
    changes = {"data": {"path": str(tiny_set)}, "train": {"iterations": 1}}
    recipe = mmmc.load_recipe(tiny_run / "recipe.yaml", changes)
    scores = mmmc.train(recipe, tmp_path / "run", accelerator="cpu", devices=1, quiet=True)
    assert 0 <= scores.AP < 0.5
    (detections,) = mmmc.load(tmp_path / "run")([picture(64, 64)])
    assert len(detections) > 0
    assert load_recipe(tmp_path / "run/recipe.yaml") == recipe
