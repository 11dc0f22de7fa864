"""What the command line says to a benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from benchmarks.timing import Effort


@dataclass(frozen=True)
class Setting:
    """Where and how long a benchmark measures.

    Attributes:
        device: where.
        tiny: sizes that end within seconds and tell nothing, to see that it runs.
        threads: of each process on a CPU.
        asked: what was asked of the effort, by the names of `Effort`.
        only: parts of the benchmark that were asked for; all if empty.
    """

    device: torch.device
    tiny: bool = False
    threads: int = 1
    asked: Mapping[str, float] = field(default_factory=dict)
    only: tuple[str, ...] = ()

    def effort(self, **usual: float) -> Effort:
        """The effort that suits a benchmark, unless something else was asked for."""
        if self.tiny:
            return Effort(warmup=0, least=2, most=2)
        return Effort(**{**usual, **self.asked})  # type: ignore[arg-type]

    def wants(self, part: str) -> bool:
        """Whether this part is asked for."""
        return not self.only or part in self.only
