"""An assigner that is not ours."""

from __future__ import annotations

from dataclasses import dataclass

from mmmc.assign import FCOS


@dataclass(frozen=True)
class Whole(FCOS):
    """A stranger's assigner: FCOS with another default and an option of its own."""

    center_radius: float | None = None
    pull: float = 0.5


WHOLE = f"{Whole.__module__}.Whole"
