"""Prediction wherever pictures are: files, addresses, standard input, videos, cameras; large ones in tiles."""

from mmmc.predicting.tiles import Tiling, detect_tiled, merge

__all__ = ["Tiling", "detect_tiled", "merge"]
