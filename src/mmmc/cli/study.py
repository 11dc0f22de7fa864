"""`mmmc study`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from mmmc.cli.arguments import parse, verb_parser
from mmmc.errors import InputError, did_you_mean
from mmmc.study import records, table
from mmmc.training.folder import RunFolder

ACTIONS = ("collect", "table")


def run(arguments: Sequence[str]) -> None:
    """Collect records of runs, or make a table of them."""
    action = arguments[0] if arguments else ""
    if action not in ACTIONS:
        parser = verb_parser("study", "collect RUN… --name NAME --records FILE, or table FILE…")
        parse(parser, arguments if action in ("-h", "--help") else ["--help"] if not action else [])
        raise InputError(f"There is no command 'study {action}'.{did_you_mean(action, ACTIONS)}")
    {"collect": collect, "table": print_table}[action](arguments[1:])


def collect(arguments: Sequence[str]) -> None:
    """Add the records of finished runs to a file."""
    parser = verb_parser("study collect", "Add the records of finished runs to a file of JSON lines.")
    parser.add_argument("runs", type=str, nargs="+", metavar="RUN", help="run folders")
    parser.add_argument("--name", type=str | None, default=None, help="the variant's name (default: the folder's)")
    parser.add_argument("--records", type=str, required=True, metavar="FILE", help="file of JSON lines")
    config = parse(parser, arguments)
    for run_path in config.runs:
        folder = RunFolder(Path(run_path))
        folder.require()
        if not folder.record.is_file():
            raise InputError(f"{run_path} is not finished: it has no {folder.record.name}.")
        try:
            record = json.loads(folder.record.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{folder.record} is not JSON: {error}.") from error
        records.append(config.records, {**record, "name": config.name or record["name"]})


def print_table(arguments: Sequence[str]) -> None:
    """Print mean and spread over seeds as Markdown."""
    parser = verb_parser("study table", "Mean and standard deviation over seeds, as Markdown.")
    parser.add_argument("files", type=str, nargs="+", metavar="FILE", help="files of records")
    config = parse(parser, arguments)
    print(table.markdown(table.summary([record for file in config.files for record in records.load(file)])))
