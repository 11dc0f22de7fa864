"""SAPD's meta-selection net: which level of the pyramid an object is for (Zhu et al. 2020, section 3.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torchvision.ops import roi_align

from mmmc.errors import InputError
from mmmc.parts.protocol import Part, TrainingPart
from mmmc.structures import Points, Prediction, Supervision

LEVEL_LOGITS = "level logits"
"""Name in `Prediction.extra` of what the net says of each object's levels, `B M L`, before the softmax."""

CROP = 7
"""Height and width of an object's features on each level."""


@dataclass(frozen=True)
class SelectionNet(Part):
    """Crops each object from every level, and says from all crops together which levels are for it.

    Three 3×3 convolutions without padding bring the 7×7 crops, one behind the other along the channels, to a single
    position, and a linear layer to one logit for each level. Its loss is the criterion's, and reaches the pyramid: the
    net trains jointly with the detector. Re-created from descriptions of the method; not compared with the authors'
    code.

    Args:
        levels: of the pyramid.
    """

    levels: int = 5

    def __post_init__(self) -> None:
        if not self.levels >= 1:
            raise InputError(f"part SelectionNet: levels is {self.levels}; allowed: 1 or more.")

    def build(self, channels: int, classes: int) -> LevelSelector:
        """See `Part`."""
        return LevelSelector(channels, self.levels)


class LevelSelector(TrainingPart):
    """The net; `extra` names what it says `level logits`, `B M L` before the softmax.

    Args:
        channels: of each level's map, and of the net's layers.
        levels: of the pyramid.
    """

    def __init__(self, channels: int, levels: int) -> None:
        super().__init__()
        self.levels = levels
        widths = (levels * channels, channels, channels, channels)
        self.layers = nn.Sequential(
            *(layer for before, after in pairwise(widths) for layer in (nn.Conv2d(before, after, 3), nn.ReLU())),
            nn.Flatten(),
        )
        self.logits = nn.Linear(channels, levels)
        # It begins without an opinion: all levels weigh about the same.
        nn.init.normal_(self.logits.weight, std=0.01)
        nn.init.zeros_(self.logits.bias)

    def extra(
        self,
        maps: Sequence[Float[Tensor, "B D _ _"]],
        points: Points,
        prediction: Prediction,
        supervision: Supervision,
    ) -> Mapping[str, Tensor]:
        """See `TrainingPart`.

        Raises:
            InputError: the pyramid has another number of levels.
        """
        if len(maps) != self.levels:
            raise InputError(f"part SelectionNet: levels is {self.levels}; allowed: the pyramid's, {len(maps)}.")
        # Filled up to the largest number of objects, as assigners have them; a filler's logits mean nothing.
        boxes = pad_sequence([target.boxes for target in supervision.targets], batch_first=True)
        images, objects, _ = boxes.shape
        picture = torch.arange(images, device=boxes.device)[:, None, None].expand(-1, objects, -1)
        regions = torch.cat([picture.to(boxes.dtype), boxes], dim=2).flatten(0, 1)
        crops = torch.cat(
            [self._crops(features, regions, stride) for features, stride in zip(maps, points.strides, strict=True)],
            dim=1,
        )
        return {LEVEL_LOGITS: self.logits(self.layers(crops)).view(images, objects, self.levels)}

    @staticmethod
    def _crops(features: Float[Tensor, "B D h w"], regions: Float[Tensor, "R 5"], stride: int) -> Tensor:
        # Coordinates in low precision would be off by pixels, and the CPU crops nothing below float32.
        dtype = torch.promote_types(features.dtype, torch.float32)
        crops = roi_align(features.to(dtype), regions.to(dtype), CROP, 1 / stride, sampling_ratio=2, aligned=True)
        return crops.to(features.dtype)
