"""Prediction wherever pictures are: files, addresses, standard input, videos, cameras; large ones in tiles."""

from mmmc.data.tiling import Tiling
from mmmc.predicting.tiles import detect_tiled, merge

__all__ = ["Tiling", "detect_tiled", "merge"]
