"""`mmmc show`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import Namespace
from rich.console import Console

from mmmc import label_measures
from mmmc.cli.arguments import add_run, add_set, open_run, open_set, own_sets, parse, say, verb_parser
from mmmc.closeup import FIGURES, look
from mmmc.data.coco import CocoSet
from mmmc.draw.closeup import figure_of
from mmmc.errors import InputError, did_you_mean
from mmmc.gallery import THRESHOLD, draw_assigners, draw_comparison, draw_labels, draw_losses, save_figure, save_image
from mmmc.recipe.naming import named_assigners
from mmmc.training.folder import RunFolder
from mmmc.training.journal import read_metrics

KINDS = ("predictions", "labels", "losses")
TABLES = ("assign",)


def run(arguments: Sequence[str]) -> None:
    """Draw labelled pictures of a set as a run sees them."""
    parser = verb_parser(
        "show",
        "Draw a labelled picture as a run sees it: ground truth beside predictions, positive points per level, and "
        "the loss that each point would have.",
    )
    add_run(parser)
    parser.add_argument(
        "pictures",
        type=str,
        nargs="*",
        metavar="PICTURE",
        help="file name in the set, or among those trained on (default: first)",
    )
    add_set(parser)
    parser.add_argument("--kinds", type=str, default=",".join(KINDS), help="what to draw, with commas between")
    parser.add_argument("--threshold", type=float, default=THRESHOLD, help="least score that is drawn")
    parser.add_argument("--out", type=str, default="shown", help="folder for the pictures")
    parser.add_argument(
        "--figure",
        choices=FIGURES,
        default=None,
        help="draw one object instead: 1, detections from different places beside both loss maps; 2, losses, scores "
        "and split of its candidates; 3, loss maps and chosen points; offsets, where deformed kernels look",
    )
    parser.add_argument(
        "--object",
        type=int | None,
        default=None,
        help="number of the object, as in the labels picture (default: largest)",
    )
    parser.add_argument(
        "--assigners",
        type=str | None,
        default=None,
        help="draw instead where these put their labels on the run's predictions, with commas between: names as "
        "fcos,atss or atss(topk=15,square_strides=4), module:Class for your own, run for the run's own rule",
    )
    parser.add_argument(
        "--per-level",
        "--per_level",
        action="store_true",
        help="with --assigners: a panel for each level of each assigner",
    )
    parser.add_argument(
        "--table", type=str | None, default=None, help="print instead: assign, what labels did in training"
    )
    config = parse(parser, arguments)
    if config.table is not None:
        print_table(config.run, config.table)
        return
    _refuse_together(config)
    kinds = config.kinds.split(",")
    for kind in kinds:
        if kind not in KINDS:
            raise InputError(f"--kinds names {kind!r}.{did_you_mean(kind, KINDS)}")
    predictor = open_run(config)
    named = config.data is not None or config.annotations is not None
    sets = (open_set(config, predictor),) if named else own_sets(predictor)
    assigners = named_assigners(config.assigners, predictor.recipe) if config.assigners is not None else []
    out = Path(config.out)
    for name in config.pictures or [sets[0].names[0]]:
        pictures, index = find_among(sets, name)
        if pictures is not sets[0]:
            say(f"{name} was trained on: its predictions are better than those of a new picture.")
        stem = "-".join(Path(pictures.names[index]).with_suffix("").parts)
        if config.assigners is not None:
            figure = draw_assigners(predictor, pictures, index, assigners, per_level=config.per_level)
            save_figure(figure, out / f"{stem}-assigners{'-per-level' * config.per_level}.png")
            continue
        if config.figure is not None:
            figure = figure_of(look(predictor, pictures, index, config.figure, config.object).view)
            save_figure(figure, out / f"{stem}-{'figure-' * config.figure.isdigit()}{config.figure}.png")
            continue
        if "predictions" in kinds:
            save_image(draw_comparison(predictor, pictures, index, config.threshold), out / f"{stem}-predictions.png")
        if "labels" in kinds:
            save_figure(draw_labels(predictor, pictures, index), out / f"{stem}-labels.png")
        if "losses" in kinds:
            save_figure(draw_losses(predictor, pictures, index), out / f"{stem}-losses.png")
    print(f"Pictures: {out}")


def _refuse_together(config: Namespace) -> None:
    """One of the two would be disregarded."""
    if config.assigners is None:
        if config.per_level:
            raise InputError("--per-level is for --assigners, which is not given.")
    elif config.figure is not None:
        raise InputError("--assigners and --figure draw different pictures; allowed: one of them.")


def print_table(run_path: str, name: str) -> None:
    """Print what was seen of a run's labels after each epoch.

    Raises:
        InputError: there is no such table, or the run has nothing to say.
    """
    if name not in TABLES:
        raise InputError(f"--table is {name!r}.{did_you_mean(name, TABLES)}")
    folder = RunFolder(Path(run_path))
    folder.require()
    rows = [row for row in read_metrics(folder.metrics) if row["kind"] == name]
    if not rows:
        raise InputError(
            f"{folder.metrics} has no line about labels; the run was told not to look (train.diagnose: 0)."
        )
    Console().print(label_measures.tables(rows))


def find(pictures: CocoSet, name: str) -> int:
    """Index of a picture by its path in the set or its bare file name.

    Raises:
        InputError: the set does not have it, or several of this file name.
    """
    return find_among((pictures,), name)[1]


def find_among(sets: Sequence[CocoSet], name: str) -> tuple[CocoSet, int]:
    """The first set that has a picture, by its path in the set or its bare file name, and its index there.

    Raises:
        InputError: no set has it, or one has several of this file name.
    """
    for pictures in sets:
        index = _index(pictures, name)
        if index is not None:
            return pictures, index
    files = " and ".join(dict.fromkeys(str(pictures.annotations) for pictures in sets))
    near = did_you_mean(Path(name).name, list(sets[0].names)[:20]).split(" Allowed:")[0]
    raise InputError(f"{files}: no picture {name!r} among {sum(map(len, sets))}.{near}")


def _index(pictures: CocoSet, name: str) -> int | None:
    for index, known in enumerate(pictures.names):
        if name in (known, str(pictures.file(index))):
            return index
    same = [index for index, known in enumerate(pictures.names) if name == Path(known).name]
    if len(same) > 1:
        shown = ", ".join(pictures.names[index] for index in same[:5])
        raise InputError(f"{pictures.annotations} has {len(same)} pictures {name!r}. Allowed: one of them, as {shown}.")
    return same[0] if same else None
