"""`mmmc compare`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mmmc.cli.arguments import add_set, detect_all, device, open_set, parse, refuse_options_of_runs, verb_parser
from mmmc.data.coco import CocoSet, read_coco
from mmmc.data.results import read_results
from mmmc.errors import InputError
from mmmc.evaluate import percent
from mmmc.files import write_text
from mmmc.predictor import WEIGHTS, Predictor
from mmmc.study.versus import RESAMPLES, Measure, Versus, versus


def run(arguments: Sequence[str]) -> None:
    """Compare two detectors on the same pictures."""
    parser = verb_parser(
        "compare",
        "AP of two detectors on the same pictures, and their difference with a 95 % interval from a bootstrap over "
        "pictures, of all classes and of each. Each is a run, or a file of COCO results (with --annotations).",
    )
    names = {"first": "RUN_A", "second": "RUN_B"}
    for name, metavar in names.items():
        parser.add_argument(name, type=str, metavar=metavar, help="run folder, weights file, or COCO results JSON")
    parser.add_argument("--weights", choices=WEIGHTS, default="best", help="which of a folder's weights")
    parser.add_argument("--device", type=str, default="auto", help="cpu, cuda, cuda:1 …, or auto")
    add_set(parser)
    parser.add_argument("--batch_size", type=int | None, default=None, help="pictures at once (default: as trained)")
    parser.add_argument("--resamples", type=int, default=RESAMPLES, help="of the pictures")
    parser.add_argument("--seed", type=int, default=0, help="of the resamples")
    parser.add_argument("--json", type=str | None, default=None, metavar="FILE", help="write all numbers there")
    config = parse(parser, arguments)
    for name, least in (("resamples", 1), ("seed", 0)):
        if config[name] < least:
            raise InputError(f"--{name} is {config[name]}; allowed: at least {least}.")
    pictures, first, second = _detections(parser, config)
    if pictures.crowds.all():
        raise InputError(f"{pictures.annotations}: no object to find. Allowed: at least one that is no crowd region.")
    found = versus(pictures.to_coco(), first, second, config.resamples, config.seed)
    for table in _tables(found, config.first, config.second):
        Console().print(table)
    if config.json is not None:
        content = {"first": config.first, "second": config.second, **found.to_dict()}
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        write_text(Path(config.json), text)


def _detections(
    parser: ArgumentParser, config: Namespace
) -> tuple[CocoSet, list[dict[str, Any]], list[dict[str, Any]]]:
    """The pictures, and what both found there."""
    names = (config.first, config.second)
    runs = {
        name: Predictor.load(name, weights=config.weights, device=device(config.device))
        for name in names
        if not name.endswith(".json")
    }
    if not runs and config.annotations is None:
        raise InputError("Two files of results need --annotations, the COCO JSON that they are to be compared with.")
    if not runs:
        refuse_options_of_runs(parser, config, "two files of results need")
    sets = {name: open_set(config, predictor) for name, predictor in runs.items()}
    # Scoring sees bad boxes as the file has them; pictures are not opened.
    pictures = (
        next(iter(sets.values()))
        if sets
        else read_coco(config.annotations, Path(), bad_boxes="drop", check_headers=False, require_objects=False)
    )
    for name, other in sets.items():
        if other.to_coco() != pictures.to_coco():
            raise InputError(
                f"{config.first} is scored on {pictures.annotations}, {name} on {other.annotations}, and these differ; "
                "allowed: two runs on the same pictures, or one set for both by --annotations."
            )
    first, second = (
        detect_all(config, runs[name], pictures) if name in runs else read_results(name, pictures) for name in names
    )
    return pictures, first, second


def _tables(found: Versus, first: str, second: str) -> list[Table]:
    caption = (
        f"A: {escape(first)}\nB: {escape(second)}\n95 % of the differences of {found.resamples} resamples of "
        f"{found.pictures} pictures lie between the bounds (seed {found.seed}); "
        "none where all objects lie in one picture."
    )
    whole = Table("", title="all classes", title_justify="left", caption=caption, caption_justify="left")
    for name in ("A", "B", "B − A", "95 %"):
        whole.add_column(name, justify="right")
    for name, measure in found.measures.items():
        whole.add_row(name, percent(measure.first), percent(measure.second), *_difference(measure))
    by_class = Table("class", title="each class, B − A", title_justify="left")
    for name in found.measures:
        by_class.add_column(name, justify="right")
    for name, measures in found.classes.items():
        by_class.add_row(escape(name), *_cells(measures))
    return [whole, by_class]


def _cells(measures: Mapping[str, Measure]) -> list[str]:
    return ["\n".join(_difference(measure)).strip() for measure in measures.values()]


def _difference(measure: Measure) -> tuple[str, str]:
    if math.isnan(measure.difference):
        return "–", ""
    difference = f"{100 * measure.difference:+.1f}"
    if math.isnan(measure.low):
        return difference, "–"
    return difference, f"{100 * measure.low:+.1f} … {100 * measure.high:+.1f}"
