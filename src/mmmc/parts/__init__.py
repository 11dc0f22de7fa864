"""What single methods have besides the detector while they train.

Every part that a file of this folder defines is a name of this package.
"""

from typing import TYPE_CHECKING, Any

from mmmc.discover import classes_in
from mmmc.parts.protocol import Part, TrainingPart

PARTS = classes_in(__name__, Part)  # type: ignore[type-abstract]
"""Name to class of the parts that come with the package."""

__all__ = ["PARTS", "Part", "TrainingPart", *PARTS]

globals().update(PARTS)

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...
