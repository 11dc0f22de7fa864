"""Seconds of fresh processes: `import mmmc` and `mmmc --help`, the interpreter's own start included."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

from benchmarks.result import Row
from benchmarks.setting import Setting
from benchmarks.timing import interleaved, timed

CPU_ONLY = True
COMMANDS = {
    "python": ("-c", "pass"),
    "import mmmc": ("-c", "import mmmc"),
    "mmmc --help": ("-m", "mmmc", "--help"),
}


def run(setting: Setting) -> list[Row]:
    """Seconds of each process, from its start to its end."""
    clocks = {name: timed(partial(fresh, *options), setting.device) for name, options in COMMANDS.items()}
    return interleaved(clocks, {}, setting.effort(most=15))


def fresh(*options: str) -> None:
    """A Python process with these options."""
    subprocess.run([sys.executable, *options], check=True, stdout=subprocess.DEVNULL)
