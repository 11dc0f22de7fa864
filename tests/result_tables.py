"""The tables of docs/results.md and docs/reproduction.md, each below the command that prints it.

python tests/result_tables.py    puts into the pages what the commands print now
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
from pathlib import Path

from mmmc.cli import main

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "docs" / "results.md", ROOT / "docs" / "reproduction.md")
TABLE = re.compile(
    r"^    mmmc (study (?:table|claims) .*)\n\n((?:\*\*Table .*\n\n)?(?:\|.*\n)*(?:\nMissing:\n\n(?:- .*\n)*)?)",
    re.MULTILINE,
)
"""A command, and what it prints: a table, perhaps with a caption above it and a list of missing runs below it."""


def printed(command: str) -> str:
    """What a command of a page prints."""
    # Plans name their sets by a variable; of its folders the tables need the last name alone.
    os.environ.setdefault("MMMC_DATA", "data")
    said = io.StringIO()
    with contextlib.chdir(ROOT), contextlib.redirect_stdout(said):
        assert main(shlex.split(command)) == 0, command
    return said.getvalue().strip() + "\n"


def anew(page: str) -> str:
    """The page with its tables as the commands print them now."""
    return TABLE.sub(lambda found: f"    mmmc {found[1]}\n\n{printed(found[1])}", page)


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(anew(path.read_text(encoding="utf-8")), encoding="utf-8")
