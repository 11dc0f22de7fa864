"""`mmmc train`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from shlex import quote

from jsonargparse import ArgumentParser
from lightning_fabric.utilities.rank_zero import rank_zero_only
from rich.console import Console

from mmmc.cli.arguments import count_or_auto, device, parse, say, seconds, verb_parser
from mmmc.cli.report import make_report
from mmmc.cli.train_help import train_help
from mmmc.errors import InputError
from mmmc.evaluate import tables
from mmmc.gallery import draw_run
from mmmc.predictor import Predictor
from mmmc.recipe import Recipe, load_recipe
from mmmc.recipe.classes import dotted_flags
from mmmc.recipe.reading import add_recipe, instantiate, read_recipe, recipe_names, set_recipe
from mmmc.report.card import write_card
from mmmc.training import train
from mmmc.training.folder import RunFolder
from mmmc.training.memory import keep_freed_memory
from mmmc.training.sets import open_sets

MACHINE = ("--accelerator", "--device", "--devices", "--nodes", "--quiet", "--report")
"""Flags that change nothing about the result."""

RECIPE = "small"
"""What is trained unless another recipe is named."""


def run(arguments: Sequence[str]) -> None:
    """Train, score the last epoch, draw."""
    parser = _own_flags()
    add_recipe(parser)
    arguments = dotted_flags(_path_of_data(arguments))
    # Its own classes decide which options there are, so it comes before all other flags.
    set_recipe(parser, _recipe_named(arguments), arguments)
    config = parse(parser, arguments)
    if config.help is not None:
        print(train_help(_own_flags(), config.help, config.recipe))
        return
    options = {
        "accelerator": config.accelerator,
        "devices": count_or_auto(config.devices),
        "nodes": config.nodes,
        "quiet": config.quiet,
    }
    keep_freed_memory()
    if config.resume is not None:
        _refuse_beside_resume(config.folder, arguments)
        out = Path(config.resume)
        with _goes_on(out):
            scores = train(None, out, resume=True, **options)
    else:
        recipe = instantiate(parser, config)
        if config.folder is not None:
            if recipe.data.path is not None:
                raise InputError(f"The data is named twice: {config.folder} and data.path {recipe.data.path}.")
            recipe = replace(recipe, data=replace(recipe.data, path=config.folder))
        _tell_of_methods(recipe, config.recipe)
        data = Path(recipe.data.path or recipe.data.train_annotations or "data").stem
        out = Path(config.out or f"runs/{Path(config.recipe).stem}-{data}-{recipe.train.seed}")
        budget = seconds(config.time) if config.time else None
        with _goes_on(out):
            scores = train(recipe, out, init=config.init, time_budget=budget, **options)
    if rank_zero_only.rank != 0:  # type: ignore[attr-defined]
        return  # the first process speaks for all
    Console().print(tables(scores))
    draw_run(out)
    _tell(out, device(config.accelerator), report=config.report)
    print(f"Weights, metrics and pictures: {out}")


def _own_flags() -> ArgumentParser:
    """A parser of all flags but those of a recipe."""
    parser = verb_parser(
        "train",
        "Train a detector and leave a run folder: weights, metrics, scores, pictures, and all to repeat it.",
        "mmmc train DATA [--recipe NAME] [--out RUN] [--time 20m] [--SECTION.OPTION VALUE …]\n"
        "       mmmc train --resume RUN",
        add_help=False,
    )
    parser.add_argument(
        "-h", "--help", nargs="?", const="", default=None, metavar="SECTION",
        help="these lines; or the options of a section of the recipe, or all",
    )  # fmt: skip
    parser.add_argument("folder", nargs="?", metavar="DATA", help="folder of a set: COCO, YOLO, VOC (data.path)")
    parser.add_argument("--recipe", type=str, default=RECIPE, help=f"a .yaml file, or: {', '.join(recipe_names())}")
    parser.add_argument("--out", type=str | None, default=None, help="run folder (default: runs/RECIPE-DATA-SEED)")
    parser.add_argument("--resume", type=str | None, default=None, metavar="RUN", help="go on; needs nothing else")
    parser.add_argument("--init", type=str | None, default=None, help="run, weights file, or torchvision's FCOS file")
    parser.add_argument("--time", type=str | None, default=None, help="fit the training into 90s, 20m, 1.5h …")
    parser.add_argument(
        "--accelerator",
        "--device",
        choices=["auto", "cpu", "cuda"],
        default="auto",
        help="where to train; auto takes a GPU if there is one",
    )
    parser.add_argument("--devices", type=str, default="auto", help="devices on each node")
    parser.add_argument("--nodes", type=int, default=1, help="machines, started by torchrun or Slurm")
    parser.add_argument("--quiet", type=bool, default=False, help="no progress bar")
    parser.add_argument("--report", type=bool, default=True, help="end with report.html; false leaves it out")
    return parser


def _tell_of_methods(recipe: Recipe, name: str) -> None:
    """Tell who puts another rule into a recipe that its method may be more than the rule."""
    rule = type(recipe.assigner)
    if rule is type(load_recipe(name).assigner) or not rule.__module__.startswith("mmmc."):
        return
    small = (other for other in recipe_names() if other.startswith("small"))
    methods = [other for other in small if read_recipe(other)["assigner"]["class_path"].endswith(f".{rule.__name__}")]
    if methods and not any(_method(load_recipe(other)) == _method(recipe) for other in methods):
        say(
            f"--assigner puts the rule of {rule.__name__} alone into {name}, with its published options; as a whole "
            f"method it is --recipe {' or '.join(methods)}."
        )


def _method(recipe: Recipe) -> tuple[object, ...]:
    """What methods of labels differ in."""
    return recipe.assigner, recipe.criterion, recipe.model.part, recipe.postprocess.score, recipe.warm_start


def _recipe_named(arguments: Sequence[str]) -> str:
    """The value of `--recipe NAME` or `--recipe=NAME`, of several the last."""
    named = RECIPE
    for before, argument in pairwise(["", *arguments]):
        flag, equals, value = argument.partition("=")
        named = argument if before == "--recipe" else value if flag == "--recipe" and equals else named
    return named


def _path_of_data(arguments: Sequence[str]) -> list[str]:
    """`--data PATH`, as other verbs have it, is `--data.path PATH`."""
    return [re.sub("^--data(?==|$)", "--data.path", argument) for argument in arguments]


@contextmanager
def _goes_on(out: Path) -> Iterator[None]:
    """Tell who interrupts a training how it goes on."""
    try:
        yield
    except KeyboardInterrupt:
        if RunFolder(out).checkpoint.exists() and rank_zero_only.rank == 0:  # type: ignore[attr-defined]
            say(f"After its last finished epoch the run goes on by: mmmc train --resume {quote(str(out))}")
        raise


def _tell(out: Path, device: str, *, report: bool) -> None:
    """The report of the best weights on the pictures that the run is scored on, if asked for, and the model card."""
    sets = open_sets(load_recipe(RunFolder(out).recipe).data)
    found = make_report(Predictor.load(out, device=device), sets[1], out, out, weights="best") if report else None
    write_card(out, sets, found=found)


def _refuse_beside_resume(folder: str | None, arguments: Sequence[str]) -> None:
    """A run goes on with its own recipe and data; whoever names others would be disregarded."""
    given = [argument.split("=")[0] for argument in arguments if argument.startswith("--")]
    others = [flag for flag in given if flag not in ("--resume", *MACHINE)] + ([folder] if folder is not None else [])
    if others:
        raise InputError(
            f"--resume takes recipe and data from the run, so {', '.join(others)} cannot be given with it; "
            f"allowed: {', '.join(MACHINE)}."
        )
