"""`mmmc info`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mmmc.checkpoint import load_weights
from mmmc.cli.arguments import parse, verb_parser
from mmmc.data.batching import padded
from mmmc.data.transforms import Resize
from mmmc.errors import InputError
from mmmc.model.cost import RULE, Part, cost, point_count
from mmmc.predictor import DIVISOR
from mmmc.recipe import load_recipe
from mmmc.training.folder import RunFolder


def run(arguments: Sequence[str]) -> None:
    """Print what a recipe's detector costs."""
    parser = verb_parser("info", "Parameters and multiply-adds of a recipe's detector, by part.")
    parser.add_argument("recipe", type=str, metavar="RECIPE", help="a recipe's name or .yaml file, or a run folder")
    parser.add_argument(
        "--size",
        type=str | None,
        default=None,
        help="HEIGHTxWIDTH of a picture, divisible by 32 (default: the largest to which the recipe resizes)",
    )
    parser.add_argument(
        "--classes", type=int | None, default=None, help="number of classes (default: the run's own; of a recipe, 80)"
    )
    config = parse(parser, arguments)
    if config.classes is not None and config.classes < 1:
        raise InputError(f"--classes is {config.classes}; allowed: at least 1.")
    folder = RunFolder(Path(config.recipe))
    recipe = load_recipe(folder.recipe if folder.recipe.is_file() else config.recipe)
    size = _largest(recipe.resize) if config.size is None else picture_size(config.size)
    classes = _number_of_classes(folder) if config.classes is None else config.classes
    parts = cost(recipe.model, classes, size)
    Console().print(_table(parts, f"{escape(config.recipe)}, {size[0]}×{size[1]} px, {classes} classes"))
    print(f"{point_count(size):,} points. {RULE}")


def _largest(resize: Resize) -> tuple[int, int]:
    """Height and width of the largest picture that comes of it, with the padding of a batch."""
    return padded(resize.short, DIVISOR), padded(resize.long, DIVISOR)


def _number_of_classes(folder: RunFolder) -> int:
    """Of a run its own, once it has weights; COCO's otherwise."""
    weights = folder.weights("last")
    return len(load_weights(weights).categories) if weights.is_file() else 80


def picture_size(text: str) -> tuple[int, int]:
    """Height and width from `HEIGHTxWIDTH`.

    Raises:
        InputError: it is not of this form, or a side is not divisible by 32.
    """
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    sides = [int(side) for side in match.groups()] if match else []
    if not sides or any(side == 0 or side % 32 for side in sides):
        nearest = "x".join(str(max(32, -(-side // 32) * 32)) for side in sides) or "800x1344"
        raise InputError(f"--size is {text!r}; allowed: HEIGHTxWIDTH, both divisible by 32, such as {nearest}.")
    return sides[0], sides[1]


def _table(parts: Sequence[Part], title: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("part")
    for column in ("parameters", "share", "GMAC", "share"):
        table.add_column(column, justify="right")
    whole = Part("all", sum(part.parameters for part in parts), sum(part.macs for part in parts))
    for part in [*parts, whole]:
        table.add_row(
            part.name,
            f"{part.parameters:,}",
            f"{part.parameters / whole.parameters:.1%}",
            f"{part.macs / 1e9:.2f}",
            f"{part.macs / whole.macs:.1%}",
            end_section=part is parts[-1],
        )
    return table
