"""A tiny run with RFA, and that run as a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path

import jaxtyping
import torch

from mmmc.checkpoint import load_weights, save_weights
from mmmc.cli import main
from mmmc.model import Detector, RFAConfig


def add_rfa(weights: Path, out: Path) -> Path:
    """Weights with a deformable convolution in place of the first of each tower, its offsets some tenths of a cell."""
    plain = load_weights(weights)
    recipe = replace(plain.recipe, model=replace(plain.recipe.model, rfa=RFAConfig(1, 1)))
    names = Detector(recipe.model, len(plain.categories), load_backbone=False).state_dict()
    generator = torch.Generator().manual_seed(0)
    state = {
        name: 0.1 * torch.randn(value.shape, generator=generator) if ".offset." in name else plain.state[name]
        for name, value in names.items()
    }
    save_weights(out, replace(plain, state=state, recipe=recipe))
    return out


@dataclass(frozen=True)
class Exported:
    """A file that `mmmc export` wrote, of which weights, and what it said."""

    file: Path
    weights: Path
    said: str


def export_tiny(weights: Path, out: Path, *options: str) -> str:
    """Write weights as an ONNX file; what the command said."""
    said = StringIO()
    with unchecked_types(), redirect_stdout(said):
        assert main(["export", str(weights), "--out", str(out), "--license", "mit", *options]) == 0
    return said.getvalue()


@contextmanager
def unchecked_types() -> Iterator[None]:
    """Sizes are symbols while a graph is made, and no type check takes those for numbers."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
