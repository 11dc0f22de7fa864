"""What an exported file says of itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from mmmc.errors import InputError

FORMAT = "mmmc export 1"
"""Mark of our own files; the number grows when what goes in or comes out changes its meaning."""


@dataclass(frozen=True)
class Description:
    """Classes, sizes and thresholds that are built into a file, and where it comes from.

    Attributes:
        names: of the classes, by their index.
        ids: COCO's category id of each class.
        short, long: pictures are resized to so many pixels of their shorter side, at most so many of the longer one.
        score: `quality` or `class`, as in `mmmc.postprocess`; so are the next four.
        threshold: least class probability.
        per_level: candidates of each level.
        nms: IoU above which the lower-scored box of a class goes.
        detections: most boxes of a picture.
        license: of the weights, as their owner named it.
        recipe: hash of the recipe that trained them.
        version: of mmmc.
        best: of each class the score threshold of its best F1 on the pictures that the file was compared on, 0.5 where
            nothing of it was found; empty where it was compared on none.
    """

    names: tuple[str, ...]
    ids: tuple[int, ...]
    short: int
    long: int
    score: str
    threshold: float
    per_level: int
    nms: float
    detections: int
    license: str
    recipe: str
    version: str
    best: tuple[float, ...] = ()

    def to_strings(self) -> dict[str, str]:
        """As a file holds it: text as it is, all else as JSON."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {"format": FORMAT} | {
            name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for name, value in values.items()
        }

    @classmethod
    def from_strings(cls, said: Mapping[str, str], path: object) -> Description:
        """What `to_strings` gave.

        Raises:
            InputError: the file at `path` was not written by `mmmc export`, or by another version's.
        """
        if said.get("format") != FORMAT:
            found = said.get("format", "no mark")
            raise InputError(f"{path} was not written by mmmc export: its format is {found!r}; allowed: {FORMAT!r}.")
        values: dict[str, Any] = {
            field.name: said[field.name] if field.type == "str" else json.loads(said[field.name])
            for field in fields(cls)
            if field.name in said
        }
        lists: dict[str, Any] = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return cls(**(values | lists))
