"""Exported files without PyTorch: pictures in, objects out. Needs NumPy, Pillow and ONNX Runtime alone.

description  what a file says of itself
detector     pictures in whatever form, in batches of one size
"""

from mmmc.runtime.description import Description
from mmmc.runtime.detector import SUFFIXES, Detections, FileDetector, load

__all__ = ["SUFFIXES", "Description", "Detections", "FileDetector", "load"]
