"""What the race can be told: `install`, `run`, `all`, `table`, `plot`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks.race import environments, records
from benchmarks.race.contestants import CONTESTANTS
from benchmarks.race.environments import ROOT
from benchmarks.race.plan import stages
from benchmarks.race.running import Race, run
from benchmarks.race.table import draw, table
from benchmarks.report import between, put
from mmmc.errors import InputError

SETS = ("bccd", "deeppcb")
RECORDS = ROOT / "results" / "race.jsonl"


def main(arguments: Sequence[str]) -> int:
    """Run a command line; status 1 while a run that was asked for is not recorded, or recorded as failed."""
    config = parser().parse_args(arguments)
    if config.verb == "install":
        for name in config.only or environments.names():
            print(f"== {name}", flush=True)
            environments.install(name)
        return 0
    if config.verb == "run":
        return int(not run(race_of(config), retry=config.retry))
    if config.verb == "all":
        sound = True
        for stage in stages(race_of(config), folder_of(config, SETS[1])):
            sound &= run(stage, retry=config.retry)
        return int(not sound)
    found = records.load(config.records)
    if config.verb == "plot":
        draw(found, CONTESTANTS, config.out)
        print(f"Picture: {config.out}")
        return 0
    return put({"race": between("race", table(found, CONTESTANTS), "python -m benchmarks race table")}, config.into)


def parser() -> argparse.ArgumentParser:
    """Of all verbs."""
    top = argparse.ArgumentParser("python -m benchmarks race", description="AP per CPU minute of several detectors.")
    verbs = top.add_subparsers(dest="verb", required=True)
    install = verbs.add_parser("install", help="make the Python environments of those that need their own")
    install.add_argument("--only", nargs="+", default=[], choices=environments.names(), help="which of them")
    start = verbs.add_parser("run", help="run a part of the race, what of it is not recorded")
    start.add_argument("--seeds", nargs="+", type=int, default=[0], help="(0)")
    start.add_argument("--only", nargs="+", default=[], choices=CONTESTANTS, help="contestants")
    start.add_argument("--set", default=SETS[0], choices=SETS, help="folder of --data (bccd)")
    whole = verbs.add_parser("all", help="run the race stage by stage, what of it is not recorded")
    whole.set_defaults(seeds=[0], only=[], set=SETS[0])
    for verb in (start, whole):
        verb.add_argument("--minutes", nargs="+", type=float, default=[5.0, 20.0], help="of training (5 20)")
        verb.add_argument("--data", type=Path, help="folder of the sets (MMMC_DATA)")
        verb.add_argument("--threads", type=int, default=2, help="of each process (2)")
        verb.add_argument("--retry", action="store_true", help="run again what failed")
    show = verbs.add_parser("table", help="print the records as a table, or put it into a page")
    show.add_argument("--into", type=Path, metavar="PAGE", help="replace the table of this page instead of printing")
    plot = verbs.add_parser("plot", help="draw AP over minutes")
    plot.add_argument("--out", type=Path, required=True, help="PNG file")
    for verb in (start, whole, show, plot):
        verb.add_argument("--records", type=Path, default=RECORDS, help="file of the records (results/race.jsonl)")
    return top


def race_of(config: argparse.Namespace) -> Race:
    """What `run` was told, or the first stage of `all`.

    Raises:
        InputError: a number is out of range or there twice, or the data is not there.
    """
    for flag, values, fits, allowed in (
        ("minutes", config.minutes, lambda value: 0 < value < float("inf"), "numbers above 0"),
        ("seeds", config.seeds, lambda value: value >= 0, "at least 0"),
        ("threads", [config.threads], lambda value: value >= 1, "at least 1"),
    ):
        for value in values:
            if not fits(value):
                raise InputError(f"--{flag} is {value}; allowed: {allowed}.")
        if len(set(values)) < len(values):
            raise InputError(f"--{flag} is {' '.join(map(str, values))}; allowed: each once.")
    chosen = {name: who for name, who in CONTESTANTS.items() if not config.only or name in config.only}
    data = folder_of(config, config.set)
    return Race(chosen, data, tuple(config.minutes), tuple(config.seeds), config.threads, config.records)


def folder_of(config: argparse.Namespace, name: str) -> Path:
    """Of a set.

    Raises:
        InputError: it is not there.
    """
    folder = config.data or os.environ.get("MMMC_DATA")
    if folder is None or not (data := Path(folder, name)).is_dir():
        raise InputError(f"--data is {folder}; allowed: a folder that holds {name}. MMMC_DATA names it too.")
    return data
