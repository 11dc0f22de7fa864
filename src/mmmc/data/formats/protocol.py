"""What every format of a set offers, and the values that its reader makes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from mmmc.data.sets import CocoSet

FormatName = Literal["coco", "yolo", "voc"]

FOLDERS = {"train": ("train",), "val": ("val", "valid"), "test": ("test",)}
"""What the folder of a part is called, or its key in a file."""

PARTS = tuple(FOLDERS)


@dataclass(frozen=True)
class Source:
    """One part of a set.

    Attributes:
        format: what it is written in.
        part: train, val or test.
        annotations: COCO: the JSON file. YOLO: `data.yaml`. VOC: the folder of the XML files.
        images: the folder of the pictures; for YOLO the one that `data.yaml` starts from.
        listing: VOC: the file of `ImageSets` that names the part's pictures.
    """

    format: FormatName
    part: str
    annotations: Path
    images: Path
    listing: Path | None = None


@dataclass(frozen=True)
class Found:
    """A set that was recognised.

    Attributes:
        seen: what it was taken for, for a sentence.
        parts: those to train on first.
        left_out: why a part that is named is not among them.
    """

    seen: str
    parts: tuple[Source, ...]
    left_out: tuple[Flaw, ...] = ()

    def part(self, name: str) -> Source | None:
        """The part of this name, if the set has it."""
        return next((source for source in self.parts if source.part == name), None)


@dataclass(frozen=True)
class Flaw:
    """What a reader cannot take as it stands.

    Attributes:
        code: its kind, one of `mmmc.data.check.kinds`.
        file: where it stands.
        place: where in the file, such as `line 3`; empty when it is the file as a whole.
        value: what stands there.
        allowed: what may stand there.
    """

    code: str
    file: Path
    place: str
    value: str
    allowed: str

    def __str__(self) -> str:
        where = f"{self.file}, {self.place}" if self.place else str(self.file)
        return f"{where}: {self.value}"


@dataclass(frozen=True)
class RawPicture:
    """A picture as it is listed. The size is that of the annotation, of the header where that has none, or unknown."""

    name: str
    size: tuple[int, int] | None
    file: Path
    place: str = ""
    id: int | None = None


@dataclass(frozen=True)
class RawBox:
    """A box as it is written.

    Attributes:
        picture: place of its picture in the list.
        label: class index.
        xywh: in pixels, continuous; NaN where the numbers or the picture's size are unknown.
        file, place: where it stands.
        text: what stands there.
        shares: YOLO: its numbers lie in 0..1. Else true.
        crowd: a region of objects that are not told apart.
        id: COCO's.
        corners: YOLO: of the polygon that the row is; 0 of a box.
    """

    picture: int
    label: int
    xywh: tuple[float, float, float, float]
    file: Path
    place: str
    text: str
    shares: bool = True
    crowd: bool = False
    id: int | None = None
    corners: int = 0


@dataclass(frozen=True)
class Raw:
    """A part as it is written, with all that is wrong about how it is written. What boxes are worth is judged later."""

    source: Source
    names: tuple[str, ...]
    pictures: list[RawPicture]
    boxes: list[RawBox]
    ids: tuple[int, ...] = ()
    flaws: list[Flaw] = field(default_factory=list)
    notes: tuple[str, ...] = ()


class Format(Protocol):
    """A module of this package: how one format is recognised, read and written."""

    def look(self, path: Path) -> Found | None:
        """The set at this path, if it is one of this format."""

    def parse(self, source: Source) -> Raw:
        """A part as it is written; refuses nothing that can be named as a flaw."""

    def write(self, parts: dict[str, CocoSet], folder: Path) -> list[str]:
        """Write sets into an empty folder. Returns a sentence about each thing that the format cannot hold."""
