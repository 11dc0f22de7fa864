"""Label assignment: which point answers for which object."""

from mmmc.assign.fcos import FCOS
from mmmc.assign.protocol import Assigner
from mmmc.assign.rules import ignore_crowds

__all__ = ["FCOS", "Assigner", "ignore_crowds"]
