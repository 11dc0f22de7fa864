"""RFA begins as the plain head, its two backends agree, and low precision does not reach its coordinates."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

from mmmc.errors import InputError
from mmmc.model import Detector, ModelConfig, RFAConfig, rfa
from mmmc.model.head import Head, tower
from mmmc.model.rfa import DeformableConv, deform_rows

BOTH = {"class_position": 1, "box_position": 1}


def head(rfa: RFAConfig | None, channels: int = 32, **options: Any) -> Head:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Head(channels, 3, 2, groups=8, rfa=rfa, **options)


def maps(channels: int = 32) -> list[Tensor]:
    random = torch.Generator().manual_seed(1)
    return [torch.randn(2, channels, *size, generator=random) for size in ((6, 9), (1, 1))]


@pytest.mark.parametrize(("modulated", "more"), [(True, 124_470), (False, 82_980)])
def test_parameters_of_both_towers(modulated: bool, more: int) -> None:
    def count(rfa: RFAConfig) -> int:
        return sum(p.numel() for position in (1, 1) for p in tower(256, 4, 32, rfa, position).parameters())

    plain = 2 * sum(p.numel() for p in tower(256, 4, 32, RFAConfig(), 0).parameters())
    assert count(RFAConfig(modulated=modulated)) - plain == more


@pytest.mark.parametrize("position", [1, 2, 3, 4])
@pytest.mark.parametrize("modulated", [True, False])
def test_begins_as_the_plain_head_of_the_same_seed(position: int, modulated: bool) -> None:
    plain = head(None)
    adapted = head(RFAConfig(class_position=position, box_position=position, modulated=modulated))
    assert sum(isinstance(module, DeformableConv) for module in adapted.modules()) == 2
    for name, weight in plain.state_dict().items():
        assert torch.equal(adapted.state_dict()[name], weight), name
    for ours, theirs in zip(adapted(maps()), plain(maps()), strict=True):
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_the_authors_mask_begins_with_half_the_convolution() -> None:
    config = RFAConfig(mask="plain")
    layer = DeformableConv(8, config)
    layer.reset_offsets()
    x = torch.randn(1, 8, 5, 5)
    expected = nn.functional.conv2d(x, layer.weight / 2, layer.bias, padding=1)
    torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-6)


def test_each_tower_on_its_own_and_in_its_place() -> None:
    adapted = head(RFAConfig(class_position=2))
    assert [type(m) for m in adapted.class_tower if isinstance(m, nn.Conv2d)] == [
        nn.Conv2d,
        DeformableConv,
        nn.Conv2d,
        nn.Conv2d,
    ]
    assert not any(isinstance(m, DeformableConv) for m in adapted.box_tower)


def test_offsets_that_begin_small_but_not_zero() -> None:
    offset = next(m for m in head(RFAConfig(**BOTH, offset_init="normal")).modules() if isinstance(m, DeformableConv))
    assert offset.offset.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert not offset.offset.bias.any()


def test_a_bound_on_the_offsets() -> None:
    layer = DeformableConv(8, RFAConfig(max_offset=2.0))
    layer.reset_offsets()
    with torch.no_grad():
        layer.offset.bias[:18] = torch.tensor([1.0, -100.0] * 9)
    offsets, mask = layer.sampling(torch.randn(1, 8, 3, 3))
    # 2 · tanh(1/2) = .92423, and −2.
    assert offsets[0, :, 0, 0].tolist() == pytest.approx([0.92423, -2.0] * 9, abs=1e-4)
    assert mask[0, :, 0, 0].tolist() == pytest.approx([1.0] * 9)


@pytest.mark.parametrize(
    ("kind", "convolutions", "dilations"), [("dilated", 4, [1, 3, 1, 1]), ("extra", 5, [1, 1, 1, 1, 1])]
)
def test_what_the_paper_names_beside_it(kind: Any, convolutions: int, dilations: list[int]) -> None:
    adapted = head(RFAConfig(class_position=2, box_position=2, kind=kind, dilation=3))
    for part in (adapted.class_tower, adapted.box_tower):
        found = [m for m in part if isinstance(m, nn.Conv2d)]
        assert len(found) == convolutions
        assert [m.dilation[0] for m in found] == dilations
    assert adapted(maps())[0].logits.shape == (2, 3, 6, 9)


# --- the backends


def pair(x: Tensor, offsets: Tensor, weight: Tensor, bias: Tensor, mask: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Output and all gradients of both backends."""
    both = []
    for run in (
        lambda *t: deform_rows(t[0], t[1], t[2], t[3], t[4]),
        lambda *t: deform_conv2d(t[0], t[1], t[2], t[3], padding=1, mask=t[4]),
    ):
        inputs = [t.clone().requires_grad_() for t in (x, offsets, weight, bias, mask)]
        output = run(*inputs)
        pull = torch.randn(output.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(3))
        (output * pull).sum().backward()
        both.append([output.detach(), *(t.grad for t in inputs)])
    return both[0], both[1]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize("size", [(7, 5), (1, 1), (2, 9), (4, 6)])  # the last has positions by sixteens
@pytest.mark.parametrize("kind", ["small", "whole", "far", "border"])
def test_backends_agree_in_outputs_and_gradients(
    dtype: torch.dtype, tolerance: float, size: tuple[int, int], kind: str
) -> None:
    random = torch.Generator().manual_seed(0)
    draw = torch.randn(2, 18, *size, generator=random, dtype=dtype)
    offsets = {
        "small": 0.7 * draw,
        # Exactly whole cells: the derivative has two sides, and both backends take the floor's.
        "whole": draw.mul(2).round(),
        "far": 50 * draw,
        "border": draw.sign()
        * torch.tensor(size, dtype=dtype).view(1, 1, 2, 1, 1).expand(2, 9, 2, *size).flatten(1, 2),
    }[kind]
    x = torch.randn(2, 6, *size, generator=random, dtype=dtype)
    weight = torch.randn(4, 6, 3, 3, generator=random, dtype=dtype)
    mask = torch.rand(2, 9, *size, generator=random, dtype=dtype)
    ours, theirs = pair(x, offsets, weight, torch.randn(4, generator=random, dtype=dtype), mask)
    for name, a, b in zip(("output", "input", "offsets", "weight", "bias", "mask"), ours, theirs, strict=True):
        assert (a - b).abs().max() <= tolerance * max(float(b.abs().max()), 1e-30), name


def test_backends_agree_on_no_picture() -> None:
    empty = torch.zeros(0, 6, 4, 4), torch.zeros(0, 18, 4, 4), torch.ones(4, 6, 3, 3), torch.zeros(4)
    ours, theirs = pair(*empty, torch.zeros(0, 9, 4, 4))
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        assert not a.any()


@pytest.mark.parametrize("backend", ["rows", "torchvision"])
@pytest.mark.parametrize(("value", "finite"), [(math.nan, False), (math.inf, True), (-math.inf, True)])
def test_an_offset_that_is_no_number_ends_in_the_output(backend: Any, value: float, finite: bool) -> None:
    """Not in a read beyond the map: a training that diverges is to end with the journal's words."""
    layer = DeformableConv(4, RFAConfig(modulated=False))
    layer.backend = backend
    with torch.no_grad():
        layer.offset.bias[8] = value  # of the middle tap, downwards
        found = layer(torch.ones(1, 4, 5, 5))
    assert found.isfinite().all() == finite
    assert found.isnan().all() != finite


def test_without_gradient_chunks_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """300 positions are two chunks of 128 and one of 44."""
    monkeypatch.setattr(rfa, "CHUNK", 128)
    random = torch.Generator().manual_seed(0)
    x, offsets = torch.randn(1, 4, 15, 20, generator=random), torch.randn(1, 18, 15, 20, generator=random)
    weight, mask = torch.randn(4, 4, 3, 3, generator=random), torch.rand(1, 9, 15, 20, generator=random)
    whole = deform_rows(x, offsets, weight, None, mask)
    with torch.no_grad():
        torch.testing.assert_close(deform_rows(x, offsets, weight, None, mask), whole)


def test_half_a_cell_by_hand() -> None:
    """A 3×3 map of 1 … 9; only the middle tap has weight. Half a cell right of the centre lies (5 + 6) / 2."""
    x = torch.arange(1.0, 10).view(1, 1, 3, 3)
    weight = torch.zeros(1, 1, 3, 3)
    weight[0, 0, 1, 1] = 1
    offsets = torch.zeros(1, 18, 3, 3)
    offsets[0, 9] = 0.5  # tap 4, right
    ones = torch.ones(1, 9, 3, 3)
    output = deform_rows(x, offsets, weight, None, ones)[0, 0]
    # In the last column half of the sample lies outside and counts as 0.
    assert output.tolist() == [[1.5, 2.5, 1.5], [4.5, 5.5, 3.0], [7.5, 8.5, 4.5]]
    offsets[0, 8] = 1.0  # tap 4, down
    assert deform_rows(x, offsets, weight, None, 2 * ones)[0, 0].tolist() == [[9, 11, 6], [15, 17, 9], [0, 0, 0]]


def test_a_cpu_takes_rows_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = DeformableConv(4, RFAConfig())
    layer.reset_offsets()
    taken: list[str] = []
    real = {"rows": deform_rows, "torchvision": deform_conv2d}
    for backend, name in (("rows", "deform_rows"), ("torchvision", "deform_conv2d")):
        monkeypatch.setattr(f"mmmc.model.rfa.{name}", lambda *a, b=backend, **k: (taken.append(b), real[b](*a, **k))[1])
    for choice in ("auto", "rows", "torchvision"):
        layer.backend = choice  # type: ignore[assignment]
        layer(torch.randn(1, 4, 3, 3))
    assert taken == ["rows", "rows", "torchvision"]


@pytest.mark.parametrize("backend", ["rows", "torchvision"])
def test_bfloat16_does_not_reach_the_coordinates(backend: Any) -> None:
    layer = DeformableConv(8, RFAConfig(offset_init="normal"))
    layer.backend = backend
    layer.reset_offsets()
    with torch.no_grad():
        layer.offset.bias.uniform_(-2, 2)
    x = torch.randn(1, 8, 40, 40)
    expected = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(x)
        low = layer(x.bfloat16())
    assert found.dtype == (torch.bfloat16 if backend == "rows" else torch.float32)
    assert (found - expected).abs().max() <= 1e-2 * expected.abs().max()
    assert (low - expected).abs().max() <= 2e-2 * expected.abs().max()


def test_gradients_of_a_product_in_bfloat16() -> None:
    """They have the parameters' precision, and differ from float32's by the rounding of the product alone."""
    layer = DeformableConv(8, RFAConfig(offset_init="normal"))
    layer.reset_offsets()
    x, toward = torch.randn(1, 8, 12, 12), torch.randn(1, 8, 12, 12)

    def gradients() -> list[Tensor]:
        layer.zero_grad()
        (layer(x).float() * toward).sum().backward()
        return [parameter.grad for parameter in layer.parameters() if parameter.grad is not None]

    wide = gradients()
    with torch.autocast("cpu", torch.bfloat16):
        low = gradients()
    assert len(low) == len(wide) == 4
    for a, b in zip(low, wide, strict=True):
        assert a.dtype == torch.float32
        assert 0 < (a - b).abs().max() <= 2e-2 * b.abs().max()


# --- options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rfa": {"class_position": 5}}, "class_position is 5; allowed: 0 to model.depth, which is 4"),
        ({"rfa": {"box_position": 3}, "depth": 2}, "box_position is 3; allowed: 0 to model.depth, which is 2"),
        ({"rfa": {"class_position": -1}}, "class_position is -1; allowed: at least 0"),
        ({"rfa": {"dilation": 0}}, "dilation is 0; allowed: at least 1"),
        ({"rfa": {"max_offset": 0.0}}, "max_offset is 0.0; allowed: a number above 0, or null"),
        ({"box_bias": -1.0}, "box_bias is -1.0; allowed: a finite number of at least 0"),
    ],
)
def test_options_that_are_not_allowed(options: dict[str, Any], message: str) -> None:
    rfa = options.pop("rfa", {})
    with pytest.raises(InputError, match=message):
        ModelConfig(**options, rfa=RFAConfig(**rfa))


def test_the_detector_hands_it_on() -> None:
    config = ModelConfig("resnet18", weights="none", channels=16, groups=4, depth=2, rfa=RFAConfig(box_position=2))
    detector = Detector(config, 3)
    assert isinstance(detector.head.box_tower[3], DeformableConv)
    assert not any(isinstance(m, DeformableConv) for m in detector.head.class_tower)
