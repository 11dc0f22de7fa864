"""A scene by its number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from mmmc.data.synthetic.layout import arrange
from mmmc.data.synthetic.painting import draw
from mmmc.errors import InputError, did_you_mean

SPLITS = ("train", "val")


@dataclass(frozen=True)
class Scene:
    """A picture and all that is known of its objects, from back to front.

    Attributes:
        image: 8-bit RGB.
        boxes: `x1 y1 x2 y2` in pixels: the whole object with its hidden parts, cut at the picture's border.
        labels: index into `CLASSES`.
        visible: share of the object's area inside the picture that nothing hides, to about 0.02.
        cue: x and y of the badge's centre in pixels.
        centred: whether the badge was put at the centre of the whole object.
    """

    image: UInt8[np.ndarray, "H W 3"]
    boxes: Float[np.ndarray, "M 4"]
    labels: Int[np.ndarray, " M"]
    visible: Float[np.ndarray, " M"]
    cue: Float[np.ndarray, "M 2"]
    centred: Bool[np.ndarray, " M"]


def scene(seed: int, split: str, index: int, size: tuple[int, int] = (256, 256)) -> Scene:
    """The scene with this number: always the same one, whatever was drawn before.

    Raises:
        InputError: an unknown split, a negative number, or a picture side under 64 pixels.
    """
    if split not in SPLITS:
        raise InputError(f"split is {split!r}.{did_you_mean(split, SPLITS)}")
    for name, value in (("seed", seed), ("index", index)):
        if value < 0:
            raise InputError(f"{name} is {value}; allowed: 0 or more.")
    if min(size) < 64:
        raise InputError(f"size is {size}; allowed: height and width of at least 64 pixels.")
    streams = np.random.SeedSequence((seed, SPLITS.index(split), index)).spawn(2)
    layout, paint = (np.random.Generator(np.random.PCG64(stream)) for stream in streams)
    placed = arrange(layout, size)
    image = draw([item.body for item in placed], size, paint)
    objects = [item for item in placed if item.body.label is not None]
    height, width = size
    return Scene(
        image=image,
        boxes=np.array([item.body.box for item in objects]).clip(0, [width, height, width, height]),
        labels=np.array([item.body.label for item in objects]),
        visible=np.array([item.visible for item in objects]).round(3),
        cue=np.array([item.body.cue_xy for item in objects]).round(3),
        centred=np.array([item.body.centred for item in objects]),
    )
