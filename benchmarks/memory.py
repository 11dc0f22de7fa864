"""What a piece of work needs of memory, and processes of their own to see it in."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

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


AT_ONCE_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536"}
"""By default glibc keeps more and more of what was freed, by the blocks that it has seen; so it keeps no large one."""


def apart(function: Callable[..., T], *arguments: Any, threads: int = 1, keeping: bool = True) -> T:
    """What a function of a module returns in a fresh process with so many threads.

    Args:
        function: what is called there.
        arguments: its arguments.
        threads: of the process.
        keeping: whether its allocator may keep freed blocks, as usual; otherwise memory is what is needed.
    """
    context = multiprocessing.get_context("spawn")
    with (
        patch.dict(os.environ, {} if keeping else AT_ONCE_BACK),
        ProcessPoolExecutor(1, context, torch.set_num_threads, (threads,)) as pool,
    ):
        return pool.submit(function, *arguments).result()


FRESH = """
{setup}
import json, resource, time
from pathlib import Path
began = time.perf_counter()
{work}
seconds = time.perf_counter() - began
status = Path("/proc/self/status")
if status.exists():  # getrusage would begin with the peak of the process that started this one
    peak = 1024 * next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([seconds, peak / 1e6]))
"""


def fresh(setup: str, work: str, *arguments: str | Path) -> tuple[float, float]:
    """Seconds of some lines of Python in a fresh process, and the most that the whole process holds, in MB.

    Args:
        setup: lines that come before and do not count.
        work: lines that count.
        arguments: of the process, as `sys.argv[1:]`.
    """
    code = FRESH.format(setup=setup, work=work)
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    seconds, peak = json.loads(done.stdout.splitlines()[-1])
    return seconds, peak


def _status(name: str) -> int:
    return 1024 * next(int(line.split()[1]) for line in STATUS.read_text().splitlines() if line.startswith(name))
