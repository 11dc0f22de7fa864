"""A copy of a set with smaller pictures, to carry to another machine or to read faster."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from PIL import Image, ImageOps

from mmmc.data.formats import look, read
from mmmc.data.sets import CocoSet
from mmmc.data.transforms import Resize
from mmmc.errors import InputError
from mmmc.files import write_atomically


def shrink(source: str | Path, out: str | Path, *, resize: Resize, quality: int = 92) -> list[CocoSet]:
    """Write the sets of a folder again with every picture brought to a size, as JPEG, and boxes and areas to match.

    Polygons and whatever else annotations hold is left out. Pictures that are smaller already are enlarged, as they
    would be in training.

    Args:
        source: a folder as `mmmc train` takes it.
        out: a folder that does not exist yet.
        resize: size of the pictures.
        quality: of the JPEG files.

    Returns:
        The sets that were read, training pictures first.

    Raises:
        InputError: the source cannot be used, or `out` exists.
    """
    out = Path(out)
    if out.exists():
        raise InputError(f"{out} exists already. Name a folder that does not.")
    parts = [part for part in look(source).parts if part.part != "test"]
    sets = [read(part) for part in parts]
    for part, pictures in zip(parts, sets, strict=True):
        content = pictures.to_coco()
        # A COCO file keeps its name, such as instances_train2017.json.
        stem = (
            pictures.annotations.stem
            if pictures.annotations.stem.startswith("instances_")
            else f"instances_{part.part}"
        )
        folder = out / "images" / stem.removeprefix("instances_")
        scales: dict[int, tuple[float, float]] = {}
        for index, image in enumerate(content["images"]):
            given = image["file_name"]
            # The ending stays in the name of what was no JPEG: a.png and a.jpg are two pictures.
            name = given if given.lower().endswith((".jpg", ".jpeg")) else f"{given}.jpg"
            height, width = resize.size(image["height"], image["width"])
            scales[image["id"]] = (width / image["width"], height / image["height"])
            with Image.open(pictures.file(index)) as picture:
                small = (
                    ImageOps.exif_transpose(picture).convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
                )
            write_atomically(folder / name, partial(small.save, format="JPEG", quality=quality))
            image.update(file_name=name, height=height, width=width)
        for annotation in content["annotations"]:
            across, down = scales[annotation["image_id"]]
            x, y, width, height = annotation["bbox"]
            annotation["bbox"] = [x * across, y * down, width * across, height * down]
            annotation["area"] *= across * down
        file = out / "annotations" / f"{stem}.json"
        write_atomically(file, partial(Path.write_text, data=json.dumps(content), encoding="utf-8"))
    return sets
