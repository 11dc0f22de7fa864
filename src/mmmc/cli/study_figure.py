"""`mmmc study figure`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import Namespace

from mmmc.cli.arguments import add_set, add_weights, open_run, open_set, parse, verb_parser
from mmmc.cli.show import find
from mmmc.closeup import look
from mmmc.draw.closeup import figure_of
from mmmc.environment import own_version
from mmmc.errors import InputError
from mmmc.gallery import save_figure
from mmmc.recipe import digest
from mmmc.study import figures
from mmmc.training.record import set_name

FORMATS = ("pdf", "png")


def record_or_draw(arguments: Sequence[str]) -> None:
    """Keep one of the paper's figures as a record, draw it from its record, or both."""
    parser = verb_parser(
        "study figure",
        "Draw one of the paper's Figures 1 to 3 from its record, which needs no run; or make the record from a run.",
        usage="mmmc study figure N [--record FILE] --out DIR\n"
        "       mmmc study figure N --run RUN --picture PICTURE [--object K] --record FILE [--out DIR]",
    )
    parser.add_argument("figure", type=int, metavar="N", help="number of the figure: 1, 2 or 3")
    parser.add_argument(
        "--record", type=str | None, default=None, metavar="FILE", help="of the figure (default: results/figures/N.npz)"
    )
    parser.add_argument("--out", type=str | None, default=None, metavar="DIR", help="folder for a PDF and a PNG")
    parser.add_argument(
        "--run", type=str | None, default=None, help="make the record: run folder, or a .safetensors file of one"
    )
    parser.add_argument("--picture", type=str | None, default=None, help="file name in the set")
    parser.add_argument("--object", type=int | None, default=None, help="number of the object (default: largest)")
    add_weights(parser)
    add_set(parser)
    config = parse(parser, arguments)
    if config.figure not in figures.NAMES:
        raise InputError(
            f"There is no record of a figure {config.figure}; allowed: {', '.join(map(str, figures.NAMES))}."
        )
    if config.run is not None:
        _make(config)
    else:
        _refuse_without_run(config)
    if config.out is not None:
        _draw(config)


def _make(config: Namespace) -> None:
    if config.picture is None or config.record is None:
        raise InputError(f"A record needs --picture and --record: {figures.command(config.figure, 'FILE')}")
    predictor = open_run(config)
    pictures = open_set(config, predictor)
    index = find(pictures, config.picture)
    closeup = look(predictor, pictures, index, str(config.figure), config.object)
    path = Path(config.record)
    figures.write(
        path,
        closeup.view,
        {
            "figure": config.figure,
            "set": set_name(pictures),
            "picture": pictures.names[index],
            "image_id": int(pictures.image_ids[index]),
            "object": closeup.number,
            "recipe_hash": digest(predictor.recipe),
            "seed": predictor.recipe.train.seed,
            "weights": config.weights if Path(config.run).is_dir() else Path(config.run).stem,
            "version": own_version(),
        },
    )
    print(f"Record: {path}, {path.stat().st_size / 1000:.0f} kB")


def _refuse_without_run(config: Namespace) -> None:
    """What belongs to a run would be disregarded."""
    for name in ("picture", "object", "data", "annotations", "images", "format"):
        if config[name] is not None:
            raise InputError(f"--{name} is for --run, which is not given; a record says which picture it shows.")
    if config.out is None:
        raise InputError(f"--out is missing: mmmc study figure {config.figure} --out DIR")


def _draw(config: Namespace) -> None:
    path = Path(config.record or f"results/figures/{config.figure}.npz")
    record = figures.read(path, config.figure)
    figure = figure_of(record.view)
    files = [save_figure(figure, Path(config.out) / f"figure-{config.figure}.{suffix}") for suffix in FORMATS]
    about = record.about
    print(
        f"Figure {config.figure}: {about['name']} of {about['picture']} ({about['set']}); "
        f"recipe {about['recipe_hash']}, seed {about['seed']}, {about['weights']} weights, mmmc {about['version']}\n"
        f"Pictures: {', '.join(map(str, files))}"
    )
