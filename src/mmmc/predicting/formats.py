"""What was found as files: our JSON, COCO's, YOLO's, a table."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Literal

from mmmc.data.sets import Categories
from mmmc.evaluate import to_results, write_results
from mmmc.files import write_text
from mmmc.structures import Detections

Format = Literal["json", "coco", "yolo", "csv"]


@dataclass(frozen=True)
class Found:
    """What was found in one picture or frame.

    Attributes:
        file: the source as it was given.
        name: what files about this picture are called, without an ending; no two are alike. A frame's is in a folder.
        size: height and width.
        detections: in its pixels; `image_id` counts pictures and frames from 0.
        copy: annotated picture or video, below the folder of results.
        frame: of a video: its number, from 0.
        time: of a video: seconds since its first frame.
    """

    file: str
    name: str
    size: tuple[int, int]
    detections: Detections
    copy: str | None = None
    frame: int | None = None
    time: float | None = None

    @property
    def place(self) -> dict[str, Any]:
        """Frame and time of a frame; nothing for a picture."""
        return {} if self.frame is None or self.time is None else {"frame": self.frame, "time": round(self.time, 4)}


def write_found(
    out: Path,
    format: Format,
    found: Sequence[Found],
    categories: Categories,
    failed: dict[str, str],
    confidence: bool = False,
) -> None:
    """Write detections into a folder, each file whole or not at all.

    - `json`: `detections.json` with `categories`, `pictures` (`file`, `frame` and `time`, `copy`, `objects` with
      `class`, `score` and `box` as `x1 y1 x2 y2`), and `failed`, if anything did.
    - `coco`: `results.json`, a list as COCO's tools load it, and `images.json` with the `images` and `categories`
      whose ids it uses.
    - `yolo`: `labels/NAME.txt` of each picture, one line `class x y width height` for each object, centre and sides
      as shares of the picture; `classes.txt` names the classes. A picture without objects has an empty file.
    - `csv`: `detections.csv`, a line for each object.

    Args:
        out: the folder.
        format: one of the four.
        found: of every picture.
        categories: of the detector.
        failed: what is wrong with each source that could not be used.
        confidence: end YOLO's lines with the score.

    Raises:
        InputError: a file cannot be written.
    """
    match format:
        case "json":
            content: dict[str, Any] = {
                "categories": list(categories.names),
                "pictures": [_entry(one, categories) for one in found],
            }
            if failed:
                content["failed"] = [{"file": file, "error": error} for file, error in failed.items()]
            _write(out / "detections.json", json.dumps(content, indent=1) + "\n")
        case "coco":
            write_results(out / "results.json", to_results([one.detections for one in found], categories.ids))
            _write(out / "images.json", json.dumps(_coco(found, categories), indent=1) + "\n")
        case "yolo":
            for one in found:
                _write(out / "labels" / f"{one.name}.txt", _yolo(one, confidence))
            _write(out / "classes.txt", "".join(f"{name}\n" for name in categories.names))
            # Of two pictures with one name the labels of one have a number.
            _write(
                out / "pictures.csv", _table(("labels", "picture"), ((f"{one.name}.txt", one.file) for one in found))
            )
        case "csv":
            _write(out / "detections.csv", _csv(found, categories))


def _write(path: Path, text: str) -> None:
    # As it stands: csv ends its lines by itself.
    write_text(path, text, newline="")


def _entry(one: Found, categories: Categories) -> dict[str, Any]:
    found = one.detections
    objects = [
        {"class": categories.names[label], "score": round(score, 4), "box": [round(v, 2) for v in box]}
        for label, score, box in zip(found.labels.tolist(), found.scores.tolist(), found.boxes.tolist(), strict=True)
    ]
    return {"file": one.file, **one.place, **({"copy": one.copy} if one.copy else {}), "objects": objects}


def _coco(found: Sequence[Found], categories: Categories) -> dict[str, Any]:
    return {
        "images": [
            {
                "id": one.detections.image_id,
                "file_name": one.file,
                "height": one.size[0],
                "width": one.size[1],
                **one.place,
            }
            for one in found
        ],
        "categories": [{"id": id, "name": name} for id, name in zip(categories.ids, categories.names, strict=True)],
    }


def _yolo(one: Found, confidence: bool) -> str:
    height, width = one.size
    lines = []
    found = one.detections
    for label, score, box in zip(found.labels.tolist(), found.scores.tolist(), found.boxes.tolist(), strict=True):
        x1, y1, x2, y2 = box
        shares = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
        numbers = [f"{share:.6f}" for share in shares] + ([f"{score:.4f}"] if confidence else [])
        lines.append(" ".join([str(label), *numbers]) + "\n")
    return "".join(lines)


def _csv(found: Sequence[Found], categories: Categories) -> str:
    entries = [_entry(one, categories) for one in found]
    rows = (
        (entry["file"], entry.get("frame", ""), entry.get("time", ""), each["class"], each["score"], *each["box"])
        for entry in entries
        for each in entry["objects"]
    )
    return _table(("file", "frame", "time", "class", "score", "x1", "y1", "x2", "y2"), rows)


def _table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = StringIO()
    csv.writer(text).writerows((titles, *rows))
    return text.getvalue()
