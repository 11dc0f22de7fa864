"""`mmmc study table`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from mmmc.cli.arguments import parse, verb_parser
from mmmc.cli.study_plans import add_choice, plans_of
from mmmc.errors import InputError
from mmmc.study import records, table
from mmmc.study.filled import filled
from mmmc.study.formats import FORMATS, missing_list
from mmmc.study.paper import numbers, paper_table
from mmmc.study.speeds import read_speeds

PLANS = (".yaml", ".yml")
"""Endings of files that are plans; all others hold records."""

OF_PAPER = {"plans": "--plan", "format": "--format", "speeds": "--speeds"}
"""Options that only a table of the paper has, by their place in the configuration."""

OF_PLANS = {"data": "--data", "seeds": "--seeds", "records": "--records", "only": "--only", "shard": "--shard"}
"""Options that choose among the runs of plans."""


def print_table(arguments: Sequence[str]) -> None:
    """Print mean and spread over seeds, differences between variants, or a table of the paper."""
    parser = verb_parser(
        "study table",
        "Mean and standard deviation over seeds, as Markdown: of all records of a file, or of a plan's runs, with what "
        "is missing of them; or, with the number of a table of the paper and --plan, that table with our runs beside "
        "what is printed there.",
        usage="mmmc study table FILE|PLAN… [--against NAME [--resolution]] [--metrics NAMES]\n"
        "       mmmc study table N --plan PLAN… [--format markdown|csv|latex|json] [--speeds FILE]",
    )
    parser.add_argument(
        "files",
        type=str,
        nargs="+",
        metavar="FILE",
        help=f"files of records, plans ({' or '.join(PLANS)}), or the number of a table of the paper",
    )
    parser.add_argument(
        "--against", type=str | None, default=None, metavar="NAME", help="differences from this variant, seed by seed"
    )
    parser.add_argument(
        "--resolution",
        action="store_true",
        help="with --against: what difference to it 2, 3, 5 or 10 seeds of each set can tell",
    )
    parser.add_argument(
        "--metrics",
        type=str | None,
        default=None,
        metavar="NAMES",
        help="of the records, with commas between, as AP,APs,APm,APl (default: AP,AP50,AP75; with --against: AP,AP75)",
    )
    parser.add_argument("--plan", dest="plans", type=str, nargs="+", default=[], metavar="PLAN", help="YAML files")
    parser.add_argument("--format", choices=tuple(FORMATS), default="markdown", help="of a table of the paper")
    parser.add_argument(
        "--speeds",
        type=str | None,
        default=None,
        metavar="FILE",
        help="of Table 2: pictures a second, from the JSON of python -m benchmarks detector",
    )
    add_choice(parser)
    config = parse(parser, arguments)
    if len(config.files) == 1 and config.files[0].isdigit():
        _print_paper_table(config)
    else:
        _print_any_table(parser, config)


def _print_any_table(parser: ArgumentParser, config: Namespace) -> None:
    named = [file for file in config.files if Path(file).suffix in PLANS]
    # Where no plan is named, an option for plans would choose nothing.
    refused = OF_PAPER if named else OF_PAPER | OF_PLANS
    for name, flag in refused.items():
        if config[name] != parser.get_default(name):
            others = "" if name in OF_PAPER else "a plan, or "
            allowed = ", ".join(map(str, numbers()))
            raise InputError(f"{flag} needs {others}the number of a table of the paper; allowed: {allowed}.")
    plain = config.against is None
    if config.resolution and plain:
        raise InputError("--resolution needs --against NAME, the variant that others are compared with.")
    metrics = config.metrics.split(",") if config.metrics else table.METRICS if plain else table.COMPARED
    found: list[dict[str, Any]] = [
        record for file in config.files if file not in named for record in records.load(file)
    ]
    missing: list[str] = []
    variants: set[str] = set()
    for plan in plans_of(config, named):
        variants |= plan.recipes.keys()
        known = plan.recorded()
        found += [known[run.identity] for run in plan.runs() if run.identity in known]
        missing += plan.lacking()
    rows = table.summary(found, metrics)
    # Nothing can be compared yet with a variant of a plan that has no record; below it is listed as missing.
    waits = config.against in variants - {row.name for row in rows}
    if plain and rows:
        print(table.markdown(rows))
    elif not plain and not waits:
        told = table.resolution if config.resolution else table.differences
        print(told(rows, config.against))
    if missing:
        sys.stdout.write(missing_list(missing))


def _print_paper_table(config: Namespace) -> None:
    if config.against or config.metrics or config.resolution:
        raise InputError(
            "--against, --resolution and --metrics are for files of records; a table of the paper has its own."
        )
    wanted = paper_table(int(config.files[0]))
    if not config.plans:
        raise InputError(f"Table {wanted.number} needs --plan PLAN…, such as studies/coco_table{wanted.number}.yaml.")
    if config.speeds is not None and not wanted.has_speed:
        raise InputError(f"--speeds is for Table 2; the paper prints no pictures a second in Table {wanted.number}.")
    speeds = None if config.speeds is None else read_speeds(config.speeds)
    sys.stdout.write(FORMATS[config.format](filled(wanted, plans_of(config, config.plans), speeds)))
