"""`mmmc data`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mmmc.cli.arguments import parse, verb_parser
from mmmc.data.synthetic import make_synthetic
from mmmc.errors import InputError, did_you_mean

ACTIONS = ("make",)


def run(arguments: Sequence[str]) -> None:
    """Make the embedded set."""
    if arguments and not arguments[0].startswith("-") and arguments[0] not in ACTIONS:
        raise InputError(f"There is no command 'data {arguments[0]}'.{did_you_mean(arguments[0], ACTIONS)}")
    parser = verb_parser("data make", "Make the embedded set: synthetic scenes in COCO format, the same everywhere.")
    parser.add_argument("folder", type=str, metavar="FOLDER", help="where the set is written")
    parser.add_argument("--train", type=int, default=400, help="pictures to train on")
    parser.add_argument("--val", type=int, default=100, help="pictures to score")
    parser.add_argument("--seed", type=int, default=0, help="another seed is another set")
    config = parse(parser, arguments[1:] if arguments and arguments[0] in ACTIONS else arguments)
    folder = make_synthetic(Path(config.folder), train=config.train, val=config.val, seed=config.seed)
    print(f"{config.train} + {config.val} pictures: {folder}")
