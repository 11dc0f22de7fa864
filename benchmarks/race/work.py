"""`python -m benchmarks.race.work NAME …`: the process in which a contestant trains. `running` starts it.

PyTorch and all that needs it are imported late: the process watches for the end of its parent from its first moment.
"""

from __future__ import annotations

import argparse
import sys
import threading
from pathlib import Path

from mmmc.study.tied import end_with_parent


def main() -> int:
    """Train, predict and leave two files."""
    import torch

    from benchmarks.race.contestants import CONTESTANTS
    from benchmarks.race.task import Task, write
    from benchmarks.result import machine
    from mmmc.training.memory import keep_freed_memory

    parser = argparse.ArgumentParser("python -m benchmarks.race.work", description=__doc__)
    parser.add_argument("name", choices=CONTESTANTS)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    config = parser.parse_args()
    contestant = CONTESTANTS[config.name]
    torch.set_num_threads(config.threads)
    keep_freed_memory()  # as `mmmc train` does, for all alike
    given = (config.data, config.seconds, config.seed, config.threads, config.out)
    write(contestant.train()(Task(*given, contestant.folder())), machine(), config.out)
    return 0


if __name__ == "__main__":
    # Nothing that a cut race began goes on training beside the next one.
    threading.Thread(target=end_with_parent, daemon=True).start()
    sys.exit(main())
