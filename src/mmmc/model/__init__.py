"""The detector and its parts."""

from mmmc.model.detector import Detector, ModelConfig

__all__ = ["Detector", "ModelConfig"]
