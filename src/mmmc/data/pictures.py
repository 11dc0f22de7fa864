"""Picture files and pictures in memory, all brought to one form: 8-bit RGB, upright, channels first.

- **Orientation.** What EXIF says is applied, so boxes refer to the picture as people see it.
- **Transparency.** A picture that is partly transparent is laid on white. The colour stored under a transparent
  pixel is arbitrary and nobody who drew boxes saw it; a page in a browser, and most viewers, show white.
- **16 bits.** 0..65535 is mapped linearly onto 0..255, whatever the picture holds, so that equal values stay
  equal from picture to picture. A camera that fills 12 of the 16 bits gives dark pictures: stretch them first.
- **Several frames.** The first is taken.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from mmmc.errors import InputError

_WHITE = (255, 255, 255, 255)


def read_picture(path: str | Path) -> UInt8[Tensor, "3 height width"]:
    """Decode a picture file.

    Raises:
        InputError: the file is missing, no picture, damaged, or of a kind that has no 8-bit form; names the file.
    """
    return _decoded(path, str(path))


def decode_picture(content: bytes, name: str) -> UInt8[Tensor, "3 height width"]:
    """Decode a picture that is in memory as it would be in a file; `name` is what messages call it.

    Raises:
        InputError: no picture, damaged, or of a kind that has no 8-bit form.
    """
    return _decoded(BytesIO(content), name)


def _decoded(source: str | Path | BytesIO, name: str) -> Tensor:
    try:
        with Image.open(source) as image:
            ImageOps.exif_transpose(image, in_place=True)  # spares a copy of the picture
            return F.pil_to_tensor(_to_rgb(image))
    except FileNotFoundError:
        raise InputError(f"{name}: there is no such file.") from None
    except UnidentifiedImageError:
        raise InputError(f"{name}: not a picture, or of a format that Pillow does not read.") from None
    except MemoryError:
        raise
    except Exception as error:  # damage makes Pillow's decoders raise almost anything
        raise InputError(f"{name}: cannot be decoded, it may be truncated or damaged: {error}.") from error


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
        try:
            return F.pil_to_tensor(_to_rgb(ImageOps.exif_transpose(image)))
        except (OSError, ValueError) as error:
            raise InputError(f"The PIL image given, mode {image.mode}, cannot be used: {error}.") from error
    if isinstance(image, np.ndarray):
        return _from_array(image)
    if isinstance(image, Tensor):
        return _from_tensor(image)
    raise InputError(
        f"A picture of type {type(image).__name__} cannot be used. "
        "Allowed: a path, a PIL image, a numpy array, a tensor."
    )


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers without a known range; store it with 8 or 16 bits")
    if image.mode.startswith("I"):
        return Image.fromarray(_eight_bits(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        colours = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", colours.size, _WHITE), colours).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(values: np.ndarray) -> np.ndarray:
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise ValueError(f"its values span {low}..{high}; of more than 8 bits only 0..65535 is allowed")
    return np.rint(values / 257).astype(np.uint8)


def _from_array(array: np.ndarray) -> Tensor:
    grey = array.ndim == 2
    if array.dtype != np.uint8 or 0 in array.shape or not (grey or (array.ndim == 3 and array.shape[2] == 3)):
        raise InputError(
            f"An array of shape {array.shape} and type {array.dtype} is no picture. "
            "Allowed: uint8, height × width (grey) or height × width × 3 (RGB)."
        )
    channels = np.repeat(array[None], 3, axis=0) if grey else array.transpose(2, 0, 1)
    return torch.from_numpy(channels.copy())


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
