"""Exported files without PyTorch: pictures in, objects out. Needs NumPy, Pillow, and what runs the file, alone.

description  what a file says of itself
opening      a file by what runs it
detector     pictures in whatever form, in batches of one size
"""

from mmmc.runtime.description import Description
from mmmc.runtime.detector import Detections, FileDetector, load
from mmmc.runtime.opening import OPENERS

__all__ = ["OPENERS", "Description", "Detections", "FileDetector", "load"]
