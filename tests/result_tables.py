"""What documents say of our runs: tables, each below the command that prints it, and the AP on each method's page.

python tests/result_tables.py    puts into the pages what commands and records say now
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import shlex
from pathlib import Path

from mmmc.cli import main
from mmmc.study import records
from mmmc.study.table import summary

ROOT = Path(__file__).parent.parent
METHODS = sorted({*(ROOT / "docs" / "assigners").glob("*.md")} - {ROOT / "docs" / "assigners" / "README.md"})
PAGES = (*(ROOT / "docs" / f"{page}.md" for page in ("results", "reproduction", "embedded", "improving")), *METHODS)
TABLE = re.compile(
    r"^    mmmc (study (?:table|claims) .*)\n\n((?:\*\*Table .*\n\n)?(?:\|.*\n)*(?:\n?Missing:\n\n(?:- .*\n)*)?)",
    re.MULTILINE,
)
"""A command, and what it prints: a table, perhaps with a caption above it and a list of missing runs below it."""

RECORDS = ("bccd_val", "bccd_methods")
OURS = re.compile(r"\[([^]\n]+): [^]\n]*\](\(\.\./results\.md#every-method-on-one-head\))")
"""A variant and its AP, as a link to the table that has it among the others."""


def printed(command: str) -> str:
    """What a command of a page prints."""
    # Plans name their sets by a variable; of its folders the tables need the last name alone.
    os.environ.setdefault("MMMC_DATA", "data")
    said = io.StringIO()
    with contextlib.chdir(ROOT), contextlib.redirect_stdout(said):
        assert main(shlex.split(command)) == 0, command
    return said.getvalue().strip() + "\n"


@functools.cache
def scored() -> dict[str, str]:
    """AP of each method on BCCD's validation pictures, over its seeds."""
    found = [record for name in RECORDS for record in records.load(ROOT / "results" / f"{name}.jsonl")]
    return {row.name: f"AP {row.metrics['AP']}" for row in summary(found, ["AP"])}


def anew(page: str) -> str:
    """The page with its tables as the commands print them now, and its AP as the records have it."""
    page = TABLE.sub(lambda found: f"    mmmc {found[1]}\n\n{printed(found[1])}", page)
    return OURS.sub(lambda found: f"[{found[1]}: {scored()[found[1]]}]{found[2]}", page)


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(anew(path.read_text(encoding="utf-8")), encoding="utf-8")
