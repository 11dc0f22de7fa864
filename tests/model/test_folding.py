"""A trunk whose frozen BatchNorms are folded is the same trunk."""

from __future__ import annotations

import copy

import pytest
import timm
import torch
from timm.layers import freeze_batch_norm_2d
from torch import Tensor, nn

from mmmc.model import Detector, ModelConfig
from mmmc.model.folding import FoldedConv2d, FoldedNorm, fold_frozen_norms

TRUNKS = {"resnet18": 20, "efficientnet_lite0": 48, "mobilenetv3_small_050": 34, "resnext50_32x4d": 53}


def trunk(name: str, *, fold: bool) -> nn.Module:
    """With statistics, scales and shifts that matter, in float64."""
    torch.manual_seed(0)
    made = freeze_batch_norm_2d(timm.create_model(name, features_only=True, pretrained=False)).double()
    for key, value in made.state_dict().items():
        if "running_var" in key:
            value.uniform_(0.5, 2)
        elif "running_mean" in key or key.endswith("bias"):
            value.normal_()
    if fold:
        fold_frozen_norms(made)
    return made


def maps_and_gradients(model: nn.Module) -> tuple[list[Tensor], dict[str, Tensor]]:
    picture = torch.randn(2, 3, 64, 96, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    maps = model.train()(picture)
    sum(value.square().mean() for value in maps).backward()
    return [value.detach() for value in maps], {
        name: value.grad for name, value in model.named_parameters() if value.grad is not None
    }


@pytest.mark.parametrize(("name", "norms"), TRUNKS.items())
def test_same_maps_gradients_and_names(name: str, norms: int) -> None:
    plain, folded = trunk(name, fold=False), trunk(name, fold=True)
    assert sum(isinstance(module, FoldedConv2d) for module in folded.modules()) == norms
    assert not any(type(module).__name__.startswith("FrozenBatchNorm") for module in folded.modules())
    assert list(folded.state_dict()) == list(plain.state_dict())
    (maps, gradients), (expected, pulls) = maps_and_gradients(folded), maps_and_gradients(plain)
    for ours, theirs in zip(maps, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9 * float(theirs.abs().max()))
    assert gradients.keys() == pulls.keys()
    for key, pull in pulls.items():
        torch.testing.assert_close(gradients[key], pull, rtol=1e-8, atol=1e-9 * float(pull.abs().max()))


def test_by_hand() -> None:
    """A 1×1 convolution by 3 with bias 1, then scale 4 / √(3.75 + 0.25) = 2, mean 5, shift 10: 2 (3x + 1 − 5) + 10."""

    class Trunk(nn.Sequential):
        pass

    model = Trunk(nn.Conv2d(3, 1, 1), nn.BatchNorm2d(1, eps=0.25))
    conv, norm = model
    nn.init.constant_(conv.weight, 3.0)
    nn.init.constant_(conv.bias, 1.0)
    nn.init.constant_(norm.weight, 4.0)
    nn.init.constant_(norm.bias, 10.0)
    norm.running_mean.fill_(5.0)
    norm.running_var.fill_(3.75)
    model = freeze_batch_norm_2d(model)
    fold_frozen_norms(model)
    assert isinstance(model[0], FoldedConv2d)
    assert isinstance(model[1], FoldedNorm)
    x = torch.zeros(1, 3, 1, 2)
    x[0, 1, 0, 1] = 4.0
    assert model(x).flatten().tolist() == [2.0, 26.0]


def test_a_norm_without_a_convolution_before_it_stays() -> None:
    model = freeze_batch_norm_2d(nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1), nn.ReLU(), nn.BatchNorm2d(4)))
    before = [type(module) for module in model]
    fold_frozen_norms(model)
    assert [type(module) for module in model] == before


def test_a_copy_folds_its_own_norms() -> None:
    """The averaged weights are a copy of the detector: what changes in one must not reach the other."""
    first = Detector(ModelConfig("resnet18", weights="none", channels=32, groups=8, depth=1), 2).eval()
    second = copy.deepcopy(first)
    images = torch.randint(256, (1, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    expected = first(images)[1].logits
    for module in second.modules():
        if isinstance(module, FoldedNorm):
            module.bias.add_(1.0)
    assert not torch.equal(second(images)[1].logits, expected)
    assert torch.equal(first(images)[1].logits, expected)


def test_nothing_random_is_drawn_and_the_mode_stays() -> None:
    model = freeze_batch_norm_2d(
        timm.create_model("efficientnet_lite0", features_only=True, drop_path_rate=0.5)
    ).train()
    before = torch.get_rng_state()
    fold_frozen_norms(model)
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training
    assert all(module.training for module in model.modules())
