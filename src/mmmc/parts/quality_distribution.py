"""IQDet's quality distribution: where in an object, and on which level, predictions are good (Ma et al. 2021)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import relu
from torch.nn.utils.rnn import pad_sequence
from torchvision.ops import roi_align

from mmmc.errors import InputError
from mmmc.parts.box_mixture import COMPONENTS, DEVIATIONS, draw, lattice, pixels, shifts
from mmmc.parts.level_grid import level_grids, open_levels
from mmmc.parts.protocol import Part, TrainingPart
from mmmc.structures import Points, Prediction, Supervision


@dataclass(frozen=True)
class QualityDistribution(Part):
    """For each object and level a mixture of two Gaussians over the box, and positions drawn from all of them.

    Each level's map is pooled over the box (RoIAlign), and two layers that all levels share turn it into a mixture
    (`mmmc.parts.box_mixture`). Re-created from a description of the published method, which has no public code:
    the number of layers, Gaussians and positions is described, all else is this package's reading.

    Args:
        samples: positions of an object.
        pool: side of the pooled map.
        hidden: outputs of the first layer.
        deviation: what each deviation begins with; half a side of the box is 1.
    """

    samples: int = 12
    pool: int = 7
    hidden: int = 256
    deviation: float = 0.5

    def __post_init__(self) -> None:
        for name in ("samples", "pool", "hidden"):
            if not getattr(self, name) >= 1:
                raise InputError(f"part QualityDistribution: {name} is {getattr(self, name)}; allowed: 1 or more.")
        low, high = DEVIATIONS
        if not low < self.deviation < high:
            raise InputError(
                f"part QualityDistribution: deviation is {self.deviation}; allowed: above {low} and below {high}."
            )

    def build(self, channels: int, classes: int) -> RegionMixture:
        """See `Part`."""
        return RegionMixture(self, channels)


class RegionMixture(TrainingPart):
    """Two layers on what is pooled from a level's map; `extra` names `quality mixture` and `samples`."""

    def __init__(self, config: QualityDistribution, channels: int) -> None:
        super().__init__()
        self.config = config
        self.first = nn.Linear(channels * config.pool**2, config.hidden)
        self.second = nn.Linear(config.hidden, COMPONENTS * 5)
        # Near the start, but the two components must not be alike: they would get the same gradients for ever.
        nn.init.normal_(self.second.weight, std=0.01)
        nn.init.zeros_(self.second.bias)

    def extra(
        self,
        maps: Sequence[Float[Tensor, "B D _ _"]],
        points: Points,
        prediction: Prediction,
        supervision: Supervision,
    ) -> Mapping[str, Tensor]:
        """See `TrainingPart`; `quality mixture` is `B M L K 5` and `samples`, x, y and level, `B M S 3`.

        Samples carry no gradient. They are a function of the mixtures, the progress and the picture's id alone.
        """
        dtype = torch.promote_types(prediction.boxes.dtype, torch.float32)
        boxes = pad_sequence([target.boxes for target in supervision.targets], batch_first=True).to(dtype)
        mixture = self.mixtures(maps, points, boxes)
        with torch.no_grad(), torch.autocast(points.xy.device.type, enabled=False):
            admitted = open_levels(level_grids(points, supervision.targets), boxes)
            moved = [shifts(supervision.progress, target.image_id) for target in supervision.targets]
            at, level = draw(mixture, admitted, lattice(self.config.samples, moved, boxes))
            xy = pixels(at, boxes[:, :, None])
        return {"quality mixture": mixture, "samples": torch.cat([xy, level[..., None].to(dtype)], dim=3)}

    def mixtures(
        self, maps: Sequence[Float[Tensor, "B D _ _"]], points: Points, boxes: Float[Tensor, "B M 4"]
    ) -> Float[Tensor, "B M L K 5"]:
        """The mixture of each box on each level."""
        batch, objects, _ = boxes.shape
        picture = torch.arange(batch, device=boxes.device, dtype=boxes.dtype).view(-1, 1, 1).expand(-1, objects, 1)
        regions = torch.cat([picture, boxes], dim=2).flatten(0, 1)
        raw = []
        for features, stride in zip(maps, points.strides, strict=True):
            with torch.autocast(boxes.device.type, enabled=False):
                # No device pools in every low precision, and none with another precision of the boxes.
                pooled = roi_align(features.to(boxes.dtype), regions, self.config.pool, 1 / stride, 2, aligned=True)
            hidden = relu(self.first(pooled.flatten(1).to(self.first.weight.dtype)))
            raw.append(self.second(hidden).to(boxes.dtype))
        return self.decoded(torch.stack(raw, dim=1).view(batch, objects, len(raw), COMPONENTS, 5))

    def decoded(self, raw: Float[Tensor, "*shape K 5"]) -> Float[Tensor, "*shape K 5"]:
        """What the layers say as a mixture: means stay in the box, deviations in their range; 0 is the start."""
        low, high = DEVIATIONS
        start = math.log((self.config.deviation - low) / (high - self.config.deviation))
        deviation = low + (high - low) * (raw[..., 3:] + start).sigmoid()
        return torch.cat([raw[..., :1], raw[..., 1:3].tanh(), deviation], dim=-1)
