"""How the C library keeps memory."""

from __future__ import annotations

import ctypes
from contextlib import suppress

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's `mallopt`: free memory at the top from which it goes back, and sizes that are mapped singly."""


def keep_freed_memory() -> None:
    """Tell glibc to keep what is freed: every training step needs the same memory again.

    Otherwise each large tensor is fetched from the system and given back, which takes time in every step on a
    CPU. Nothing happens under another C library. It holds for the whole process.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for parameter in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            mallopt(parameter, 2**31 - 1)
