"""`mmmc export`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from mmmc.cli.arguments import add_run, open_folder, open_run, own_set, parse, say, say_thresholds, verb_parser
from mmmc.data.coco import CocoSet
from mmmc.errors import InputError
from mmmc.export import FORMATS, OPSET, Call, Parity, compare, export, require_format
from mmmc.gallery import evenly
from mmmc.predictor import Predictor
from mmmc.report.card import OTHER
from mmmc.runtime import load
from mmmc.thresholds import thresholds_of

SHOWN = 10
"""Boxes without a match that are listed."""


def run(arguments: Sequence[str]) -> int:
    """Export a run and compare the file with PyTorch; 1 if it says something else."""
    parser = verb_parser(
        "export",
        "Write a detector as one file that needs no PyTorch, with resizing, padding, normalising and suppression "
        "inside, and the score thresholds of best F1 on the run's scored pictures; then find objects in those with "
        "both, and say how they differ. Status 1 if they do.",
    )
    add_run(parser, device=False)
    parser.add_argument("--format", choices=tuple(FORMATS), default="onnx", help="of the file")
    parser.add_argument(
        "--out", type=str | None, default=None, help="file to write (default: beside the weights, by their name)"
    )
    parser.add_argument(
        "--opset", type=int | None, default=None, help=f"version of ONNX's operators, for onnx (default: {OPSET})"
    )
    parser.add_argument("--license", type=str, default=OTHER, help="of the weights, as the file says it, such as mit")
    parser.add_argument("--data", type=str | None, default=None, help="folder of another set to compare on")
    parser.add_argument(
        "--pictures", type=int | None, default=None, help="compare on so many, spread over the set; 0 for none"
    )
    config = parse(parser, arguments)
    if config.pictures is not None and config.pictures != 0 and config.pictures < 2:
        raise InputError(f"--pictures is {config.pictures}; allowed: 0, or at least 2.")
    predictor = open_run(config)
    pictures = None if config.pictures == 0 else _pictures(predictor, config.data, config.pictures)
    place = Path(config.run) / config.weights if Path(config.run).is_dir() else Path(config.run).with_suffix("")
    out = place.with_name(place.name + FORMATS[config.format].suffix) if config.out is None else Path(config.out)
    require_format(out, config.format, config.opset)
    best = [] if pictures is None else _best(predictor, pictures)
    export(predictor, out, format=config.format, opset=config.opset, license=config.license, best=best)
    written = FORMATS[config.format].files(out)
    print(f"{' and '.join(map(str, written))}: {sum(file.stat().st_size for file in written) / 1e6:.1f} MB")
    if pictures is None:
        say(f"{out} was not compared with PyTorch.")
        return 0
    with _progress() as bar:
        task = bar.add_task("comparing", total=len(pictures))
        found = compare(predictor, load(out), pictures, told=lambda: bar.advance(task))
    print(_report(found, predictor.categories.names))
    for fault in found.faults:
        say(f"mmmc: {out} does not say what PyTorch says: {fault}")
    return 1 if found.faults else 0


def _pictures(predictor: Predictor, data: str | None, most: int | None) -> CocoSet:
    pictures = own_set(predictor) if data is None else open_folder(predictor, data)
    return pictures if most is None else pictures.subset(evenly(len(pictures), most))


def _best(predictor: Predictor, pictures: CocoSet) -> list[float]:
    """The score threshold of each class's best F1 on these pictures."""
    with _progress() as bar:
        task = bar.add_task("choosing thresholds", total=len(pictures))
        best = thresholds_of(predictor, pictures, told=lambda count: bar.advance(task, count))
    say_thresholds(best, predictor)
    return [best[index].score for index in range(len(predictor.categories))]


def _progress() -> Progress:
    screen = Console(stderr=True)
    return Progress(console=screen, transient=True, disable=not screen.is_terminal)


def _report(found: Parity, names: Sequence[str]) -> str:
    first, second = (f"{100 * value:.3f}" for value in found.ap)
    rows = [
        (
            "resized beforehand",
            f"{found.matched} of {found.matched + len(found.calls)} boxes of both, {len(found.close)} close calls",
        ),
        ("largest differences", f"{found.apart:.2g} px, score {found.scores_apart:.2g}"),
        ("as they are", "{} of {} boxes of both".format(*found.as_they_are)),
        ("AP", f"{first} by PyTorch, {second} by the file"),
    ]
    lines = [f"PyTorch and the file on {found.pictures} pictures:"]
    lines += [f"  {name:<19}  {value}" for name, value in rows]
    lines += [_line(call, names) for call in found.calls[:SHOWN]]
    if len(found.calls) > SHOWN:
        lines.append(f"  … and {len(found.calls) - SHOWN} more")
    return "\n".join(lines)


def _line(call: Call, names: Sequence[str]) -> str:
    reason = call.reason or "no reason"
    return f"  {call.picture}: {names[call.label]} {call.score:.3f}, by the side of {call.side} alone: {reason}"
