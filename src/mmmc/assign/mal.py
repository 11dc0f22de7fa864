"""MAL: FreeAnchor's bags, of which fewer and fewer points are learned from (Ke et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from jaxtyping import Bool, Float
from torch import Tensor

from mmmc.assign.free_anchor import FreeAnchor
from mmmc.assign.shared.bags import foremost
from mmmc.errors import InputError


@dataclass(frozen=True)
class MAL(FreeAnchor):
    """The points of highest P of each bag: all at first, one at the end of the training.

    Of a bag the `bag · (1 - progress) + 1` points of highest P remain, rounded down and at most all; of equal ones
    the nearest to the centre. P, bags and weights are FreeAnchor's, and so is `mmmc.criterion.BagCriterion`;
    `mmmc.parts.Depression` belongs to the method too.

    Re-created from a description: the paper selects so, linearly in the progress as it is read here; the released
    training does not, and trains whole bags of 40. Not verified against either.

    Args:
        bag: points of an object at first; 40 is the published number of anchors.
        bag_by: as FreeAnchor's.
        box_factor: as FreeAnchor's.
        progress: share of the training that is done, 0 to 1. The training sets it in each iteration.
    """

    bag: int = 40
    progress: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.progress <= 1:
            raise InputError(f"assigner MAL: progress is {self.progress}; allowed: 0 to 1.")

    def at(self, progress: float) -> MAL:
        """See `Assigner`."""
        return replace(self, progress=progress)

    @property
    def remaining(self) -> int:
        """How many points of a full bag are learned from now."""
        # The small number is for products like 40 · (1 - 0.9), which rounding puts below 4.
        return min(self.bag, int(self.bag * (1 - self.progress) + 1e-9) + 1)

    def selected(
        self, log_p: Float[Tensor, "B M P"], away: Float[Tensor, "B M P"], bag: Bool[Tensor, "B M P"]
    ) -> Bool[Tensor, "B M P"]:
        """See `FreeAnchor`."""
        return foremost(log_p, away, bag, self.remaining)
