"""Our detector where torchvision's is called, and our assigners in torchvision's own FCOS.

Inside the package `import torchvision` is torchvision itself: imports are absolute.
"""

from mmmc.torchvision.build import fcos
from mmmc.torchvision.head import AssignedHead
from mmmc.torchvision.losses import LOSSES
from mmmc.torchvision.model import TorchvisionModel

__all__ = ["LOSSES", "AssignedHead", "TorchvisionModel", "fcos"]
