"""Where the runs of a plan are trained: what the loop asks of such a place, and the one that is this machine."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from pathlib import Path

from mmmc.study.plan import Run
from mmmc.study.process import MOMENT, TAKEN, Outcome, RunProcess, TakenError, begin


class Workers(ABC):
    """A place where runs are trained.

    A run that was begun before and ended in any way goes on from its last checkpoint.

    Attributes:
        out: folder of the run folders, the same for the loop and for all that train.
    """

    out: Path

    @abstractmethod
    def places(self) -> int:
        """How many runs there may be at a time."""

    @abstractmethod
    def begin(self, run: Run) -> None:
        """Begin or go on with a run, whose recipe lies beside its folder (`mmmc.study.process`)."""

    @abstractmethod
    def ended(self) -> list[tuple[Run, Outcome]]:
        """Runs that are over since the last call, and what became of them; waits a moment where none is."""

    @abstractmethod
    def stop(self) -> None:
        """End all runs that were begun, and wait until they are gone."""


class Here(Workers):
    """Processes of this machine.

    Args:
        out: folder of the run folders.
        jobs: runs at a time.
        threads: of each.
    """

    def __init__(self, out: str | Path, *, jobs: int = 1, threads: int = 1) -> None:
        self.out = Path(out)
        self._jobs = jobs
        self._threads = threads
        self._begun: list[tuple[Run, RunProcess]] = []
        self._taken: list[Run] = []

    def places(self) -> int:
        """As many as were asked for."""
        return self._jobs

    def begin(self, run: Run) -> None:
        """Begin its process, unless another trains it."""
        try:
            self._begun.append((run, begin(self.out, run.folder, self._threads)))
        except TakenError:
            self._taken.append(run)

    def ended(self) -> list[tuple[Run, Outcome]]:
        """Whose processes are gone, or are another's."""
        if self._taken:
            return [(self._taken.pop(), TAKEN)]
        over = [pair for pair in self._begun if pair[1].ended()]
        if not over:
            time.sleep(MOMENT)
        for pair in over:
            self._begun.remove(pair)
            pair[1].end()
        return [(run, process.outcome()) for run, process in over]

    def stop(self) -> None:
        """End the processes, one after the other."""
        while self._begun:
            self._begun.pop()[1].end()
