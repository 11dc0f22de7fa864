"""`mmmc show`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mmmc.cli.arguments import add_run, add_set, open_run, open_set, parse, verb_parser
from mmmc.data.coco import CocoSet
from mmmc.errors import InputError, did_you_mean
from mmmc.gallery import THRESHOLD, draw_comparison, draw_labels, draw_losses, save_figure, save_image

KINDS = ("predictions", "labels", "losses")


def run(arguments: Sequence[str]) -> None:
    """Draw labelled pictures of a set as a run sees them."""
    parser = verb_parser(
        "show",
        "Draw a labelled picture as a run sees it: ground truth beside predictions, positive points per level, and "
        "the loss that each point would have.",
    )
    add_run(parser)
    parser.add_argument(
        "pictures", type=str, nargs="*", metavar="PICTURE", help="file name in the set (default: first)"
    )
    add_set(parser)
    parser.add_argument("--kinds", type=str, default=",".join(KINDS), help="what to draw, with commas between")
    parser.add_argument("--threshold", type=float, default=THRESHOLD, help="least score that is drawn")
    parser.add_argument("--out", type=str, default="shown", help="folder for the pictures")
    config = parse(parser, arguments)
    kinds = config.kinds.split(",")
    for kind in kinds:
        if kind not in KINDS:
            raise InputError(f"--kinds names {kind!r}.{did_you_mean(kind, KINDS)}")
    predictor = open_run(config)
    pictures = open_set(config, predictor)
    out = Path(config.out)
    for name in config.pictures or [pictures.names[0]]:
        index = find(pictures, name)
        stem = "-".join(Path(pictures.names[index]).with_suffix("").parts)
        if "predictions" in kinds:
            save_image(draw_comparison(predictor, pictures, index, config.threshold), out / f"{stem}-predictions.png")
        if "labels" in kinds:
            save_figure(draw_labels(predictor, pictures, index), out / f"{stem}-labels.png")
        if "losses" in kinds:
            save_figure(draw_losses(predictor, pictures, index), out / f"{stem}-losses.png")
    print(f"Pictures: {out}")


def find(pictures: CocoSet, name: str) -> int:
    """Index of a picture by its path in the set or its bare file name.

    Raises:
        InputError: the set does not have it, or several of this file name.
    """
    for index, known in enumerate(pictures.names):
        if name in (known, str(pictures.file(index))):
            return index
    same = [index for index, known in enumerate(pictures.names) if name == Path(known).name]
    if len(same) > 1:
        shown = ", ".join(pictures.names[index] for index in same[:5])
        raise InputError(f"{pictures.annotations} has {len(same)} pictures {name!r}. Allowed: one of them, as {shown}.")
    if same:
        return same[0]
    near = did_you_mean(Path(name).name, list(pictures.names)[:20]).split(" Allowed:")[0]
    raise InputError(f"{pictures.annotations} has no picture {name!r} among its {len(pictures)}.{near}")
