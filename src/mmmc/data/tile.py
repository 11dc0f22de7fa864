"""A set of large pictures as a set of their tiles, so that small objects keep their pixels in training."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float64, UInt8
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from mmmc.data.changes import changes, list_repairs
from mmmc.data.formats import FormatName, Found, look, read
from mmmc.data.formats.files import cleaned, place_of
from mmmc.data.pictures import read_picture
from mmmc.data.sets import CocoSet
from mmmc.data.tiling import Tiling, Window
from mmmc.errors import InputError
from mmmc.files import new_folder, write_atomically, write_text
from mmmc.rgb import of_any_size

_QUALITY = 95


@dataclass(frozen=True)
class Cut:
    """What becomes of boxes at the borders of tiles, and of tiles with nothing in them.

    Args:
        keep: least share of a box's area within a tile; with it the box is an object there, cut to the tile.
        rest: what is left of a box with a smaller share there: a `crowd` region, so that nothing is learned from it and
            a detection there counts neither way, or nothing, so that it is background.
        empty: keep tiles that show neither objects nor crowd regions.
    """

    keep: float = 0.5
    rest: Literal["crowd", "drop"] = "crowd"
    empty: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.keep <= 1:
            raise InputError(f"The share of a box to keep is {self.keep}; allowed: above 0, to 1.")


@dataclass(frozen=True)
class Tiled:
    """What was done with a part.

    Attributes:
        pictures: of the part.
        tiles: that were written.
        copied: those of them that are a whole picture, as it was.
        left_out: tiles with nothing in them, which were not written.
        objects: of the part.
        whole: boxes that a tile shows whole; a box may be in several tiles.
        cut: boxes that were cut and are objects.
        rest: boxes with a smaller share in a tile.
        nowhere: objects that no tile has as an object.
        changes: a sentence about each thing that was taken otherwise than it is written.
    """

    pictures: int = 0
    tiles: int = 0
    copied: int = 0
    left_out: int = 0
    objects: int = 0
    whole: int = 0
    cut: int = 0
    rest: int = 0
    nowhere: int = 0
    changes: tuple[str, ...] = ()

    def __add__(self, other: Tiled) -> Tiled:
        return Tiled(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))

    def notes(self, cut: Cut) -> list[str]:
        """A sentence about each thing that is not as it was."""
        rest = "crowd regions there" if cut.rest == "crowd" else "left out there"
        told = [
            (self.tiles, f"{self.pictures} pictures became {self.tiles} tiles"),
            (self.copied, f"{self.copied} of them are whole pictures, copied as they were"),
            (self.left_out, f"{self.left_out} tiles with nothing in them are left out"),
            (self.whole, f"of {self.objects} objects, tiles show {self.whole} times one whole"),
            (self.cut, f"{self.cut} times an object is cut to a share of at least {cut.keep:g} and stays one"),
            (self.rest, f"{self.rest} times an object has a smaller share in a tile; these are {rest}"),
            (self.nowhere, f"{self.nowhere} objects have a share of {cut.keep:g} in no tile"),
        ]
        return [*self.changes, *(sentence for count, sentence in told if count)]


@of_any_size()
def tile(
    path: Path | str,
    out: Path | str,
    *,
    tiling: Tiling,
    cut: Cut | None = None,
    format: FormatName | None = None,
    bad_boxes: Literal["error", "drop", "clip"] = "error",
    unlabelled: Literal["error", "background"] = "error",
) -> tuple[Found, dict[str, Tiled]]:
    """Write the tiles of a set's pictures with their boxes, as COCO JSON: all of it or nothing.

    A tile is named after its picture and its corner, `a-640-0.jpg`; its entry in the file says both, as `source` and
    `corner`. Tiles of a JPEG are JPEG of quality 95, others PNG of 8 bits. Areas shrink with their boxes. Pictures may
    have more pixels than Pillow allows.

    Args:
        path: as `look` takes it.
        out: a new or an empty folder.
        tiling: how pictures are cut.
        cut: what becomes of boxes at borders.
        format: what is read, instead of looking.
        bad_boxes, unlabelled: as in `read`.

    Returns:
        What was read, and what was done with each part.

    Raises:
        InputError: the set cannot be read, `out` holds something or cannot be written, or no tile would be left.
    """
    cut = Cut() if cut is None else cut
    found = look(path, format)
    sets = {
        source.part: read(source, bad_boxes=bad_boxes, unlabelled=unlabelled, require_objects=False)
        for source in found.parts
    }
    done = {}
    with new_folder(Path(out)) as fresh:
        for part, pictures in sets.items():
            writer = _Writer(cleaned(pictures), fresh / "images" / part)
            done[part] = sum(
                (_tile(writer, index, tiling, cut) for index in range(len(pictures))),
                Tiled(changes=tuple(changes(pictures))),
            )
            if not writer.images:
                raise InputError(f"{path}: no tile of {part} shows an object. Allowed then: to keep empty tiles.")
            text = json.dumps(writer.content(), ensure_ascii=False)
            write_text(fresh / "annotations" / f"instances_{part}.json", text)
        list_repairs(sets.values(), fresh)
    return found, done


def _tile(writer: _Writer, index: int, tiling: Tiling, cut: Cut) -> Tiled:
    """Write the tiles of a picture."""
    pictures = writer.pictures
    rows = slice(pictures.offsets[index], pictures.offsets[index + 1])
    windows = tiling.windows(*pictures.size(index))
    shares = shares_within(pictures.xywh[rows], windows)
    crowds = pictures.crowds[rows]
    objects = (shares >= cut.keep) & ~crowds
    rest = (shares > 0) & ~objects & ~crowds
    ignored = (shares > 0) & (crowds | (rest & (cut.rest == "crowd")))
    written = cut.empty | (objects | ignored).any(axis=1)
    for k in np.flatnonzero(written):
        writer.add(index, windows[k], shares[k], objects[k], ignored[k])
    return Tiled(
        pictures=1,
        tiles=int(written.sum()),
        copied=sum(is_whole(windows[k], pictures.size(index)) for k in np.flatnonzero(written)),
        left_out=int((~written).sum()),
        objects=int((~crowds).sum()),
        whole=int((objects & (shares == 1)).sum()),
        cut=int((objects & (shares < 1)).sum()),
        rest=int(rest.sum()),
        nowhere=int((~objects.any(axis=0) & ~crowds).sum()),
    )


def shares_within(xywh: Float64[np.ndarray, "M 4"], windows: Sequence[Window]) -> Float64[np.ndarray, "W M"]:
    """Share of each box's area that lies in each window; exactly 1 for a box that lies there whole."""
    corners, edges = corners_of(xywh), np.array(windows, dtype=np.float64)[:, None]
    shown = np.minimum(corners[:, 2:], edges[..., 2:]) - np.maximum(corners[:, :2], edges[..., :2])
    return shown.clip(min=0).prod(axis=2) / (corners[:, 2:] - corners[:, :2]).prod(axis=1)


def corners_of(xywh: Float64[np.ndarray, "M 4"]) -> Float64[np.ndarray, "M 4"]:
    """`x y width height` as `x1 y1 x2 y2`."""
    return np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)


def is_whole(window: Window, size: tuple[int, int]) -> bool:
    """Whether a window is all of a picture of this height and width."""
    return window == (0, 0, size[1], size[0])


class _Writer:
    """Writes the tiles of a part, and keeps what COCO's file says of them."""

    def __init__(self, pictures: CocoSet, folder: Path) -> None:
        self.pictures, self.folder = pictures, folder
        self.images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        self._names: set[str] = set()
        self._open: tuple[int, UInt8[Tensor, "3 H W"]] | None = None

    def content(self) -> dict[str, Any]:
        """COCO's three lists."""
        categories = self.pictures.to_coco()["categories"]
        return {"images": self.images, "annotations": self._annotations, "categories": categories}

    def add(
        self,
        index: int,
        window: Window,
        shares: Float64[np.ndarray, " M"],
        objects: Bool[np.ndarray, " M"],
        ignored: Bool[np.ndarray, " M"],
    ) -> None:
        """A tile of a picture, with those of its boxes that are objects there or to be ignored."""
        x1, y1, x2, y2 = window
        source = self.pictures.names[index]
        name = source if is_whole(window, self.pictures.size(index)) else tile_name(source, x1, y1)
        if name in self._names:
            raise InputError(
                f"{self.pictures.annotations}: two tiles would be {name}. Allowed: other names of pictures."
            )
        self._names.add(name)
        self._picture(index, window, place_of(self.pictures, name, self.folder))
        image = {"id": len(self.images) + 1, "file_name": name, "width": x2 - x1, "height": y2 - y1}
        self.images.append(image | {"source": source, "corner": [x1, y1]})
        first = self.pictures.offsets[index]
        corners = corners_of(self.pictures.xywh[first : first + len(shares)])
        low, high = corners[:, :2].clip((x1, y1), (x2, y2)), corners[:, 2:].clip((x1, y1), (x2, y2))
        xywh = np.concatenate([low - (x1, y1), high - low], axis=1)
        for k in np.flatnonzero(objects | ignored):
            self._annotations.append(
                {
                    "id": len(self._annotations) + 1,
                    "image_id": image["id"],
                    "category_id": self.pictures.categories.ids[self.pictures.labels[first + k]],
                    "bbox": xywh[k].tolist(),
                    "area": float(self.pictures.areas[first + k] * shares[k]),
                    "iscrowd": int(ignored[k]),
                }
            )

    def _picture(self, index: int, window: Window, target: Path) -> None:
        """Copy or cut the file of a picture, which is decoded once for all of its tiles."""
        file = self.pictures.file(index)
        if is_whole(window, self.pictures.size(index)):
            write_atomically(target, lambda beside: shutil.copyfile(file, beside))
            return
        if self._open is None or self._open[0] != index:
            self._open = (index, read_picture(file))
        x1, y1, x2, y2 = window
        tile = F.to_pil_image(self._open[1][:, y1:y2, x1:x2])
        options = {"format": "JPEG", "quality": _QUALITY} if is_jpeg(target.name) else {"format": "PNG"}
        write_atomically(target, lambda beside: tile.save(beside, **options))


def tile_name(source: str, x: int, y: int) -> str:
    """The name of a tile: of `a.jpg` at 640, 0 `a-640-0.jpg`; of `a.tif`, beside which may be an `a.png`,
    `a.tif-640-0.png`."""
    file = Path(source)
    if is_jpeg(source) or file.suffix.lower() == ".png":
        return file.with_name(f"{file.stem}-{x}-{y}{file.suffix}").as_posix()
    return file.with_name(f"{file.name}-{x}-{y}.png").as_posix()


def is_jpeg(name: str) -> bool:
    """Whether the ending is that of a JPEG."""
    return name.lower().endswith((".jpg", ".jpeg"))
