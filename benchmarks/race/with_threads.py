"""`python with_threads.py THREADS TOLD SCRIPT …`: a program of another environment, with so many threads.

Some programs compute with one thread less than the machine has processors, whatever they are told. So for SCRIPT the
machine has one processor more than the THREADS that it is to have. How many PyTorch had in the end is written to the
file TOLD. The Python of that environment runs this file by its path: nothing of this package is there to be imported.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path


def main(threads: int, told: Path, script: str) -> None:
    """Run the script as a program; the rest of `sys.argv` is for it."""
    os.cpu_count = lambda: threads + 1
    try:
        runpy.run_path(script, run_name="__main__")
    finally:
        if torch := sys.modules.get("torch"):
            told.write_text(str(torch.get_num_threads()))


if __name__ == "__main__":
    given, sys.argv[1:] = sys.argv[1:4], sys.argv[4:]
    main(int(given[0]), Path(given[1]), given[2])
