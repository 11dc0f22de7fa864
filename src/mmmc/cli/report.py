"""`mmmc report`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track

from mmmc.cli.arguments import add_set, add_weights, open_run, open_set, parse, verb_parser
from mmmc.data.coco import CocoSet
from mmmc.errors import InputError
from mmmc.misalignment import Diagnosis
from mmmc.predictor import Predictor, scored_batches
from mmmc.report import report_run
from mmmc.report.card import OTHER, write_card
from mmmc.report.whole import MOST, chosen
from mmmc.training.folder import RunFolder
from mmmc.training.sets import open_sets


def run(arguments: Sequence[str]) -> None:
    """Write the report of a run."""
    parser = verb_parser(
        "report",
        "Write report.html, one page that needs nothing else: training curves, AP in all, by class and size, precision "
        "and F1, confusion, labels beside predictions, false positives, misses, label maps, the diagnosis, recipe and "
        "environment; and README.md, a model card in Hugging Face's form, unless another set than the run's is named.",
    )
    parser.add_argument("run", type=str, metavar="RUN", help="run folder")
    add_weights(parser)
    add_set(parser)
    parser.add_argument("--out", type=str | None, default=None, help="folder for both files (default: the run's)")
    parser.add_argument("--pictures", type=int, default=MOST, help="score at most so many, spread over the set")
    parser.add_argument("--license", type=str, default=OTHER, help="of the weights, as the card says it, such as mit")
    config = parse(parser, arguments)
    if config.pictures < 2:
        raise InputError(f"--pictures is {config.pictures}; allowed: at least 2.")
    path = Path(config.run)
    RunFolder(path).require()
    predictor = open_run(config)
    pictures = open_set(config, predictor)
    out = path if config.out is None else Path(config.out)
    found = make_report(predictor, pictures, path, out, weights=config.weights, most=config.pictures)
    if config.data is None and config.annotations is None:
        sets = open_sets(predictor.recipe.data)
        print(f"Model card: {write_card(path, sets, out=out, found=found, license=config.license)}")


def make_report(
    predictor: Predictor, pictures: CocoSet, path: Path, out: Path, *, weights: str, most: int = MOST
) -> Diagnosis:
    """Write a report with a bar on a terminal, and say how long it took. Returns what the detector loses."""
    began = time.perf_counter()
    some = chosen(pictures, most)
    screen = Console(stderr=True)
    batches = track(
        scored_batches(predictor, some),
        f"report of {len(some)} pictures",
        console=screen,
        transient=True,
        disable=not screen.is_terminal,
    )
    page, found = report_run(predictor, some, batches, path, out, of=len(pictures), weights=weights)
    print(f"Report of {len(some)} pictures, {time.perf_counter() - began:.0f} s: {page}")
    return found.diagnosis
