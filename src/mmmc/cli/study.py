"""`mmmc study`."""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from mmmc.cli.arguments import parse, seconds, verb_parser
from mmmc.cli.study_claims import print_claims
from mmmc.cli.study_figure import record_or_draw
from mmmc.cli.study_overlap import measure
from mmmc.cli.study_plans import add_choice, plans_of
from mmmc.cli.study_table import print_table
from mmmc.errors import InputError, did_you_mean
from mmmc.study import records
from mmmc.study.cluster import OnRay
from mmmc.study.running import train_plan
from mmmc.study.status import status, words
from mmmc.study.workers import Here, Workers
from mmmc.training.folder import RunFolder

CLUSTERS = ("ray",)
ACTIONS = ("run", "status", "collect", "table", "figure", "overlap", "claims")


def run(arguments: Sequence[str]) -> None:
    """Train plans, say how far they are, collect records of runs, or make tables and figures of them."""
    action = arguments[0] if arguments else ""
    if action not in ACTIONS:
        parser = verb_parser(
            "study",
            "run PLAN…, status PLAN…, collect RUN… --records FILE, table FILE|PLAN…, table N --plan PLAN…, "
            "figure N --out DIR, overlap PLAN…, or claims --plan PLAN…",
        )
        parse(parser, arguments if action in ("-h", "--help") else ["--help"] if not action else [])
        raise InputError(f"There is no command 'study {action}'.{did_you_mean(action, ACTIONS)}")
    actions = {
        "run": run_plans,
        "status": print_status,
        "collect": collect,
        "table": print_table,
        "figure": record_or_draw,
        "overlap": measure,
        "claims": print_claims,
    }
    actions[action](arguments[1:])


def run_plans(arguments: Sequence[str]) -> None:
    """Train what plans ask for and have no record of."""
    parser = verb_parser(
        "study run", "Train every variant of a plan with every seed, several at a time; what is recorded is skipped."
    )
    _add_plans(parser)
    parser.add_argument("--threads", type=int, default=1, help="threads of each run")
    parser.add_argument(
        "--cluster", choices=CLUSTERS, default=None, help="hand the runs to the machines of a cluster (docs/cluster.md)"
    )
    parser.add_argument(
        "--address",
        type=str | None,
        default=None,
        metavar="HOST:PORT",
        help="of its head (default: RAY_ADDRESS, else the cluster of this machine, else this machine alone)",
    )
    parser.add_argument(
        "--gpus", type=float | None, default=None, help="of each run on a cluster (default: 1 if it has any)"
    )
    parser.add_argument(
        "--time",
        type=str | None,
        default=None,
        help="begin no run that, by the slowest recorded on the set, would end later: 90s, 20m …; of the first runs of "
        "a plan without records nothing is known",
    )
    parser.add_argument(
        "--minutes", type=float | None, default=None, help="end after so many; runs that are cut go on the next time"
    )
    parser.add_argument("--retry", action="store_true", help="try runs again that failed before")
    config = parse(parser, arguments)
    _at_least_one(config, "jobs", "threads")
    if config.minutes is not None and not 0 < config.minutes < math.inf:
        raise InputError(f"--minutes is {config.minutes}; allowed: a number above 0.")
    budget = seconds(config.time) if config.time else None
    cut_after = None if config.minutes is None else 60 * config.minutes
    began = time.perf_counter()
    plans = plans_of(config, config.plans)
    if config.cluster is None:  # whose machines may have other folders
        for plan in plans:
            plan.require_set()
    sound = True
    with _workers(config) as workers, _interrupted_by_sigterm():
        for plan in plans:
            gone = time.perf_counter() - began
            sound &= train_plan(
                plan,
                workers,
                time_budget=None if budget is None else budget - gone,
                cut_after=None if cut_after is None else cut_after - gone,
                retry=config.retry,
                say=_say,
            )
    if not sound:
        raise InputError(
            "A run failed, now or before; `mmmc study status` names its error and log. The same command with --retry "
            "tries it again."
        )


@contextmanager
def _workers(config: Namespace) -> Iterator[Workers]:
    """Where the plans are trained."""
    if config.cluster is None:
        for name in ("address", "gpus"):
            if config[name] is not None:
                raise InputError(f"--{name} is for --cluster, which is not given.")
        yield Here(config.out, jobs=config.jobs or 1, threads=config.threads)
        return
    if config.gpus is not None and not 0 <= config.gpus < math.inf:
        raise InputError(f"--gpus is {config.gpus}; allowed: a number from 0.")
    with OnRay(
        config.out, jobs=config.jobs, threads=config.threads, gpus=config.gpus, address=config.address
    ) as workers:
        yield workers


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """Whoever ends this process ends its runs as well; they are resumed the next time."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def print_status(arguments: Sequence[str]) -> None:
    """Say how far plans are done, and what the rest will take."""
    parser = verb_parser("study status", "Which runs of a plan are recorded, failed, cut or missing; the time left.")
    _add_plans(parser)
    config = parse(parser, arguments)
    _at_least_one(config, "jobs")
    for plan in plans_of(config, config.plans):
        print(words(status(plan, config.out), config.jobs or 1))


def _add_plans(parser: ArgumentParser) -> None:
    parser.add_argument("plans", type=str, nargs="+", metavar="PLAN", help="YAML files, done one after the other")
    add_choice(parser)
    parser.add_argument("--out", type=str, default="runs/study", help="folder for the run folders")
    parser.add_argument(
        "--jobs", type=int | None, default=None, help="runs at a time (default: 1; as many as fit on a cluster)"
    )


def _at_least_one(config: Namespace, *names: str) -> None:
    for name in names:
        if config[name] is not None and config[name] < 1:
            raise InputError(f"--{name} is {config[name]}; allowed: at least 1.")


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
        if not isinstance(record, dict):
            raise InputError(f"{folder.record} holds no JSON object.")
        records.append(config.records, {**record, **({"name": config.name} if config.name else {})}, folder.record)
