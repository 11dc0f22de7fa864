"""Weights to begin with: from a run with other classes, and from torchvision's FCOS."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torchvision.models.detection import fcos_resnet50_fpn
from torchvision.models.detection.image_list import ImageList

from mmmc.checkpoint import Weights, save_weights
from mmmc.data.sets import Categories
from mmmc.errors import InputError
from mmmc.model import Detector, ModelConfig
from mmmc.parts import CenterPrior
from mmmc.training.initial import BOX_BIAS, CLASS_TENSORS, initialize

from .tiny import lively, tiny_mmmc, tiny_recipe

THEIRS = Categories(("cat", "dog", "lamp"), (3, 5, 9))
OURS = Categories(("lamp", "bird", "cat"), (1, 2, 3))


@pytest.fixture(scope="module")
def source(tiny_set: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, torch.Tensor]]:
    """A run's folder and the tensors in it."""
    recipe = tiny_recipe(tiny_set)
    state = lively(Detector(recipe.model, 3)).state_dict()
    state["head.class_logits.bias"] = torch.tensor([0.1, 0.2, 0.3])
    folder = tmp_path_factory.mktemp("source")
    save_weights(folder / "best.safetensors", Weights(state, recipe, THEIRS))
    return folder, state


def test_rows_of_classes_are_found_by_their_names(source: tuple[Path, dict[str, torch.Tensor]], tiny_set: Path) -> None:
    folder, state = source
    detector = Detector(tiny_recipe(tiny_set).model, 3)
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    report = initialize(detector, tiny_recipe(tiny_set).model, folder, OURS)
    after = detector.state_dict()
    for name in CLASS_TENSORS:
        assert torch.equal(after[name][0], state[name][2])
        assert torch.equal(after[name][1], before[name][1])
        assert torch.equal(after[name][2], state[name][0])
    for name in after.keys() - set(CLASS_TENSORS):
        assert torch.equal(after[name], state[name]), name
    assert report.source == folder / "best.safetensors"
    assert set(report.taken) == after.keys() - set(CLASS_TENSORS)
    assert (report.shifted, report.classes, report.left) == ((), ("lamp", "cat"), ("class 'bird'",))
    assert "rows of the class layer taken by name: lamp, cat; left as initialised: class 'bird'." in str(report)


def test_rfa_begins_from_a_run_without_it(source: tuple[Path, dict[str, torch.Tensor]], tiny_set: Path) -> None:
    model = tiny_mmmc(tiny_set).model
    detector = Detector(model, 3)
    report = initialize(detector, model, source[0], THEIRS)
    assert set(report.left) == {f"head.{t}_tower.0.offset.{p}" for t in ("class", "box") for p in ("weight", "bias")}
    after = detector.state_dict()
    assert all(torch.equal(after[name], value) for name, value in source[1].items())
    assert not any(after[name].any() for name in report.left)
    assert not set(report.left) & set(report.taken)


def test_a_batch_norm_may_be_trained_that_was_frozen(
    source: tuple[Path, dict[str, torch.Tensor]], tiny_set: Path
) -> None:
    model = tiny_recipe(tiny_set, model={"frozen_norm": False}).model
    detector = Detector(model, 3)
    initialize(detector, model, source[0] / "best.safetensors", THEIRS)
    name = "head.class_logits.bias"
    assert torch.equal(detector.state_dict()[name], source[1][name])


def test_what_a_method_adds_keeps_its_start(source: tuple[Path, dict[str, torch.Tensor]], tiny_set: Path) -> None:
    config = tiny_recipe(tiny_set, model={"box_bins": 3, "part": CenterPrior(sigma=2.0)}).model
    detector = Detector(config, 3)
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    report = initialize(detector, config, source[0], THEIRS)
    added = {"head.box_distances.weight", "head.box_distances.bias", "part.mean", "part.sigma"}
    assert added == {name for name in report.left if "." in name}
    after = detector.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in added)
    assert torch.equal(after["head.box_quality.weight"], source[1]["head.box_quality.weight"])
    assert len(report.taken) == len(before) - len(added) - 2
    # The other way: a detector without them does not miss them.
    model = tiny_recipe(tiny_set).model
    plain = initialize(Detector(model, 3), model, source[0], THEIRS)
    assert not added & set(plain.left)


def test_a_layer_whose_output_is_read_in_another_way_keeps_its_start(
    source: tuple[Path, dict[str, torch.Tensor]], tiny_set: Path, tmp_path: Path
) -> None:
    """The shapes are the same, but what is a distance there is its logarithm here."""
    boxes = {"head.box_distances.weight", "head.box_distances.bias"}
    for changes, own in (
        ({"box_form": "exp"}, boxes),
        ({"quality_on": "class"}, {"head.box_quality.weight", "head.box_quality.bias"}),
    ):
        model = tiny_recipe(tiny_set, model=changes).model
        detector = Detector(model, 3)
        before = {name: value.clone() for name, value in detector.state_dict().items()}
        assert set(initialize(detector, model, source[0], THEIRS).left) == own
        assert all(torch.equal(detector.state_dict()[name], before[name]) for name in own)
    there = tiny_mmmc(tiny_set)
    save_weights(tmp_path / "rfa.safetensors", Weights(Detector(there.model, 3).state_dict(), there, THEIRS))
    model = replace(there.model, rfa=replace(there.model.rfa, mask="plain"))
    left = initialize(Detector(model, 3), model, tmp_path / "rfa.safetensors", THEIRS).left
    assert left == tuple(f"head.{t}_tower.0.offset.{p}" for t in ("class", "box") for p in ("weight", "bias"))


def test_files_that_do_not_fit_are_refused(
    source: tuple[Path, dict[str, torch.Tensor]], tiny_set: Path, tmp_path: Path
) -> None:
    model = tiny_recipe(tiny_set, model={"channels": 32}).model
    detector = Detector(model, 3)
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    with pytest.raises(
        InputError, match=r"best\.safetensors does not fit this model: fpn\.\S+ is missing there or has"
    ):
        initialize(detector, model, source[0], THEIRS)
    torch.save({"x": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match=r"other\.pth: 'x' is no tensor of torchvision's FCOS"):
        initialize(detector, model, tmp_path / "other.pth", THEIRS)
    with pytest.raises(
        InputError, match=r"There is no run folder or weights file .*nothing/best\.safetensors|no checkpoint"
    ):
        initialize(detector, model, tmp_path / "nothing", THEIRS)
    for name, value in detector.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_torchvision_s_boxes_stay_where_they_are(tmp_path: Path) -> None:
    """Its COCO-trained file has 91 classes and points at `i · stride`."""
    torch.manual_seed(0)
    theirs = fcos_resnet50_fpn(weights=None, weights_backbone=None).eval()
    head = theirs.head.regression_head
    with torch.no_grad():
        head.bbox_reg.weight.normal_(std=0.02)
        head.bbox_reg.bias.fill_(1.5)
        theirs.head.classification_head.cls_logits.bias.copy_(torch.arange(91.0))
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")

    detector = Detector(ModelConfig(weights="none"), 3)
    report = initialize(
        detector, ModelConfig(), tmp_path / "theirs.pth", Categories(("zebra", "cell", "person"), (1, 2, 3))
    )
    assert (report.shifted, report.classes, report.left) == ((BOX_BIAS,), ("zebra", "person"), ("class 'cell'",))
    assert len(report.taken) == len(detector.state_dict()) - 3
    # COCO's ids are the rows: zebra has 24, person has 1.
    assert detector.head.class_logits.bias[[0, 2]].tolist() == [24, 1]

    picture = torch.randint(256, (1, 3, 128, 128), dtype=torch.uint8)
    with torch.no_grad():
        points, prediction = detector(picture)
        image = detector.backbone.normalize(picture)
        features = list(theirs.backbone(image).values())
        output = theirs.head(features)
        (anchors,) = theirs.anchor_generator(ImageList(image, [(128, 128)]), features)
        expected = theirs.box_coder.decode(output["bbox_regression"], anchors[None])
    # Where a distance is cut off at 0 before or after the shift, it cannot be the same.
    free = (output["bbox_regression"] > torch.tensor([0.0, 0.0, 0.5, 0.5])).all(dim=2)
    assert free.float().mean() > 0.3
    assert output["bbox_regression"][free].std() > 0.1
    torch.testing.assert_close(prediction.boxes[free], expected[free], rtol=0, atol=1e-3)
    assert len(points) == len(anchors)
