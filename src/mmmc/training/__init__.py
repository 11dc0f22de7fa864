"""Training: how it begins, the visible loop, and what that needs."""

from mmmc.training.start import train

__all__ = ["train"]
