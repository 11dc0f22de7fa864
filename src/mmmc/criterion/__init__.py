"""Criteria: from prediction and assignment to losses.

Every criterion that a file of this folder defines is a name of this package.
"""

from typing import TYPE_CHECKING, Any

from mmmc.criterion.protocol import Criterion
from mmmc.discover import classes_in

CRITERIA = classes_in(__name__, Criterion)  # type: ignore[type-abstract]
"""Name to class of the criteria that come with the package."""

__all__ = ["CRITERIA", "Criterion", *CRITERIA]

globals().update(CRITERIA)

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...
