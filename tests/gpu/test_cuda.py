"""On a CUDA device: what the CPU computes, without waiting for the host, in bfloat16 as well, and twice the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric

from mmmc.assign import APS, FCOS, Assigner, ignore_crowds
from mmmc.checkpoint import load_checkpoint
from mmmc.criterion import DenseCriterion
from mmmc.data.synthetic import make_synthetic
from mmmc.model import Detector, ModelConfig, RFAConfig
from mmmc.model.rfa import DeformableConv
from mmmc.recipe import Recipe, load_recipe
from mmmc.structures import Batch, Points, Prediction, Target
from mmmc.testing import make_scene
from mmmc.training import train
from mmmc.training.optim import build_optimizer, take_step
from mmmc.training.step import backward_step

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")]
CUDA, CPU = torch.device("cuda"), torch.device("cpu")
MODEL = ModelConfig(backbone="resnet18", weights="none", channels=32, groups=8, depth=1)


@pytest.fixture(autouse=True)
def exact_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Convolutions in float32 and not in TF32, of whose products a device keeps 10 bits."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def moved(points: Points, prediction: Prediction, targets: list[Target], device: torch.device):
    points = replace(points, xy=points.xy.to(device), stride=points.stride.to(device), level=points.level.to(device))
    prediction = Prediction(
        prediction.logits.to(device), prediction.boxes.to(device), prediction.quality.to(device), {}
    )
    return points, prediction, [target.to(device) for target in targets]


def batch(device: torch.device) -> Batch:
    images = torch.randint(0, 256, (2, 3, 96, 128), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    targets = [
        Target(
            torch.tensor([[8.0, 8.0, 60.0, 70.0], [30.0, 20.0, 50.0, 44.0]])[:count],
            torch.tensor([0, 1])[:count],
            torch.zeros(0, 4),
            count,
            (96, 128),
            (96, 128),
        )
        for count in (2, 0)
    ]
    return Batch(images, targets).to(device)


@pytest.mark.parametrize("assigner", [FCOS(), FCOS(range_strides=4.0), FCOS(None, None), APS(), APS(score="code")])
@pytest.mark.parametrize("quality", ["giou", "iou", "centerness"])
def test_assigner_and_criterion_equal_the_cpu(assigner: Assigner, quality: str) -> None:
    scene = make_scene(0, images=3)
    results = []
    for device in (CPU, CUDA):
        points, prediction, targets = moved(*scene, device)
        assignment = ignore_crowds(points, assigner(points, prediction, targets), targets)
        losses = DenseCriterion(quality_target=quality)(points, prediction, targets, assignment)
        results.append((assignment, losses))
    (cpu, cpu_losses), (gpu, gpu_losses) = results
    assert torch.equal(cpu.gt, gpu.gt.cpu())
    for name, term in cpu_losses.terms.items():
        torch.testing.assert_close(gpu_losses[name].sum.cpu(), term.sum, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(gpu_losses[name].norm.cpu(), term.norm, rtol=1e-5, atol=1e-6)


RFA = RFAConfig(class_position=1, box_position=1, offset_init="normal")
METHODS = [(MODEL, Recipe()), (replace(MODEL, rfa=RFA), replace(Recipe(), assigner=APS()))]


@pytest.mark.parametrize(("model", "recipe"), METHODS, ids=["fcos", "mmmc"])
def test_a_step_equals_the_cpu(model: ModelConfig, recipe: Recipe) -> None:
    torch.manual_seed(0)
    detector = Detector(model, 3)
    gradients = []
    for device in (CPU, CUDA):
        detector.to(device).zero_grad()
        fabric = Fabric(accelerator=device.type, devices=1)
        backward_step(fabric, detector, [batch(device)], recipe)
        gradients.append(
            {name: p.grad.double().cpu().clone() for name, p in detector.named_parameters() if p.grad is not None}
        )
    for name, expected in gradients[0].items():
        scale = expected.abs().max().clamp(min=1e-6)
        assert ((gradients[1][name] - expected).abs().max() / scale) < 1e-2, name


@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
@pytest.mark.parametrize(("model", "recipe"), METHODS, ids=["fcos", "mmmc"])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_step_does_not_wait_for_the_host(precision: str, model: ModelConfig, recipe: Recipe) -> None:
    fabric = Fabric(accelerator="cuda", devices=1, precision=precision)
    detector = Detector(model, 3).to(CUDA)
    optimizer = build_optimizer(detector, recipe.optimizer, 2)
    moved_batch = batch(CUDA)
    backward_step(fabric, detector, [moved_batch], recipe)
    take_step(optimizer, detector.parameters(), 10.0)
    try:
        torch.cuda.set_sync_debug_mode("error")
        result = backward_step(fabric, detector, [moved_batch], recipe)
        take_step(optimizer, detector.parameters(), 10.0)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert all(loss.isfinite() for loss in result.losses.values())


def test_two_runs_agree(tmp_path: Path) -> None:
    make_synthetic(tmp_path / "set", train=8, val=2, size=(64, 64))
    recipe = load_recipe(
        "small",
        {
            "data": {"path": str(tmp_path / "set")},
            "model": {"backbone": "resnet18", "weights": "none", "channels": 32, "groups": 8, "depth": 1},
            "train": {"epochs": 2, "batch_size": 4, "loggers": []},
        },
    )
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        train(recipe, tmp_path / "first", accelerator="cuda", devices=1, quiet=True)
        train(recipe, tmp_path / "second", accelerator="cuda", devices=1, quiet=True)
    finally:
        torch.use_deterministic_algorithms(False)
    first, second = (load_checkpoint(tmp_path / name / "checkpoint.pt") for name in ("first", "second"))
    for name, value in first["model"].items():
        torch.testing.assert_close(second["model"][name], value, rtol=1e-4, atol=1e-5)
    assert json.loads((tmp_path / "first" / "record.json").read_text())["metrics"].keys()


def test_the_deformable_convolution_equals_the_rows_on_a_cpu() -> None:
    torch.manual_seed(0)
    layer = DeformableConv(16, RFAConfig())
    layer.reset_offsets()
    torch.nn.init.normal_(layer.offset.weight, std=0.3)
    x, found = torch.randn(2, 16, 12, 20), []
    for device in (CPU, CUDA):
        layer.to(device).zero_grad()
        inputs = x.clone().to(device).requires_grad_()  # without the copy it would be one tensor in both rounds
        output = layer(inputs)
        output.square().sum().backward()
        found.append([value.detach().cpu() for value in (output, inputs.grad, *(p.grad for p in layer.parameters()))])
    for expected, value in zip(*found, strict=True):
        assert (value - expected).abs().max() <= 1e-3 * expected.abs().max()
