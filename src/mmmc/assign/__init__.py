"""Label assignment: which point answers for which object."""

from mmmc.assign.aps import APS
from mmmc.assign.fcos import FCOS
from mmmc.assign.protocol import Assigner
from mmmc.assign.rules import ignore_crowds

__all__ = ["APS", "FCOS", "Assigner", "ignore_crowds"]
