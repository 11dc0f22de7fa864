"""A copy of a set with smaller pictures, to carry to another machine or to read faster."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from mmmc.data.formats import FormatName, look, read
from mmmc.data.formats.files import cleaned, place_of
from mmmc.data.sets import CocoSet
from mmmc.data.transforms import Resize
from mmmc.errors import InputError
from mmmc.files import new_folder, write_atomically, write_text
from mmmc.rgb import read_rgb


def shrink(
    source: str | Path, out: str | Path, *, resize: Resize, quality: int = 92, format: FormatName | None = None
) -> list[CocoSet]:
    """Write the sets of a folder again with every picture brought to a size, as JPEG, and boxes and areas to match.

    Polygons and whatever else annotations hold is left out. Pictures that are smaller already are enlarged, as they
    would be in training.

    Args:
        source: a folder as `mmmc train` takes it.
        out: a new or an empty folder.
        resize: size of the pictures.
        quality: of the JPEG files.
        format: what the source is written in, instead of looking.

    Returns:
        The sets that were read, training pictures first.

    Raises:
        InputError: the source cannot be used, two pictures would have one name, or `out` holds something.
    """
    parts = look(source, format).parts
    sets = [read(part, require_objects=part.part != "test") for part in parts]
    with new_folder(Path(out)) as fresh:
        for part, pictures in zip(parts, sets, strict=True):
            # A COCO file keeps its name by which it is found again, such as instances_train2017.json.
            given, usual = pictures.annotations.stem, f"instances_{part.part}"
            stem = given if given.startswith(usual) else usual
            content = _write_pictures(
                cleaned(pictures), fresh / "images" / stem.removeprefix("instances_"), resize, quality
            )
            write_text(fresh / "annotations" / f"{stem}.json", json.dumps(content))
    return sets


def _write_pictures(pictures: CocoSet, folder: Path, resize: Resize, quality: int) -> dict[str, Any]:
    """Write the pictures of a part at their new size; return what COCO's file says of them."""
    content = pictures.to_coco()
    scales: dict[int, tuple[float, float]] = {}
    written: dict[str, str] = {}
    for index, image in enumerate(content["images"]):
        given = image["file_name"]
        # The ending stays in the name of what was no JPEG: a.png and a.jpg are two pictures.
        name = given if given.lower().endswith((".jpg", ".jpeg")) else f"{given}.jpg"
        other = written.setdefault(name, given)
        if other != given:
            raise InputError(
                f"{pictures.annotations}: {other} and {given} would both be written as {name}. Allowed: names that "
                "differ by more than this ending."
            )
        height, width = resize.size(image["height"], image["width"])
        scales[image["id"]] = (width / image["width"], height / image["height"])
        picture = Image.fromarray(read_rgb(pictures.file(index)))
        small = picture.resize((width, height), Image.Resampling.BILINEAR)
        write_atomically(place_of(pictures, name, folder), partial(small.save, format="JPEG", quality=quality))
        image.update(file_name=name, height=height, width=width)
    for annotation in content["annotations"]:
        across, down = scales[annotation["image_id"]]
        x, y, width, height = annotation["bbox"]
        annotation["bbox"] = [x * across, y * down, width * across, height * down]
        annotation["area"] *= across * down
    return content
