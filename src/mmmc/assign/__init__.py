"""Label assignment: which point answers for which object."""

from mmmc.assign.aps import APS
from mmmc.assign.atss import ATSS
from mmmc.assign.dynamic_soft_label import DynamicSoftLabel
from mmmc.assign.fcos import FCOS
from mmmc.assign.max_iou import MaxIoU
from mmmc.assign.ota import OTA
from mmmc.assign.paa import PAA
from mmmc.assign.protocol import Assigner
from mmmc.assign.rules import ignore_crowds
from mmmc.assign.simota import SimOTA
from mmmc.assign.tal import TAL

__all__ = [
    "APS",
    "ATSS",
    "FCOS",
    "OTA",
    "PAA",
    "TAL",
    "Assigner",
    "DynamicSoftLabel",
    "MaxIoU",
    "SimOTA",
    "ignore_crowds",
]
