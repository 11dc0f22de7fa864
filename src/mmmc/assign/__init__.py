"""Label assignment: which point answers for which object.

Every assigner that a file of this folder defines is a name of this package.
"""

from typing import TYPE_CHECKING, Any

from mmmc.assign.protocol import Assigner
from mmmc.assign.shared.rules import ignore_crowds
from mmmc.discover import classes_in

ASSIGNERS = classes_in(__name__, Assigner)  # type: ignore[type-abstract]
"""Name to class of the assigners that come with the package."""

__all__ = ["ASSIGNERS", "Assigner", "ignore_crowds", *ASSIGNERS]

globals().update(ASSIGNERS)

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...
