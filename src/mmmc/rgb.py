"""Picture files and pictures in memory, all brought to one form: 8-bit RGB, upright. Needs NumPy and Pillow alone.

- **Orientation.** What EXIF says is applied, so boxes refer to the picture as people see it.
- **Transparency.** A picture that is partly transparent is laid on white. The colour stored under a transparent
  pixel is arbitrary and nobody who drew boxes saw it; a page in a browser, and most viewers, show white.
- **16 bits.** 0..65535 is mapped linearly onto 0..255, whatever the picture holds, so that equal values stay
  equal from picture to picture. A camera that fills 12 of the 16 bits gives dark pictures: stretch them first.
- **Several frames.** The first is taken.

Every picture comes as an array `height width 3`, uint8, of its own memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from mmmc.errors import InputError

_WHITE = (255, 255, 255, 255)


def require_several(pictures: object, name: str) -> None:
    """Refuse what would be taken for many pictures and is one: a path, or an array or tensor of a single picture.

    Raises:
        InputError: it is one; names the argument.
    """
    if isinstance(pictures, (str, Path, Image.Image)) or getattr(pictures, "ndim", 0) in (2, 3):
        raise InputError(f"{name} is a single picture; allowed: several, so put it into a list.")


def read_rgb(source: str | Path | BytesIO, name: str | None = None) -> np.ndarray:
    """Decode a picture file, or what would be in one.

    Args:
        source: the file, or its content.
        name: what messages call it; of a file its path, if not given.

    Raises:
        InputError: the file is missing, no picture, damaged, or of a kind that has no 8-bit form; names the file.
    """
    name = str(source) if name is None else name
    try:
        with Image.open(source) as image:
            ImageOps.exif_transpose(image, in_place=True)  # spares a copy of the picture
            return np.array(_to_rgb(image))
    except FileNotFoundError:
        raise InputError(f"{name}: there is no such file.") from None
    except UnidentifiedImageError:
        raise InputError(f"{name}: not a picture, or of a format that Pillow does not read.") from None
    except Image.DecompressionBombError:
        raise InputError(
            f"{name}: more than {2 * (Image.MAX_IMAGE_PIXELS or 0)} pixels, which Pillow takes for a decompression "
            "bomb. Cut it into tiles: `mmmc data tile` for a set, `--tile` in prediction."
        ) from None
    except MemoryError:
        raise
    except Exception as error:  # damage makes Pillow's decoders raise almost anything
        raise InputError(f"{name}: cannot be decoded, it may be truncated or damaged: {error}.") from error


@contextmanager
def of_any_size() -> Iterator[None]:
    """Open pictures with more pixels than Pillow allows: those that somebody hands over to be cut are no attack."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def image_to_rgb(image: Image.Image) -> np.ndarray:
    """The pixels of a PIL picture of any mode.

    Raises:
        InputError: it has no 8-bit form, or cannot be decoded.
    """
    try:
        return np.array(_to_rgb(ImageOps.exif_transpose(image)))
    except (OSError, ValueError) as error:
        raise InputError(f"The PIL image given, mode {image.mode}, cannot be used: {error}.") from error


def array_to_rgb(array: np.ndarray) -> np.ndarray:
    """A grey or RGB array as RGB.

    Raises:
        InputError: another shape or type.
    """
    grey = array.ndim == 2
    if array.dtype != np.uint8 or 0 in array.shape or not (grey or (array.ndim == 3 and array.shape[2] == 3)):
        raise InputError(
            f"An array of shape {array.shape} and type {array.dtype} is no picture. "
            "Allowed: uint8, height × width (grey) or height × width × 3 (RGB)."
        )
    return np.repeat(array[..., None], 3, axis=2) if grey else array.copy()


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
