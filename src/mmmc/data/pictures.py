"""Picture files and pictures in memory as tensors: 8-bit RGB, upright, channels first. `mmmc.rgb` says how."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from mmmc.errors import InputError
from mmmc.rgb import array_to_rgb, image_to_rgb, read_rgb


def read_picture(path: str | Path) -> UInt8[Tensor, "3 height width"]:
    """Decode a picture file.

    Raises:
        InputError: the file is missing, no picture, damaged, or of a kind that has no 8-bit form; names the file.
    """
    return _tensor(read_rgb(path))


def decode_picture(content: bytes, name: str) -> UInt8[Tensor, "3 height width"]:
    """Decode a picture that is in memory as it would be in a file; `name` is what messages call it.

    Raises:
        InputError: no picture, damaged, or of a kind that has no 8-bit form.
    """
    return _tensor(read_rgb(BytesIO(content), name))


def from_any(image: str | Path | Image.Image | np.ndarray | Tensor) -> UInt8[Tensor, "3 height width"]:
    """A picture in any of the forms that people hold it in.

    Args:
        image: a path; a PIL image of any mode; an array `height width` or `height width 3`, uint8, RGB; a tensor
            `3 height width`, RGB, uint8 in 0..255 or floating point in 0..1. A tensor stays on its device.

    Raises:
        InputError: another type, shape or range of values.
    """
    if isinstance(image, str | Path):
        return read_picture(image)
    if isinstance(image, Image.Image):
        return _tensor(image_to_rgb(image))
    if isinstance(image, np.ndarray):
        return _tensor(array_to_rgb(image))
    if isinstance(image, Tensor):
        return _from_tensor(image)
    raise InputError(
        f"A picture of type {type(image).__name__} cannot be used. "
        "Allowed: a path, a PIL image, a numpy array, a tensor."
    )


def _tensor(rgb: np.ndarray) -> Tensor:
    return torch.from_numpy(rgb).permute(2, 0, 1)


def _from_tensor(tensor: Tensor) -> Tensor:
    known = tensor.dtype == torch.uint8 or tensor.is_floating_point()
    if not known or tensor.ndim != 3 or tensor.shape[0] != 3 or tensor.numel() == 0:
        raise InputError(
            f"A tensor of shape {tuple(tensor.shape)} and type {tensor.dtype} is no picture. "
            "Allowed: 3 × height × width, RGB, uint8 in 0..255 or floating point in 0..1."
        )
    if tensor.dtype == torch.uint8:
        return tensor
    low, high = (value.item() for value in tensor.detach().aminmax())
    if not (low >= 0 and high <= 1):  # so written, NaN is refused too
        raise InputError(f"A floating-point picture must lie in 0..1; this one spans {low:g}..{high:g}.")
    return (tensor.detach().float() * 255).round().to(torch.uint8)
