"""For those who write an assigner: a suite that each must pass, and tiny scenes to try it on."""

from mmmc.testing.assigner import check_assigner
from mmmc.testing.scenes import Scene, make_prediction, make_scene, make_target

__all__ = ["Scene", "check_assigner", "make_prediction", "make_scene", "make_target"]
