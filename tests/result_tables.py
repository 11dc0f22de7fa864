"""The tables of docs/results.md, each below the command that prints it.

python tests/result_tables.py    puts into the page what the commands print now
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from pathlib import Path

from mmmc.cli import main

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "results.md"
TABLE = re.compile(r"^    mmmc (study table .*)\n\n((?:\|.*\n)*)", re.MULTILINE)


def printed(command: str) -> str:
    """What a command of the page prints."""
    said = io.StringIO()
    with contextlib.chdir(ROOT), contextlib.redirect_stdout(said):
        assert main(shlex.split(command)) == 0, command
    return said.getvalue().strip() + "\n"


def anew(page: str) -> str:
    """The page with its tables as the commands print them now."""
    return TABLE.sub(lambda found: f"    mmmc {found[1]}\n\n{printed(found[1])}", page)


if __name__ == "__main__":
    PAGE.write_text(anew(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
