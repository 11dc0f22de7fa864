"""What a piece of work needs of memory, and processes of their own to see it in."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import torch

T = TypeVar("T")

STATUS, MARKS = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Peak:
    """Extra memory, in MB, while the block ran: of the process on a CPU, of its tensors on a GPU.

    A CPU's memory is not told apart by owner, so there the block needs a process of its own; where the system has no
    `/proc`, `extra` stays None.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.extra: float | None = None

    def __enter__(self) -> Peak:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
            self._before = torch.cuda.memory_allocated(self.device)
        elif STATUS.exists():
            MARKS.write_text("5")  # the highest mark falls back to what is in use
            self._before = _status("VmRSS")
        return self

    def __exit__(self, *_: object) -> None:
        if self.device.type == "cuda":
            self.extra = (torch.cuda.max_memory_allocated(self.device) - self._before) / 1e6
        elif STATUS.exists():
            self.extra = (_status("VmHWM") - self._before) / 1e6


def apart(function: Callable[..., T], *arguments: Any, threads: int = 1) -> T:
    """What a function of a module returns in a fresh process with so many threads."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, torch.set_num_threads, (threads,)) as pool:
        return pool.submit(function, *arguments).result()


def _status(name: str) -> int:
    return 1024 * next(int(line.split()[1]) for line in STATUS.read_text().splitlines() if line.startswith(name))
