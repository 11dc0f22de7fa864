"""Training: the visible loop and what it needs."""

from mmmc.training.loop import train

__all__ = ["train"]
