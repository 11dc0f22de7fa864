"""`python -m mmmc.study.tied ARGUMENTS…`: the command `mmmc`, which ends when the process that began it has ended.

However that ended, even by a kill that lets it do nothing more: the system then closes its end of our standard
input. Nobody then trains in a folder that the next call of the plan goes on with. To be begun in a session of its own,
all of which is ended.
"""

from __future__ import annotations

import os
import runpy
import signal
import threading


def end_with_parent() -> None:
    """Wait until standard input is closed, then end all processes of this session."""
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    runpy.run_module("mmmc", run_name="__main__", alter_sys=True)
