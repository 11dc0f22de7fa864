"""The embedded set: synthetic scenes in which the best place to name an object is not the best place to box it.

An object is a body with a two-coloured badge. The badge alone tells the class, and what is no object: bodies without
a badge or with a badge of one colour stand among the objects. In half of the objects the badge sits at the centre,
in the others towards an end or a corner. Shape, size, colour and texture of the body say nothing about the class.
Classes survive a horizontal flip and a change of light, so the usual augmentation leaves labels true.

Every scene is a pure function of (seed, split, index, size). Where things stand is decided by plain numpy geometry on
its own random stream; pixels come from another, so no drawing library has a say in boxes, labels or visibility.
"""

from mmmc.data.synthetic.layout import CLASSES
from mmmc.data.synthetic.scenes import SPLITS, Scene, scene
from mmmc.data.synthetic.writing import VERSION, make_synthetic

__all__ = ["CLASSES", "SPLITS", "VERSION", "Scene", "make_synthetic", "scene"]
