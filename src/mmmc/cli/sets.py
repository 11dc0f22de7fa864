"""`mmmc data convert`, `split`, `tile`, `stats` and `check`: what is done with anybody's set."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mmmc.cli.arguments import add_format, parse, say, verb_parser
from mmmc.data.changes import REPAIRS, changes
from mmmc.data.check import check
from mmmc.data.check.fix import fix, summary
from mmmc.data.check.report import text, write_check
from mmmc.data.convert import convert, write_set
from mmmc.data.formats import look, read
from mmmc.data.split import split
from mmmc.data.stats import BANDS, Stats, bands, quantiles, stats
from mmmc.data.tile import Cut, tile
from mmmc.data.tiling import Tiling
from mmmc.draw import spread
from mmmc.errors import InputError
from mmmc.gallery import draw_objects, save_figure
from mmmc.recipe import load_recipe


def convert_set(arguments: Sequence[str]) -> None:
    """Write a set in another format."""
    parser = _parser("convert", "Write a set again in another format, pictures included: all of it or nothing.")
    parser.add_argument("--to", choices=["coco", "yolo", "voc"], required=True, help="what to write")
    parser.add_argument("--out", type=str, required=True, help="a new or an empty folder")
    _strictness(parser)
    config = parse(parser, arguments)
    found, notes = convert(
        config.path,
        config.out,
        to=config.to,
        format=config.format,
        bad_boxes=config.bad_boxes,
        unlabelled=config.unlabelled,
    )
    say(f"{config.path} is {found.seen}.")
    for note in notes:
        print(f"{note}.")
    _written(Path(config.out))


def split_set(arguments: Sequence[str]) -> None:
    """Deal the training pictures of a set to training and validation."""
    parser = _parser(
        "split", "Deal the training pictures of a set to training and validation, each class in proportion, as COCO."
    )
    parser.add_argument("--val", type=float, default=0.2, help="share of the pictures that validate")
    parser.add_argument("--seed", type=int, default=0, help="another seed deals otherwise")
    parser.add_argument(
        "--group-by",
        "--group_by",
        type=str | None,
        default=None,
        help="regular expression: pictures whose names match with the same text stay together",
    )
    parser.add_argument("--out", type=str | None, default=None, help="a new folder (default: PATH-split)")
    _strictness(parser)
    config = parse(parser, arguments)
    found = look(config.path, config.format)
    pictures = read(found.parts[0], bad_boxes=config.bad_boxes, unlabelled=config.unlabelled)
    train, val = split(pictures, config.val, seed=config.seed, group_by=config.group_by)
    say(f"{config.path} is {found.seen}.")
    path = Path(os.path.abspath(config.path))  # `.` has no name to add to
    out = Path(config.out or path.with_name(f"{path.stem if path.is_file() else path.name}-split"))
    parts = {"train": pictures.subset(train), "val": pictures.subset(val)}
    for note in [*changes(pictures), *write_set(parts, out, "coco")]:
        print(f"{note}.")
    others = [source.part for source in found.parts[1:]]
    if others:
        print(f"Only the training pictures were split; {' and '.join(others)} of {config.path} stay where they are.")
    counted = [stats(part, load_recipe("small").resize) for part in parts.values()]
    table = Table("class", "train", "val", "share of val", title=f"{len(train)} + {len(val)} pictures; objects:")
    for name, here, there in zip(pictures.categories.names, *(one.per_class.tolist() for one in counted), strict=True):
        table.add_row(escape(name), str(here), str(there), f"{there / max(here + there, 1):.1%}")
    Console().print(table)
    _written(out)


def tile_set(arguments: Sequence[str]) -> None:
    """Cut large pictures into tiles."""
    parser = _parser(
        "tile", "Cut large pictures with their boxes into overlapping tiles, as COCO JSON: all of it or nothing."
    )
    parser.add_argument("--out", type=str, required=True, help="a new or an empty folder")
    parser.add_argument("--size", type=int, default=Tiling.size, help="side of a tile in pixels")
    parser.add_argument(
        "--overlap", type=float, default=Tiling.overlap, help="least share of a tile that the next shows"
    )
    parser.add_argument("--whole", type=bool, default=False, help="the whole picture is one more")
    parser.add_argument(
        "--keep", type=float, default=Cut.keep, help="least share of a box in a tile with which it is an object there"
    )
    parser.add_argument(
        "--rest",
        choices=["crowd", "drop"],
        default=Cut.rest,
        help="a box with a smaller share there is ignored, or is background",
    )
    parser.add_argument("--empty", type=bool, default=Cut.empty, help="keep tiles with nothing in them")
    _strictness(parser)
    config = parse(parser, arguments)
    cut = Cut(config.keep, config.rest, config.empty)
    found, done = tile(
        config.path,
        config.out,
        tiling=Tiling(config.size, config.overlap, config.whole),
        cut=cut,
        format=config.format,
        bad_boxes=config.bad_boxes,
        unlabelled=config.unlabelled,
    )
    say(f"{config.path} is {found.seen}.")
    for part, tiled in done.items():
        for note in tiled.notes(cut):
            print(f"{part}: {note}.")
    _written(Path(config.out))


def stats_of_set(arguments: Sequence[str]) -> None:
    """Count and measure the objects of a set."""
    parser = _parser("stats", "Pictures, objects, classes, sizes in the file and at a recipe's size, shapes.")
    parser.add_argument("--recipe", type=str, default="small", help="whose size of pictures is taken")
    parser.add_argument("--out", type=str, default="stats", help="folder for the pictures")
    _strictness(parser, "drop")
    config = parse(parser, arguments)
    found = look(config.path, config.format)
    resize = load_recipe(config.recipe).resize
    print(f"{config.path} is {found.seen}.")
    for source in found.parts:
        pictures = read(source, bad_boxes=config.bad_boxes, unlabelled=config.unlabelled, require_objects=False)
        for note in pictures.notes:
            print(f"{source.part}: {note}.")
        if pictures.repairs:
            print(
                f"{source.part}: {len(pictures.repairs)} bad boxes are not counted as they stand; see mmmc data check."
            )
        numbers = stats(pictures, resize)
        _print(source.part, numbers, f"{config.recipe}, {resize.short} × {resize.long} px")
        out = Path(config.out)
        save_figure(draw_objects(pictures), out / f"{source.part}-objects.png")
        figure = spread(numbers.areas, numbers.drawn, numbers.aspects, numbers.per_picture)
        save_figure(figure, out / f"{source.part}-spread.png")
    print(f"Pictures: {config.out}")


def check_set(arguments: Sequence[str]) -> int:
    """Look for faults; 1 if there are errors."""
    parser = _parser(
        "check",
        "Look for faults of a set. Ends with status 1 if there is an error, with 0 otherwise. With --fix also write "
        "a copy in which what can be repaired in one way is repaired; the status is then that of the copy.",
    )
    parser.add_argument("--out", type=str | None, default=None, help="also write check.json and check.html here")
    parser.add_argument(
        "--fix", type=str | None, default=None, metavar="OUT", help="write a repaired copy of the set into a new folder"
    )
    config = parse(parser, arguments)
    if config.fix is not None:
        if config.out is not None:
            raise InputError("--fix and --out are given; allowed: one of them. Check the copy with --out afterwards.")
        done = fix(config.path, config.fix, config.format)
        print(f"{summary(done)}\nRepaired copy: {config.fix}; the list of repairs: {Path(config.fix) / 'fixes.json'}")
        return 1 if done.left.errors else 0
    found = check(config.path, config.format)
    print(text(found))
    if config.out is not None:
        data, page = write_check(found, Path(config.out))
        print(f"Check: {data}, {page}")
    return 1 if found.errors else 0


def _parser(action: str, description: str) -> ArgumentParser:
    parser = verb_parser(f"data {action}", description)
    parser.add_argument("path", type=str, metavar="PATH", help="folder of a set, a COCO JSON, or a data.yaml")
    add_format(parser)
    return parser


def _strictness(parser: ArgumentParser, bad_boxes: str = "error") -> None:
    kinds = ["error", "drop", "clip"]
    parser.add_argument("--bad_boxes", choices=kinds, default=bad_boxes, help="refuse, leave out, or cut bad boxes")
    kinds = ["error", "background"]
    parser.add_argument("--unlabelled", choices=kinds, default="error", help="pictures without a label file")


def _written(out: Path) -> None:
    if (repairs := out / REPAIRS).is_file():
        print(f"Boxes that were dropped or clipped: {repairs}")
    print(f"Set: {out}")


def _print(part: str, numbers: Stats, size: str) -> None:
    console = Console()
    pictures, objects = len(numbers.per_picture), len(numbers.labels)
    empty = int((numbers.per_picture == 0).sum())
    console.print(
        f"\n[bold]{part}[/bold]: {pictures} pictures, {empty} of them without objects; {objects} objects, "
        f"{numbers.crowds} crowd regions"
    )
    table = Table("class", "objects", "pictures")
    counts = zip(numbers.per_class.tolist(), numbers.pictures_with().tolist(), numbers.names, strict=True)
    for count, shown, name in sorted(counts, reverse=True):
        table.add_row(escape(name), str(count), str(shown))
    console.print(table)
    table = Table("objects by area", *BANDS)
    for name, areas in (("in the file", numbers.areas), (f"in training ({size})", numbers.drawn)):
        table.add_row(name, *(f"{count} ({count / max(objects, 1):.0%})" for count in bands(areas).tolist()))
    console.print(table)
    table = Table("", "least", "quarter", "half", "three quarters", "most")
    for name, values in (
        ("objects in a picture", numbers.per_picture),
        ("width by height of a box", numbers.aspects),
        ("shorter side of a picture", numbers.sizes.min(axis=1)),
        ("longer side of a picture", numbers.sizes.max(axis=1)),
    ):
        table.add_row(name, *(f"{value:.3g}" for value in quantiles(values)))
    console.print(table)
