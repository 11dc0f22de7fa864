"""`mmmc predict`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from typing import get_args

import torch
from jsonargparse import Namespace
from rich.console import Console
from rich.progress import Progress

from mmmc.cli.arguments import add_run, open_folder, open_run, own_set, parse, say, say_thresholds, verb_parser
from mmmc.data.tiling import Tiling
from mmmc.errors import InputError, did_you_mean
from mmmc.gallery import THRESHOLD
from mmmc.predicting.formats import Format, write_found
from mmmc.predicting.running import Job, Options
from mmmc.predicting.sources import find_sources, name_sources
from mmmc.predictor import Predictor
from mmmc.thresholds import thresholds_of


def run(arguments: Sequence[str]) -> int:
    """Predict pictures and videos, write annotated copies and what was found; 1 if some could not be used."""
    parser = verb_parser(
        "predict",
        "Find objects in pictures and videos; write annotated copies and detections. A picture or video that cannot be "
        "used is named and left out, and the exit status is then 1.",
    )
    add_run(parser)
    parser.add_argument(
        "paths",
        type=str,
        nargs="+",
        metavar="PATH",
        help="picture, video, folder, glob in quotes, http or https address of a picture, - for a picture on standard "
        "input, camera:0",
    )
    parser.add_argument("--out", type=str, default="predictions", help="folder for the copies and the detections")
    parser.add_argument(
        "--threshold",
        type=str,
        default=str(THRESHOLD),
        help="least score; or f1: for each class the threshold of best F1 on the run's scored pictures",
    )
    parser.add_argument(
        "--data", type=str | None, default=None, help="with f1: folder of a set to choose by (default: the run's own)"
    )
    parser.add_argument("--classes", type=str, nargs="+", default=None, metavar="NAME", help="only these classes")
    parser.add_argument("--batch_size", "--batch", type=int, default=8, help="pictures, frames or tiles at once")
    parser.add_argument(
        "--tile", type=int | None, default=None, help="cut pictures into tiles with sides of so many pixels"
    )
    parser.add_argument(
        "--overlap", type=float, default=Tiling.overlap, help="least share of a tile that the next shows"
    )
    parser.add_argument("--whole", type=bool, default=Tiling.whole, help="with tiles: the whole picture is one more")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="of a video, every Nth frame")
    parser.add_argument("--limit", type=int | None, default=None, metavar="N", help="most frames of each video")
    parser.add_argument("--format", choices=get_args(Format), default="json", help="of what is found")
    parser.add_argument("--confidence", type=bool, default=False, help="YOLO: end each line with the score")
    parser.add_argument("--draw", type=bool, default=True, help="write annotated copies")
    parser.add_argument("--frames", type=bool, default=False, help="copies of a video's frames as pictures in a folder")
    config = parse(parser, arguments)
    _refuse_idle(config)
    predictor = open_run(config)
    options = Options(
        thresholds=of_classes(config.classes, class_thresholds(config.threshold, predictor, config.data), predictor),
        batch_size=config.batch_size,
        tiling=None if config.tile is None else Tiling(config.tile, config.overlap, config.whole),
        every=config.every,
        limit=config.limit,
        draw=config.draw,
        frames=config.frames,
    )
    out, sources = Path(config.out), find_sources(config.paths, but=Path(config.out))
    if not any(source.moving for source in sources):
        _refuse(config, MOVING, "is for videos and cameras; none is given")
    screen = Console(stderr=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as bar:
        # How many frames a video has is known at its end.
        total = None if any(source.moving for source in sources) else len(sources)
        task = bar.add_task("predicting", total=total)
        job = Job(predictor, options, out, name_sources(sources), told=lambda: bar.advance(task))
        job.run()
    if job.failed and not job.found:
        raise InputError(" ".join(job.failed.values()))
    write_found(out, config.format, job.found, predictor.categories, job.failed, config.confidence)
    for error in job.failed.values():
        say(f"mmmc: left out: {error}")
    objects = sum(len(one.detections) for one in job.found)
    frames = sum(one.frame is not None for one in job.found)
    kinds = [(len(job.found) - frames, "picture"), (frames, "frame")]
    looked = [_number(count, kind) for count, kind in kinds if count]
    print(f"{_number(objects, 'object')} in {' and '.join(looked)}: {out}")
    if not objects and config.threshold != "f1":
        say(
            f"No score reaches the threshold of {config.threshold}. Take a lower one, or --threshold f1, which takes "
            "for each class the one of best F1."
        )
    return 1 if job.failed else 0


def _number(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


MOVING = {"every": 1, "limit": None, "frames": False}
"""Options for frames, and their defaults."""


def _refuse_idle(config: Namespace) -> None:
    """Refuse options that would do nothing beside the others."""
    if config.tile is None:
        _refuse(config, {"overlap": Tiling.overlap, "whole": Tiling.whole}, "is for tiles; name --tile too")
    if config.format != "yolo":
        _refuse(config, {"confidence": False}, "is for --format yolo")
    if config.threshold != "f1":
        _refuse(config, {"data": None}, "is for --threshold f1")


def _refuse(config: Namespace, usual: Mapping[str, object], why: str) -> None:
    for name, default in usual.items():
        if config[name] != default:
            raise InputError(f"--{name} {why}.")


def class_thresholds(given: str, predictor: Predictor, data: str | None = None) -> torch.Tensor:
    """A threshold for each class, from a number or from the best F1 on the run's scored pictures, or on a set's."""
    if given != "f1":
        try:
            value = float(given)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1:
            raise InputError(f"--threshold is {given!r}; allowed: 0 to 1, or f1.")
        return torch.full((len(predictor.categories),), value)
    pictures = own_set(predictor) if data is None else open_folder(predictor, data)
    best = thresholds_of(predictor, pictures)
    say_thresholds(best, predictor)
    return torch.tensor([best[index].score for index in range(len(predictor.categories))])


def of_classes(names: Sequence[str] | None, thresholds: torch.Tensor, predictor: Predictor) -> torch.Tensor:
    """The thresholds, for classes that are not wanted one that no score reaches.

    Raises:
        InputError: the detector does not know a class.
    """
    if names is None:
        return thresholds
    known = predictor.categories.names
    for name in names:
        if name not in known:
            raise InputError(f"--classes names {name!r}, which the detector does not know.{did_you_mean(name, known)}")
    wanted = torch.tensor([name in names for name in known])
    return thresholds.masked_fill(~wanted, inf)
