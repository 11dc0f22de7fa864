"""`mmmc data`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mmmc.cli import sets
from mmmc.cli.arguments import add_format, parse, verb_parser
from mmmc.data.changes import changes
from mmmc.data.shrink import shrink
from mmmc.data.synthetic import make_synthetic
from mmmc.data.transforms import Resize
from mmmc.errors import InputError, did_you_mean

ACTIONS = ("make", "shrink", "convert", "split", "tile", "stats", "check")


def run(arguments: Sequence[str]) -> int | None:
    """Do something about a set."""
    action = arguments[0] if arguments else ""
    if action not in ACTIONS:
        parser = verb_parser(
            "data",
            "make FOLDER, the embedded set; check PATH, look for faults; stats PATH, count; convert PATH, write in "
            "another format; split PATH, keep pictures apart to validate with; tile PATH, large pictures in tiles; "
            "shrink DATA OUT, smaller pictures",
        )
        parse(parser, arguments if action in ("-h", "--help") else ["--help"] if not action else [])
        raise InputError(f"There is no command 'data {action}'.{did_you_mean(action, ACTIONS)}")
    verbs = {
        "make": make,
        "shrink": shrink_set,
        "convert": sets.convert_set,
        "split": sets.split_set,
        "tile": sets.tile_set,
        "stats": sets.stats_of_set,
        "check": sets.check_set,
    }
    return verbs[action](arguments[1:])


def make(arguments: Sequence[str]) -> None:
    """Make the embedded set."""
    parser = verb_parser("data make", "Make the embedded set: synthetic scenes in COCO format, the same everywhere.")
    parser.add_argument("folder", type=str, metavar="FOLDER", help="where the set is written")
    parser.add_argument("--train", type=int, default=400, help="pictures to train on")
    parser.add_argument("--val", type=int, default=100, help="pictures to score")
    parser.add_argument("--seed", type=int, default=0, help="another seed is another set")
    config = parse(parser, arguments)
    folder = make_synthetic(Path(config.folder), train=config.train, val=config.val, seed=config.seed)
    print(f"{config.train} + {config.val} pictures: {folder}")


def shrink_set(arguments: Sequence[str]) -> None:
    """Copy a set with smaller pictures."""
    parser = verb_parser("data shrink", "Copy a set with its pictures at the size of training, as JPEG.")
    parser.add_argument("folder", type=str, metavar="DATA", help="a folder as `mmmc train` takes it")
    parser.add_argument("out", type=str, metavar="OUT", help="a new or an empty folder")
    add_format(parser)
    parser.add_argument("--short", type=int, default=256, help="shorter side in pixels")
    parser.add_argument("--long", type=int, default=320, help="longest longer side in pixels")
    parser.add_argument("--quality", type=int, default=92, help="of the JPEG files, 1 to 95")
    config = parse(parser, arguments)
    if not 1 <= config.quality <= 95:
        raise InputError(f"--quality is {config.quality}; allowed: 1 to 95.")
    resize = Resize(config.short, config.long)
    sets = shrink(config.folder, config.out, resize=resize, quality=config.quality, format=config.format)
    for pictures in sets:
        for note in changes(pictures):
            print(f"{pictures.annotations}: {note}.")
    print(f"{' + '.join(str(len(pictures)) for pictures in sets)} pictures: {config.out}")
