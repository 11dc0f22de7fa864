"""What `mmmc.torchvision` does not take, and where its weights come from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn
from urllib.error import URLError

import pytest
import torch
from test_torchvision import CLASSES, GOOD, PICTURE, RANDOM, TINY, Targets, tiny
from torch import Tensor
from torchvision.models import resnet50
from torchvision.models.detection import fcos_resnet50_fpn

from mmmc.assign import ATSS, AutoAssign
from mmmc.criterion import AutoAssignCriterion
from mmmc.errors import InputError
from mmmc.model import ModelConfig, RFAConfig
from mmmc.parts import CenterPrior
from mmmc.torchvision import fcos


@pytest.mark.parametrize(
    ("images", "targets", "message"),
    [
        ([PICTURE], None, "targets are None, in training"),
        ([PICTURE], [GOOD, GOOD], "targets are 2 for 1 pictures"),
        (
            [(255 * PICTURE).byte()],
            [GOOD],
            r"images\[0\] is of \(3, 64, 64\) and torch.uint8; allowed: a tensor 3 × H × W",
        ),
        ([PICTURE, PICTURE[:1]], [GOOD, GOOD], r"images\[1\] is of \(1, 64, 64\)"),
        ([PICTURE], [{"boxes": GOOD["boxes"]}], r"targets\[0\] has boxes; allowed: at least boxes, labels"),
        ([PICTURE], [GOOD | {"labels": torch.tensor([1, 2])}], r"boxes are of \(1, 4\) and labels of \(2,\)"),
        (
            [PICTURE],
            [GOOD | {"labels": torch.tensor([4])}],
            r"targets\[0\], object 0: box .*, label 4; .* labels 0 to 3",
        ),
        (
            [PICTURE] * 2,
            [GOOD, GOOD | {"boxes": torch.tensor([[9.0, 2, 9, 4]])}],
            r"targets\[1\], object 0: box \[9.0, 2",
        ),
        ([PICTURE], [GOOD | {"boxes": torch.tensor([[9.0, 2, torch.inf, 4]])}], r"x1 < x2 and y1 < y2, finite"),
    ],
)
def test_what_cannot_be_used_is_named(images: list[Tensor], targets: Targets | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        tiny()(images, targets)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tiny(ModelConfig(**{**vars(TINY), "part": CenterPrior()})), "has a part that only training has"),
        (lambda: tiny(size_divisible=48), "size_divisible is 48; allowed: a multiple of 32"),
        (lambda: tiny(nms_thresh=2.0), "postprocess.nms is 2.0"),
        (lambda: tiny(criterion=AutoAssignCriterion(), assigner=AutoAssign())([PICTURE], [GOOD]), "model.part is none"),
        (lambda: fcos(**RANDOM, head=torch.nn.Identity()), "head is a Identity; allowed: None"),
        (lambda: fcos(**RANDOM, model=TINY), "model.backbone is 'test_efficientnet'; allowed: 'resnet50'"),
        (lambda: fcos(**RANDOM, assigner=ATSS(), center_sampling_radius=1.0), "allowed: one of them"),
        (lambda: fcos(**RANDOM | {"weights": "COCO"}), "are 'COCO'; allowed: None, DEFAULT, COCO_V1"),
        (lambda: fcos(**RANDOM | {"weights": "DEFAULT"}), "num_classes is 4; allowed with weights: 91"),
        (lambda: fcos(**RANDOM, trainable_backbone_layers=6), "trainable_backbone_layers is 6; allowed: 0 to 5"),
        (lambda: fcos(**RANDOM, image_std=[1, 1, 0]), "deviations above 0"),
    ],
)
def test_options_that_cannot_be_used_are_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of PyTorch's of its own, and no way to fill it."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def unreachable(*_: object, **__: object) -> NoReturn:
        raise URLError("no network")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", unreachable)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_weights_of_torchvision_are_read_and_never_fetched_unasked(cache: Path) -> None:
    with pytest.raises(InputError, match=r"no .*resnet50-0676ba61\.pth\. Permit a download by download=True"):
        fcos(num_classes=CLASSES)
    with pytest.raises(InputError, match=r"resnet50-0676ba61\.pth could not be had: .*no network"):
        fcos(num_classes=CLASSES, download=True)
    torch.save(state := resnet50().state_dict(), cache / "resnet50-0676ba61.pth")
    trunk = fcos(num_classes=CLASSES).detector.backbone.trunk
    assert torch.equal(trunk.layer4[2].conv3.weight, state["layer4.2.conv3.weight"])
    trained = {name.partition(".")[0] for name, value in trunk.named_parameters() if value.requires_grad}
    assert trained == {"layer2", "layer3", "layer4"}


def test_weights_of_coco_keep_their_points(cache: Path) -> None:
    like = fcos_resnet50_fpn(weights=None, weights_backbone=None)
    torch.save(like.state_dict(), cache / "fcos_resnet50_fpn_coco-99b0c9b7.pth")
    model = fcos(weights="DEFAULT", trainable_backbone_layers=5, image_mean=[0.5, 0.5, 0.5])
    assert torch.equal(model.detector.head.class_logits.weight, like.head.classification_head.cls_logits.weight)
    assert model.point_offset == 0
    assert all(value.requires_grad for value in model.parameters())
    assert model.detector.backbone.normalize.mean.flatten().tolist() == [127.5] * 3
    with pytest.raises(InputError, match=r"coco-99b0c9b7\.pth does not fit the model that is asked for"):
        fcos(weights="DEFAULT", model=ModelConfig(rfa=RFAConfig(class_position=1)))
