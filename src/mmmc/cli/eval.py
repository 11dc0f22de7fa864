"""`mmmc eval`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from mmmc.cli.arguments import add_run, add_set, detect_all, open_run, open_set, parse, verb_parser
from mmmc.evaluate import score, tables, write_results


def run(arguments: Sequence[str]) -> None:
    """Detect on a set; score what has ground truth, write COCO results."""
    parser = verb_parser(
        "eval",
        "Score a detector with COCO's twelve numbers and a table per class. With --results also for a list of "
        "pictures without annotations, such as test-dev: then the file is written and nothing is scored.",
    )
    add_run(parser)
    add_set(parser)
    parser.add_argument("--results", type=str | None, default=None, help="COCO results JSON to write")
    parser.add_argument("--batch_size", type=int | None, default=None, help="pictures at once (default: as trained)")
    config = parse(parser, arguments)
    predictor = open_run(config)
    pictures = open_set(config, predictor, require_objects=config.results is None)
    results = detect_all(config, predictor, pictures)
    if config.results is not None:
        write_results(Path(config.results), results)
        print(f"{len(results)} detections in {len(pictures)} pictures: {config.results}")
        for note in pictures.notes:
            print(f"{note}.")
    ground_truth = pictures.to_coco()
    if ground_truth["annotations"]:
        Console().print(tables(score(ground_truth, results)))
