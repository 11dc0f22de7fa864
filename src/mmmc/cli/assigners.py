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
"""The documents about assigners and other methods; the folder is a link to that of the documentation."""

ASSIGNER_OF = {kind.__module__.rpartition(".")[2]: kind for kind in ASSIGNERS.values()}
"""Assigners by their pages, which are named as their files. What has a page and is no assigner is a recipe."""


def run(arguments: Sequence[str]) -> None:
    """List the assigners and the methods that are recipes, or print the page of one."""
    parser = verb_parser("assigners", "List the label assigners that come with the package, or print one's page.")
    parser.add_argument("name", type=str, nargs="?", metavar="NAME", help="an assigner's class name, or a method's")
    config = parse(parser, arguments)
    if config.name is None:
        Console().print(_table())
        return
    known = {_plain(name): title for title in titles() for name in (title, *names(title))}
    if _plain(config.name) not in known:
        shown = [*ASSIGNERS, *(names(title)[0] for title in _recipes())]
        raise InputError(f"There is no assigner {config.name!r}.{did_you_mean(config.name, shown)}")
    title = known[_plain(config.name)]
    Console().print(Markdown(page(title)))
    if title in ASSIGNER_OF:
        print(f"\nDefaults: {_options(ASSIGNER_OF[title])}")


def titles() -> list[str]:
    """The names of the pages, without their ending."""
    return sorted({path.name.removesuffix(".md") for path in PAGES.iterdir()} - {"README"})


def page(title: str) -> str:
    """A document without its pictures."""
    text = (PAGES / f"{title}.md").read_text(encoding="utf-8")
    return re.sub(r"!\[[^\]]*\]\([^)]*\)\n*", "", text)


def names(title: str) -> list[str]:
    """What the method of a page is called, by its heading: its name, and others in brackets."""
    name, _, others = page(title).partition("\n")[0].removeprefix("# ").removesuffix(")").partition(" (")
    return [name, *others.split(", ")] if others else [name]


def _plain(name: str) -> str:
    return re.sub("[ _-]", "", name.lower())


def _recipes() -> list[str]:
    """The pages of methods that are no assigners."""
    return [title for title in titles() if title not in ASSIGNER_OF]


def _table() -> Table:
    table = Table(show_lines=True)
    for column in ("assigner", "idea and source", "options and defaults"):
        table.add_column(column)
    for name, kind in ASSIGNERS.items():
        table.add_row(name, _source(kind), _options(kind))
    for title in _recipes():
        table.add_row(names(title)[0], _rule(title), f"--recipe small_{title}")
    return table


def _source(kind: type[Assigner]) -> str:
    """The sentence with the source, at the top of the assigner's file."""
    return (inspect.getdoc(inspect.getmodule(kind)) or "").splitlines()[0]


def _rule(title: str) -> str:
    """What a page says first of its rule, with the source."""
    found = re.search(r"\*\*Rule\.\*\* (.*?)\n\n", page(title), flags=re.DOTALL)
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", found[1].replace("\n", " ")) if found else ""


def _options(kind: type[Assigner]) -> str:
    return ", ".join(f"{field.name}={field.default!r}" for field in fields(kind))  # type: ignore[arg-type]
