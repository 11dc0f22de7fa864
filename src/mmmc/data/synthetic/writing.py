"""The set on disk, in COCO's format, whole or not at all."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console
from rich.progress import track

from mmmc.data.synthetic.layout import CLASSES
from mmmc.data.synthetic.scenes import SPLITS, scene
from mmmc.errors import InputError
from mmmc.files import new_folder

VERSION = 1
"""Version of the generator: scenes of one version never change."""


def make_synthetic(
    folder: Path, *, train: int = 400, val: int = 100, size: tuple[int, int] = (256, 256), seed: int = 0
) -> Path:
    """Write the set in COCO format: `annotations/instances_{train,val}.json` and `images/*.png`.

    Each annotation carries, beyond COCO's keys, `visible` (share that nothing hides), `cue` (x and y of the badge in
    pixels) and `centred`. `area` is the box's. A folder that holds this very set already is left as it is.

    Args:
        folder: made with its parents; nothing appears there before the set is complete.
        train, val: pictures of each split.
        size: height and width in pixels.
        seed: another seed is another set.

    Returns:
        The folder.

    Raises:
        InputError: the folder holds something else or cannot be written, or an option is out of range.
    """
    counts = {"train": train, "val": val}
    for name, value in counts.items():
        if value < 1:
            raise InputError(f"{name} is {value}; allowed: 1 picture or more.")
    made_from = {"generator": "mmmc synthetic", "version": VERSION, "seed": seed, "size": list(size), **counts}
    folder = Path(folder)
    if _holds(folder, made_from):
        return folder
    with new_folder(folder) as fresh:
        (fresh / "images").mkdir()
        (fresh / "annotations").mkdir()
        for split, count in counts.items():
            content = {"info": made_from, **_write_pictures(fresh / "images", split, count, size, seed)}
            (fresh / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    return folder


def _holds(folder: Path, made_from: dict[str, Any]) -> bool:
    """Whether the folder holds the set that these options make, complete."""
    wanted = {f"{split}_{index:05d}.png" for split in SPLITS for index in range(made_from[split])}
    try:
        infos = [
            json.loads((folder / "annotations" / f"instances_{split}.json").read_text())["info"] for split in SPLITS
        ]
        found = {path.name for path in (folder / "images").iterdir()}
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return all(info == made_from for info in infos) and found == wanted


def _write_pictures(images: Path, split: str, count: int, size: tuple[int, int], seed: int) -> dict[str, Any]:
    """Draw a split's pictures into `images`; return COCO's three lists."""
    pictures: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    screen = Console(stderr=True)
    progress = track(range(count), f"Drawing {split}", console=screen, transient=True, disable=not screen.is_terminal)
    for index in progress:
        drawn = scene(seed, split, index, size)
        name = f"{split}_{index:05d}.png"
        # On noise, run lengths compress as well as the full search does, eight times as fast.
        Image.fromarray(drawn.image).save(images / name, compress_type=zlib.Z_RLE)
        pictures.append({"id": index + 1, "file_name": name, "height": size[0], "width": size[1]})
        for k, (x1, y1, x2, y2) in enumerate(drawn.boxes.tolist()):
            annotation = {
                "id": len(annotations) + 1,
                "image_id": index + 1,
                "category_id": int(drawn.labels[k]) + 1,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": (x2 - x1) * (y2 - y1),
                "iscrowd": 0,
                "visible": float(drawn.visible[k]),
                "cue": drawn.cue[k].tolist(),
                "centred": bool(drawn.centred[k]),
            }
            annotations.append(annotation)
    categories = [{"id": label + 1, "name": name} for label, name in enumerate(CLASSES)]
    return {"images": pictures, "annotations": annotations, "categories": categories}
