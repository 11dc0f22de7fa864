"""SAPD's selection net: what it sees, where it is called, and that it learns with the detector."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from fake_cuda import CUDA, Waits, devices, fake_targets
from tiny_run import TINY
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from mmmc.assign import SAPD
from mmmc.cli import main
from mmmc.criterion import SAPDCriterion
from mmmc.errors import InputError
from mmmc.model import Detector, ModelConfig
from mmmc.parts import SelectionNet
from mmmc.parts.selection_net import LevelSelector
from mmmc.points import make_points
from mmmc.structures import Prediction, Supervision, Target
from mmmc.testing import make_target

CONFIG = ModelConfig(
    backbone="resnet18",
    weights="none",
    frozen_stages=0,
    channels=32,
    groups=8,
    depth=1,
    part=SelectionNet(),
)


def pictures(images: int = 2) -> Tensor:
    return torch.randint(256, (images, 3, 64, 96), dtype=torch.uint8, generator=torch.manual_seed(0))


def targets() -> list[Target]:
    return [
        make_target([[4, 4, 60, 50], [30, 20, 44, 40]], (64, 96), labels=[0, 1]),
        make_target([[10, 10, 90, 60]], (64, 96), labels=[2]),
    ]


def detector() -> Detector:
    torch.manual_seed(0)
    return Detector(CONFIG, classes=3)


def test_a_logit_for_each_object_and_level() -> None:
    model = detector()
    _, prediction = model(pictures(), Supervision(targets()))
    logits = prediction.extra["level logits"]
    assert logits.shape == (2, 2, 5)
    # Three 3×3 convolutions and a linear layer, in the channels of the pyramid.
    expected = (5 * 32 * 9 + 1) * 32 + 2 * (32 * 9 + 1) * 32 + 33 * 5
    assert model.part is not None
    assert sum(parameter.numel() for parameter in model.part.parameters()) == expected


def test_inference_does_not_call_it(monkeypatch: pytest.MonkeyPatch) -> None:
    model = detector()

    def called(*_: object) -> None:
        raise AssertionError("the part was called")

    monkeypatch.setattr(LevelSelector, "extra", called)
    monkeypatch.setattr(LevelSelector, "changed", called)
    for mode in (True, False):
        assert model.train(mode)(pictures())[1].extra == {}
    with pytest.raises(AssertionError, match="the part was called"):
        model(pictures(), Supervision(targets()))


def test_it_is_saved_with_the_detector() -> None:
    names = set(detector().state_dict())
    layers = [f"layers.{number}" for number in (0, 2, 4)]
    assert {f"part.{layer}.{kind}" for layer in (*layers, "logits") for kind in ("weight", "bias")} <= names


def backward(objects: list[Target], term: str | None = None) -> Detector:
    model = detector()
    points, prediction = model(pictures(), Supervision(objects))
    assignment = SAPD(levels="net")(points, prediction, objects)
    losses = SAPDCriterion()(points, prediction, objects, assignment)
    (losses.total() if term is None else losses[term].sum).backward()
    return model


def test_it_learns_jointly_with_the_pyramid() -> None:
    model = backward(targets(), "levels")
    for name, parameter in model.named_parameters():
        if name.startswith(("part.", "fpn.")) and "logits" not in name:
            assert parameter.grad is not None, name
            assert parameter.grad.any(), name
        assert parameter.grad is None or not name.startswith("head."), name


def test_other_terms_do_not_move_it() -> None:
    for term in ("class", "box"):
        model = backward(targets(), term)
        assert model.part is not None
        assert all(parameter.grad is None for parameter in model.part.parameters())


@pytest.mark.parametrize("objects", [targets(), [make_target([], (64, 96))] * 2], ids=["objects", "none"])
def test_every_parameter_is_in_the_graph(objects: list[Target]) -> None:
    for name, parameter in backward(objects).named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def ramps(strides: tuple[int, ...], size: int = 64) -> list[Tensor]:
    """Maps of two channels that say the x and y of their cells, in pixels."""
    maps = []
    for stride in strides:
        at = (torch.arange(size // stride) + 0.5) * stride
        maps.append(torch.stack([at.expand(len(at), -1), at[:, None].expand(-1, len(at))])[None])
    return maps


def test_crops_lie_where_the_object_does() -> None:
    """On a map that says its own position, a crop of 7 parts says the centres of the seventh parts of the box."""
    box = [18.0, 20.0, 39.0, 34.0]
    x, y = 19.5 + 3 * torch.arange(7.0), 21.0 + 2 * torch.arange(7.0)
    for stride in (4, 8):
        (features,) = ramps((stride,))
        crop = LevelSelector._crops(features, torch.tensor([[0.0, *box]]), stride)
        torch.testing.assert_close(crop[0, 0], x.expand(7, 7))
        torch.testing.assert_close(crop[0, 1], y[:, None].expand(7, 7))


def logits_of(net: LevelSelector, maps: list[Tensor], *objects: Target) -> Tensor:
    points = make_points([(8, 8), (4, 4)], (8, 16))
    zeros = Prediction(torch.zeros(1, 80, 1), torch.zeros(1, 80, 4), torch.zeros(1, 80))
    return net.extra(maps, points, zeros, Supervision(objects))["level logits"]


def test_each_object_is_looked_at_in_its_own_picture() -> None:
    torch.manual_seed(0)
    net = SelectionNet(levels=2).build(16, 3)
    first, second = ([torch.randn(1, 16, 8, 8), torch.randn(1, 16, 4, 4)] for _ in range(2))
    boxes = [[4.0, 4.0, 60.0, 50.0], [30.0, 20.0, 44.0, 40.0]]
    two, one = make_target(boxes, (64, 64)), make_target(boxes[:1], (64, 64))
    both = logits_of(net, [torch.cat(maps) for maps in zip(first, second, strict=True)], two, one)
    torch.testing.assert_close(both[:1], logits_of(net, first, two))
    torch.testing.assert_close(both[1:, :1], logits_of(net, second, one))
    assert (both[0, 0] - both[0, 1]).abs().max() > 1e-5
    assert both.isfinite().all()  # the filler's as well
    # It begins without an opinion, whatever it sees.
    assert both.softmax(dim=2).sub(0.5).abs().max() < 0.01
    turned = logits_of(net, first, make_target(boxes[::-1], (64, 64)))
    torch.testing.assert_close(turned, both[:1].flip(1))


def test_coordinates_stay_exact_in_bfloat16() -> None:
    net = SelectionNet(levels=2).build(2, 3).bfloat16()
    where = make_target([[18.0, 20.0, 39.0, 34.0]], (64, 64))
    maps = [features.bfloat16() for features in ramps((8, 16))]
    assert logits_of(net, maps, where).dtype == torch.bfloat16
    crop = LevelSelector._crops(ramps((8,))[0].bfloat16(), torch.tensor([[0.0, 18.0, 20.0, 39.0, 34.0]]), 8)
    assert crop[0, 0, 0].tolist() == [19.5, 22.5, 25.5, 28.5, 31.5, 34.5, 37.5]


def test_levels_that_are_not_the_pyramids() -> None:
    with pytest.raises(InputError, match=r"part SelectionNet: levels is 3; allowed: the pyramid's, 2"):
        logits_of(SelectionNet(levels=3).build(2, 3), ramps((8, 16)), make_target([], (64, 64)))
    with pytest.raises(InputError, match=r"part SelectionNet: levels is 0; allowed: 1 or more"):
        SelectionNet(levels=0)


def test_on_fake_cuda_nothing_waits() -> None:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with FakeTensorMode(shape_env=ShapeEnv()):
            with CUDA:
                model = Detector(CONFIG, classes=3)
            with Waits() as waits:
                images = torch.zeros(2, 3, 64, 96, dtype=torch.uint8, device=CUDA)
                _, prediction = model(images, Supervision(fake_targets()))
            assert devices(prediction.extra["level logits"]) == {"cuda:0"}
            assert prediction.extra["level logits"].dtype == torch.bfloat16
    finally:
        torch.set_default_dtype(before)
    assert waits.seen == []


def test_a_run_of_the_recipe(tiny_set: Path, tmp_path: Path) -> None:
    arguments = ["train", str(tiny_set), "--recipe", "small_sapd", "--out", str(tmp_path / "run"), *TINY]
    assert main(arguments) == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert any("levels" in str(line) for line in lines)
