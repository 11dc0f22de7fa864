"""What the verbs' parsers share."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from jsonargparse import ArgumentError, ArgumentParser, Namespace
from rich.console import Console
from rich.progress import track

from mmmc.cli.completion import ASKED, ParserWanted
from mmmc.data.coco import CocoSet, check_agreement
from mmmc.data.formats import FormatName, look, source_of
from mmmc.errors import InputError
from mmmc.evaluate import to_results
from mmmc.predictor import WEIGHTS, Predictor, scored_batches
from mmmc.recipe import DataConfig
from mmmc.recipe.complaints import explain
from mmmc.runtime import OPENERS
from mmmc.thresholds import Threshold
from mmmc.training.sets import open_sets, read_part


def verb_parser(verb: str, description: str, usage: str | None = None, *, add_help: bool = True) -> ArgumentParser:
    """An empty parser of a verb; flags are not abbreviated, so that a new one never changes what an old one means."""
    return ArgumentParser(
        prog=f"mmmc {verb}",
        description=description,
        usage=usage,
        add_help=add_help,
        exit_on_error=False,
        allow_abbrev=False,
    )


def parse(parser: ArgumentParser, arguments: Sequence[str]) -> Namespace:
    """Parse, with an unknown option as an `InputError` that names the nearest one.

    Raises:
        InputError: an argument that cannot be used.
        ParserWanted: not to parse, but to complete what is typed.
    """
    if ASKED.get():
        raise ParserWanted(parser)
    try:
        return parser.parse_args(list(arguments))
    except ArgumentError as error:
        raise explain(error, parser, parser.prog.removeprefix("mmmc ")) from error


def add_run(parser: ArgumentParser, *, required: bool = True, device: bool = True, exported: bool = False) -> None:
    """The arguments of a verb that uses a trained detector, or may use one; without `device` on the CPU alone.

    With `exported` files of `mmmc export` are named, which the verb opens itself.
    """
    run: dict[str, Any] = {"metavar": "RUN", "help": "run folder, or a .safetensors file of one"}
    if exported:
        run = {"metavar": "RUN|FILE", "help": f"{run['help']}; or an exported file ({', '.join(OPENERS)})"}
    if required:
        parser.add_argument("run", type=str, **run)
    else:
        parser.add_argument("run", type=str | None, nargs="?", default=None, **run)
    add_weights(parser, device=device)


def add_weights(parser: ArgumentParser, *, device: bool = True) -> None:
    """Which weights of a run, and where they are used."""
    parser.add_argument("--weights", choices=WEIGHTS, default="best", help="which of the folder's weights")
    if device:
        parser.add_argument("--device", type=str, default="auto", help="cpu, cuda, cuda:1 …, or auto")


def open_run(config: Namespace) -> Predictor:
    """The predictor that `run` and `add_weights`'s arguments name."""
    return Predictor.load(config.run, weights=config.weights, device=device(config.get("device", "cpu")))


def device(name: str) -> str:
    """A device by its name; `auto` takes a GPU if there is one."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"--device is {name!r}, which cannot be used here: {str(error).splitlines()[0]}") from error
    return name


def add_set(parser: ArgumentParser) -> None:
    """The arguments that name pictures to score, if not the run's own."""
    parser.add_argument(
        "--data", type=str | None, default=None, help="folder of a set, whose pictures to score are taken"
    )
    parser.add_argument(
        "--annotations",
        type=str | None,
        default=None,
        help="COCO JSON instead of the run's own; or a data.yaml, or a folder of XML files",
    )
    parser.add_argument("--images", type=str | None, default=None, help="folder of its pictures")
    add_format(parser)


def add_format(parser: ArgumentParser) -> None:
    """What a set is written in."""
    parser.add_argument(
        "--format",
        choices=get_args(FormatName),
        default=None,
        help="what the set is written in (default: recognised by looking)",
    )


OF_RUNS = ("data", "images", "format", "batch_size", "weights", "device")
"""Options that only a run has."""


def refuse_options_of_runs(parser: ArgumentParser, config: Namespace, instead: str) -> None:
    """Of a call that names COCO results alone: `instead` says what needs annotations and nothing else.

    Raises:
        InputError: an option is given that would have no effect.
    """
    for name in OF_RUNS:
        if config[name] != parser.get_default(name):
            raise InputError(f"--{name} is for a run; {instead} --annotations alone.")


def open_set(config: Namespace, predictor: Predictor, *, require_objects: bool = True) -> CocoSet:
    """The set that `add_set`'s arguments name, with the categories of the detector, or the run's scored pictures."""
    data = predictor.recipe.data
    if config.images is not None and config.annotations is None:
        raise InputError("--images is the folder of the pictures of --annotations, which is not given.")
    if config.data is not None:
        if config.annotations is not None:
            raise InputError("--data and --annotations both name a set; allowed: one of them.")
        return open_folder(predictor, config.data, config.format, require_objects=require_objects)
    if config.annotations is None:
        return own_set(predictor)
    images = config.images or str(Path(config.annotations).parent)
    source = source_of(config.annotations, images, "val", config.format)
    return _known(predictor, read_part(data, source, require_objects=require_objects))


def own_set(predictor: Predictor, data: DataConfig | None = None) -> CocoSet:
    """The pictures that the run was scored on, which may lie elsewhere by now."""
    return own_sets(predictor, data)[0]


def own_sets(predictor: Predictor, data: DataConfig | None = None) -> tuple[CocoSet, CocoSet]:
    """The pictures that the run was scored on, and those that it was trained on."""
    try:
        sets = open_sets(data or predictor.recipe.data)
    except InputError as error:
        raise InputError(f"The run's own set cannot be read: {error} --data FOLDER names another place.") from error
    train, val = (_known(predictor, pictures) for pictures in sets)
    return val, train


def open_folder(
    predictor: Predictor, folder: str, format: FormatName | None = None, *, require_objects: bool = True
) -> CocoSet:
    """The pictures to score of a set, with the categories of the detector."""
    found = look(folder, format)
    source = found.part("val")
    if source is None:
        raise InputError(f"{folder} has no pictures to score: it is {found.seen}. Name a file by --annotations.")
    known = _known(predictor, read_part(predictor.recipe.data, source, require_objects=require_objects))
    say(f"{folder} is {found.seen}.")
    return known


def say(sentence: str) -> None:
    """Tell what is no result: on the other channel."""
    print(sentence, file=sys.stderr)


def say_thresholds(best: Mapping[int, Threshold], predictor: Predictor) -> None:
    """Tell the threshold of each class and what it gives."""
    for index, name in enumerate(predictor.categories.names):
        say(f"{name}: score ≥ {best[index].score:.3f} gives F1 {best[index].f1:.3f}")


def _known(predictor: Predictor, pictures: CocoSet) -> CocoSet:
    from dataclasses import replace

    # Only the categories of this stand-in are read.
    reference = replace(pictures, categories=predictor.categories, annotations=Path("the trained detector"))
    return check_agreement(reference, pictures)


def detect_all(config: Namespace, predictor: Predictor, pictures: CocoSet) -> list[dict[str, Any]]:
    """COCO results of a set, with a bar on a terminal."""
    screen = Console(stderr=True)
    loader = scored_batches(predictor, pictures, config.batch_size)
    progress = track(loader, "detecting", console=screen, transient=True, disable=not screen.is_terminal)
    found = [detections for batch in progress for detections in predictor.detect(batch)]
    return to_results(found, predictor.categories.ids)


def seconds(text: str) -> float:
    """A duration such as `90s`, `20m`, `1.5h`.

    Raises:
        InputError: it is none.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh])", text.strip())
    if match is None or float(match.group(1)) == 0:
        raise InputError(f"--time is {text!r}; allowed: a number above 0 with s, m or h, such as 20m.")
    return float(match.group(1)) * {"s": 1, "m": 60, "h": 3600}[match.group(2)]


def count_or_auto(value: str) -> Any:
    """A number of devices, or `auto`."""
    if value == "auto":
        return value
    if not value.isdigit() or int(value) < 1:
        raise InputError(f"--devices is {value!r}; allowed: auto, or a number of at least 1.")
    return int(value)
