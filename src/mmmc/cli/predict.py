"""`mmmc predict`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from glob import glob
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from rich.console import Console
from rich.progress import track

from mmmc import draw
from mmmc.cli.arguments import add_run, open_run, parse, verb_parser
from mmmc.data.loading import EvalLoader
from mmmc.data.pictures import read_picture
from mmmc.errors import InputError
from mmmc.evaluate import best_thresholds, to_results
from mmmc.files import write_atomically
from mmmc.gallery import THRESHOLD, save_image
from mmmc.predictor import Predictor
from mmmc.structures import Detections
from mmmc.training.sets import open_sets

CHUNK = 8
"""Pictures that are read, predicted and written at a time."""


def run(arguments: Sequence[str]) -> None:
    """Predict pictures, write annotated copies and one JSON."""
    parser = verb_parser("predict", "Find objects in pictures; write annotated copies and detections.json.")
    add_run(parser)
    parser.add_argument("paths", type=str, nargs="+", metavar="PATH", help="picture, folder, or glob in quotes")
    parser.add_argument("--out", type=str, default="predictions", help="folder for the copies and detections.json")
    parser.add_argument(
        "--threshold",
        type=str,
        default=str(THRESHOLD),
        help="least score; or f1: for each class the threshold of best F1 on the run's scored pictures",
    )
    parser.add_argument("--draw", type=bool, default=True, help="write annotated copies")
    config = parse(parser, arguments)
    predictor = open_run(config)
    thresholds = class_thresholds(config.threshold, predictor)
    files = find_pictures(config.paths)
    out = Path(config.out)
    copies = name_copies(files, out) if config.draw else {}
    entries = []
    screen = Console(stderr=True)
    chunks = [files[start : start + CHUNK] for start in range(0, len(files), CHUNK)]
    for chunk in track(chunks, "predicting", console=screen, transient=True, disable=not screen.is_terminal):
        for file, found in zip(chunk, predictor(chunk), strict=True):
            kept = found.above(thresholds)
            entries.append(_entry(file, copies.get(file), kept, predictor))
            if file in copies:
                image = draw.detections(read_picture(file), kept, predictor.categories.names, threshold=0.0)
                save_image(image, copies[file])
    text = json.dumps({"categories": list(predictor.categories.names), "pictures": entries}, indent=1)
    write_atomically(out / "detections.json", lambda temporary: temporary.write_text(text + "\n", encoding="utf-8"))
    total = sum(len(entry["objects"]) for entry in entries)
    print(f"{total} objects in {len(files)} pictures: {out}")


def find_pictures(paths: Sequence[str]) -> list[Path]:
    """Pictures by path, folder or glob, each once, in the order given.

    Raises:
        InputError: a path leads to nothing, or a folder holds no picture.
    """
    suffixes = set(Image.registered_extensions())
    found: list[Path] = []
    for path in paths:
        if Path(path).is_dir():
            matches = sorted(file for file in Path(path).rglob("*") if file.suffix.lower() in suffixes)
        else:
            matches = [Path(path)] if Path(path).is_file() else sorted(map(Path, glob(path, recursive=True)))
        if not matches:
            fault = "is a folder without pictures" if Path(path).is_dir() else "leads to nothing"
            raise InputError(f"{path} {fault}. Allowed: pictures, folders that hold some, globs that match some.")
        found += matches
    return list(dict.fromkeys(found))


def name_copies(files: Sequence[Path], out: Path) -> dict[Path, Path]:
    """Where the annotated copy of each picture goes; of two with one name the later gets a number.

    Raises:
        InputError: a copy would take the place of a picture that was given.
    """
    copies: dict[Path, Path] = {}
    taken: set[str] = set()
    for file in files:
        name, number = f"{file.stem}.jpg", 1
        while name.lower() in taken:
            number += 1
            name = f"{file.stem}-{number}.jpg"
        taken.add(name.lower())
        copies[file] = out / name
    given = {file.resolve() for file in files}
    for file, copy in copies.items():
        if copy.resolve() in given:
            raise InputError(f"The annotated copy of {file} would overwrite the picture {copy}. Name another --out.")
    return copies


def class_thresholds(given: str, predictor: Predictor) -> torch.Tensor:
    """A threshold for each class, from a number or from the best F1 on the run's scored pictures."""
    if given != "f1":
        try:
            value = float(given)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1:
            raise InputError(f"--threshold is {given!r}; allowed: 0 to 1, or f1.")
        return torch.full((len(predictor.categories),), value)
    _, pictures = open_sets(predictor.recipe.data)
    padding = predictor.detector.backbone.normalize.padding
    loader = EvalLoader(pictures, predictor.recipe.resize, batch_size=CHUNK, pad_value=padding)
    found = [detections for batch in loader for detections in predictor.detect(batch)]
    best = best_thresholds(pictures.to_coco(), to_results(found, predictor.categories.ids))
    for index, name in enumerate(predictor.categories.names):
        print(f"{name}: score ≥ {best[index].score:.3f} gives F1 {best[index].f1:.3f}", file=sys.stderr)
    return torch.tensor([best[index].score for index in range(len(predictor.categories))])


def _entry(file: Path, copy: Path | None, found: Detections, predictor: Predictor) -> dict[str, Any]:
    objects = [
        {"class": predictor.categories.names[label], "score": round(score, 4), "box": [round(v, 2) for v in box]}
        for label, score, box in zip(found.labels.tolist(), found.scores.tolist(), found.boxes.tolist(), strict=True)
    ]
    return {"file": str(file), **({"copy": copy.name} if copy else {}), "objects": objects}
