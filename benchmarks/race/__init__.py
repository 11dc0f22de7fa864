"""AP per CPU minute: several detectors train on one set for the same time, and one evaluator scores them all.

`docs/performance.md` has the rules. `main` is here so that `python -m benchmarks race` finds it.
"""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Run a command line of the race and return its exit status."""
    from benchmarks.race.commands import main as run

    return run(arguments)
