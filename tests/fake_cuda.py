"""A GPU without one: fake tensors that say `cuda:0` and hold no values, and a count of what would wait for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mmmc.points import make_points
from mmmc.structures import Points, Prediction, Target

CUDA = torch.device("cuda")


@pytest.fixture
def fake_cuda() -> Iterator[None]:
    with FakeTensorMode(shape_env=ShapeEnv()):
        yield


def fake_targets() -> list[Target]:
    """Three objects and a crowd, and none."""
    return [
        Target(
            boxes=torch.zeros(objects, 4, device=CUDA),
            labels=torch.zeros(objects, dtype=torch.long, device=CUDA),
            crowd=torch.zeros(crowds, 4, device=CUDA),
            image_id=0,
            size=(64, 96),
            original_size=(64, 96),
        )
        for objects, crowds in ((3, 1), (0, 0))
    ]


def fake_prediction(**extra: tuple[int, ...]) -> tuple[Points, Prediction]:
    """Points of two levels and what is said there of `fake_targets` under autocast; `extra` gives shapes by name."""
    with CUDA:
        points = make_points([(8, 12), (4, 6)], (8, 16), device=CUDA)
        return points, Prediction(
            logits=torch.zeros(2, len(points), 3, dtype=torch.bfloat16, requires_grad=True),
            boxes=torch.zeros(2, len(points), 4, requires_grad=True),
            quality=torch.zeros(2, len(points), dtype=torch.bfloat16, requires_grad=True),
            extra={name.replace("_", " "): torch.zeros(shape, requires_grad=True) for name, shape in extra.items()},
        )


def devices(*values: Any) -> set[str]:
    return {str(tensor.device) for tensor in tree_leaves(values) if isinstance(tensor, Tensor)}


class Waits(TorchDispatchMode):
    """Counts the operations for which a host must wait until the device has finished.

    Those are reading a value, every operation whose result's size depends on values, and copies between devices that
    are not from page-locked memory; the last can only be seen on fake tensors.
    """

    READS = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "repeat_interleave", "bincount")

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        by_mask = name.startswith("index") and any(
            isinstance(leaf, Tensor) and leaf.dtype in (torch.bool, torch.uint8) for leaf in tree_leaves(args[1])
        )
        between = name in ("_to_copy", "copy_") and len(devices(args, result)) > 1
        if by_mask or between or name.lstrip("_").startswith(tuple(read.lstrip("_") for read in self.READS)):
            self.seen.append(name)
        return result
