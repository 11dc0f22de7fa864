"""What misalignment of score and box costs, in AP, and what else a detector loses.

`diagnose` needs only COCO's dictionaries (`mmmc.evaluate` says how they look), so any detector can be looked at.
"""

from mmmc.misalignment.arrays import Boxes, Truth
from mmmc.misalignment.diagnosis import Diagnosis, diagnose

__all__ = ["Boxes", "Diagnosis", "Truth", "diagnose"]
