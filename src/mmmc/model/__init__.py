"""The detector and its parts."""

from mmmc.model.detector import Detector, ModelConfig
from mmmc.model.rfa import RFAConfig

__all__ = ["Detector", "ModelConfig", "RFAConfig"]
