"""A table of Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_RULES = {"l": "---", "r": "---:"}
_BAR = re.compile(r"(?<!\\)\|")


def markdown_table(head: Sequence[object], rows: Iterable[Sequence[object]], align: str) -> str:
    r"""Lines of a table, each with its line feed.

    A `|` within a cell, perhaps in a name that somebody chose, would begin another cell. It is written as `\|`, in code
    too, as GitHub reads it.

    Args:
        head: names of the columns.
        rows: cells, as many in each row as the head has.
        align: a letter for each column, `l` left or `r` right; the last one stands for all further columns.
    """
    align = align.ljust(len(head), align[-1])
    rules = [_RULES[align[i]] for i in range(len(head))]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in (head, rules, *rows))


def _cell(told: object) -> str:
    return _BAR.sub(r"\|", str(told))
