"""`mmmc diagnose`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace
from rich.console import Console
from rich.progress import track

from mmmc.cli.arguments import add_run, add_set, open_run, open_set, parse, refuse_options_of_runs, verb_parser
from mmmc.data.coco import CocoSet, read_coco
from mmmc.data.results import read_results
from mmmc.errors import InputError
from mmmc.misalignment import Boxes, Diagnosis, Truth, diagnose
from mmmc.predictor import scored_batches
from mmmc.report import diagnose_run, on_terminal, write_report
from mmmc.report.run import Drawn


def run(arguments: Sequence[str]) -> None:
    """Say what a detector loses, and how much of it misalignment costs."""
    parser = verb_parser(
        "diagnose",
        "Say what a detector loses on a set: what each kind of error costs (TIDE), and, as AP, what it costs that "
        "score and box disagree. Of a run, or of any detector from its COCO results; then the parts that need more "
        "than boxes say so.",
        usage="mmmc diagnose RUN [--data SET] [--out FOLDER]\n"
        "       mmmc diagnose --detections results.json --annotations instances.json [--before-nms boxes.json]",
    )
    add_run(parser, required=False)
    add_set(parser)
    parser.add_argument(
        "--detections", type=str | None, default=None, help="COCO results JSON of any detector, instead of a run"
    )
    parser.add_argument(
        "--before-nms",
        "--before_nms",
        type=str | None,
        default=None,
        help="with --detections: COCO results JSON of the same detector before suppression",
    )
    parser.add_argument("--out", type=str, default="diagnosis", help="folder for diagnosis.json and diagnosis.html")
    parser.add_argument("--batch_size", type=int | None, default=None, help="pictures at once (default: as trained)")
    config = parse(parser, arguments)
    _refuse_together(parser, config)
    found, pictures = _of_files(config) if config.run is None else _of_run(config)
    Console().print(on_terminal(found))
    title = config.detections if config.run is None else config.run
    data, page = write_report(found, config.out, title, pictures)
    print(f"Diagnosis: {data}, {page}")


def _refuse_together(parser: ArgumentParser, config: Namespace) -> None:
    if (config.run is None) == (config.detections is None):
        given = "neither is" if config.run is None else "both are"
        raise InputError(f"A run and --detections: {given} given; allowed: one of them.")
    if config.run is not None:
        if config.before_nms is not None:
            raise InputError("--before-nms is for --detections; a run has its own boxes before suppression.")
        if config.data is not None and config.annotations is not None:
            raise InputError("--data and --annotations both name a set; allowed: one of them.")
        return
    if config.annotations is None:
        raise InputError("--detections needs --annotations, the COCO JSON that they are to be compared with.")
    refuse_options_of_runs(parser, config, "--detections needs")


def _of_run(config: Namespace) -> tuple[Diagnosis, list[Drawn]]:
    predictor = open_run(config)
    pictures = open_set(config, predictor)
    loader = scored_batches(predictor, pictures, config.batch_size)
    screen = Console(stderr=True)
    batches = track(loader, "detecting", console=screen, transient=True, disable=not screen.is_terminal)
    return diagnose_run(predictor, pictures, batches, config.run)


def _of_files(config: Namespace) -> tuple[Diagnosis, list[Drawn]]:
    annotations = Path(config.annotations)
    # Scoring sees bad boxes as the file has them; pictures are not opened.
    pictures = read_coco(annotations, Path(), bad_boxes="drop", check_headers=False, require_objects=False)
    _require_objects(pictures)
    results = read_results(config.detections, pictures)
    ground_truth = pictures.to_coco()
    before = None
    if config.before_nms is not None:
        before = Boxes.from_coco(read_results(config.before_nms, pictures), Truth.from_coco(ground_truth))
    return diagnose(ground_truth, results, before), []


def _require_objects(pictures: CocoSet) -> None:
    if pictures.crowds.all():
        raise InputError(f"{pictures.annotations}: no object to find. Allowed: at least one that is no crowd region.")
