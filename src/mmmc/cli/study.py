"""`mmmc study`."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from mmmc.cli.arguments import parse, seconds, verb_parser
from mmmc.errors import InputError, did_you_mean
from mmmc.study import records, table
from mmmc.study.plan import read_plan, train_plan
from mmmc.training.folder import RunFolder

ACTIONS = ("run", "collect", "table")


def run(arguments: Sequence[str]) -> None:
    """Collect records of runs, or make a table of them."""
    action = arguments[0] if arguments else ""
    if action not in ACTIONS:
        parser = verb_parser("study", "run PLAN…, collect RUN… --records FILE, or table FILE…")
        parse(parser, arguments if action in ("-h", "--help") else ["--help"] if not action else [])
        raise InputError(f"There is no command 'study {action}'.{did_you_mean(action, ACTIONS)}")
    {"run": run_plans, "collect": collect, "table": print_table}[action](arguments[1:])


def run_plans(arguments: Sequence[str]) -> None:
    """Train what plans ask for and have no record of."""
    parser = verb_parser(
        "study run", "Train every variant of a plan with every seed, several at a time; what is recorded is skipped."
    )
    parser.add_argument("plans", type=str, nargs="+", metavar="PLAN", help="YAML files, done one after the other")
    parser.add_argument("--data", type=str | None, default=None, help="another folder than the plan's")
    parser.add_argument("--seeds", type=list[int], default=[], help="others than the plan's, as [0,1,2]")
    parser.add_argument("--out", type=str, default="runs/study", help="folder for the run folders")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--threads", type=int, default=1, help="threads of each run")
    parser.add_argument("--time", type=str | None, default=None, help="begin no run that would end later: 90s, 20m …")
    config = parse(parser, arguments)
    for name in ("jobs", "threads"):
        if config[name] < 1:
            raise InputError(f"--{name} is {config[name]}; allowed: at least 1.")
    budget = seconds(config.time) if config.time else None
    began = time.perf_counter()
    plans = [read_plan(path, data=config.data, seeds=config.seeds) for path in config.plans]
    # Whoever ends this process ends its runs as well; they are resumed the next time.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for plan in plans:
            left = None if budget is None else budget - (time.perf_counter() - began)
            if not train_plan(plan, config.out, jobs=config.jobs, threads=config.threads, time_budget=left, say=_say):
                raise InputError("A run of the plan failed; its log is named above. Run the plan again to try again.")
    finally:
        signal.signal(signal.SIGTERM, before)


def _say(message: str) -> None:
    print(message, flush=True)


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
    """Print mean and spread over seeds, or differences between variants, as Markdown."""
    parser = verb_parser("study table", "Mean and standard deviation over seeds, as Markdown.")
    parser.add_argument("files", type=str, nargs="+", metavar="FILE", help="files of records")
    parser.add_argument(
        "--against", type=str | None, default=None, metavar="NAME", help="differences from this variant, seed by seed"
    )
    parser.add_argument(
        "--metrics",
        type=str | None,
        default=None,
        metavar="NAMES",
        help="of the records, with commas between, as AP,APs,APm,APl (default: AP,AP50,AP75; with --against: AP,AP75)",
    )
    config = parse(parser, arguments)
    plain = config.against is None
    metrics = config.metrics.split(",") if config.metrics else table.METRICS if plain else table.COMPARED
    rows = table.summary([record for file in config.files for record in records.load(file)], metrics)
    print(table.markdown(rows) if plain else table.differences(rows, config.against))
