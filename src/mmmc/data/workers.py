"""Processes that make batches.

Workers are started by "forkserver" ("spawn" where there is none): a fork of a process that runs threads, as every
process does that has used PyTorch, can deadlock, and Python 3.12 warns of it. The server imports PyTorch once
and all workers come from it, so only the first start costs that import. As always with these two, a script that
uses workers needs `if __name__ == "__main__":` around what it runs.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from mmmc.data.batching import Sample, collate
from mmmc.errors import InputError
from mmmc.structures import Batch


@dataclass(frozen=True)
class _Collated(Dataset):
    """Makes a whole batch in a worker. Bad input is returned, for an exception would lose its message on the way."""

    sample: Callable[..., Sample]
    pad_value: tuple[int, int, int]
    divisor: int

    def __getitem__(self, keys: list[dict[str, int]]) -> Batch | InputError:
        try:
            return collate([self.sample(**key) for key in keys], self.pad_value, self.divisor)
        except InputError as error:
            return error


class Batches:
    """PyTorch's loader over a plan that changes while its workers live on."""

    def __init__(
        self,
        sample: Callable[..., Sample],
        pad_value: tuple[int, int, int],
        divisor: int,
        workers: int,
        pin_memory: bool,
    ) -> None:
        if workers < 0:
            raise InputError(f"workers = {workers} cannot be used. Allowed: 0 or more.")
        self._plan: list[list[dict[str, int]]] = []
        self._loader: DataLoader[Any] = DataLoader(
            _Collated(sample, pad_value, divisor),
            batch_size=None,
            sampler=self._plan,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=pin_memory,
            multiprocessing_context=_worker_context() if workers else None,
            worker_init_fn=_end_with_main_process if workers else None,
            generator=torch.Generator(),  # or it would draw a number from the global one
        )

    def read(self, plan: list[list[dict[str, int]]]) -> Iterator[Batch]:
        """The batches of a plan: for each the arguments of its samples. Raises a worker's `InputError` as it was."""
        self._plan[:] = plan
        for batch in self._loader:
            if isinstance(batch, InputError):
                try:
                    raise batch
                finally:
                    del batch  # its traceback holds this frame: a cycle, in which workers take seconds to end
            yield batch


def _worker_context() -> multiprocessing.context.BaseContext:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _end_with_main_process(_worker: int) -> None:
    """Let a worker end when the main process is gone, even killed.

    PyTorch's own watchdog looks at the fork server, which in turn lives until its last worker has ended.
    """

    def wait() -> None:
        main_process = multiprocessing.parent_process()
        assert main_process is not None
        main_process.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
