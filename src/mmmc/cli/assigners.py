"""`mmmc assigners`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from dataclasses import fields
from importlib.resources import files

from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table

from mmmc.assign import ASSIGNERS, Assigner
from mmmc.cli.arguments import parse, verb_parser
from mmmc.errors import InputError, did_you_mean

PAGES = files("mmmc") / "pages"
"""The documents about assigners; the folder is a link to that of the documentation."""


def run(arguments: Sequence[str]) -> None:
    """List the assigners, or print the page of one."""
    parser = verb_parser("assigners", "List the label assigners that come with the package, or print one's page.")
    parser.add_argument("name", type=str, nargs="?", metavar="NAME", help="an assigner's class name")
    config = parse(parser, arguments)
    if config.name is None:
        Console().print(_table())
        return
    known = {name.lower(): kind for name, kind in ASSIGNERS.items()}
    if config.name.lower() not in known:
        raise InputError(f"There is no assigner {config.name!r}.{did_you_mean(config.name, ASSIGNERS)}")
    kind = known[config.name.lower()]
    Console().print(Markdown(page(kind)))
    print(f"\nDefaults: {_options(kind)}")


def page(kind: type[Assigner]) -> str:
    """The document about an assigner, without its pictures; it is named as the assigner's file."""
    text = (PAGES / f"{kind.__module__.rpartition('.')[2]}.md").read_text(encoding="utf-8")
    return re.sub(r"!\[[^\]]*\]\([^)]*\)\n*", "", text)


def _table() -> Table:
    table = Table(show_lines=True)
    for column in ("assigner", "idea and source", "options and defaults"):
        table.add_column(column)
    for name, kind in ASSIGNERS.items():
        table.add_row(name, _source(kind), _options(kind))
    return table


def _source(kind: type[Assigner]) -> str:
    """The sentence with the source, at the top of the assigner's file."""
    return (inspect.getdoc(inspect.getmodule(kind)) or "").splitlines()[0]


def _options(kind: type[Assigner]) -> str:
    return ", ".join(f"{field.name}={field.default!r}" for field in fields(kind))  # type: ignore[arg-type]
