"""Criteria: from prediction and assignment to losses."""

from mmmc.criterion.common import DenseCriterion
from mmmc.criterion.protocol import Criterion

__all__ = ["Criterion", "DenseCriterion"]
