"""One small set in every format."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from PIL import Image

NAMES = ("dog", "cat")
BOXES = {"a": [(0, (2, 3, 12, 9)), (1, (0, 0, 40, 20))], "b": []}
"""By picture of 40 × 20 px: class index and corners, first and last edge in continuous pixels."""


def picture(file: Path, size: tuple[int, int] = (40, 20)) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(file)


def yolo_row(label: int, corners: tuple[int, ...]) -> str:
    x1, y1, x2, y2 = corners
    return f"{label} {(x1 + x2) / 80} {(y1 + y2) / 40} {(x2 - x1) / 40} {(y2 - y1) / 20}\n"


def voc_object(name: str, corners: tuple[int, ...]) -> str:
    x1, y1, x2, y2 = corners
    sides = {"xmin": x1 + 1, "ymin": y1 + 1, "xmax": x2, "ymax": y2}
    box = "".join(f"<{side}>{value}</{side}>" for side, value in sides.items())
    return f"<object><name>{name}</name><difficult>0</difficult><bndbox>{box}</bndbox></object>"


def voc(stem: str, objects: str) -> str:
    size = "<size><width>40</width><height>20</height><depth>3</depth></size>"
    return f"<annotation><filename>{stem}.png</filename>{size}{objects}</annotation>"


def coco(images: list[str]) -> str:
    rows = [
        {"id": 10 * k + n, "image_id": k, "category_id": label, "bbox": [x1, y1, x2 - x1, y2 - y1]}
        for k, stem in enumerate(images)
        for n, (label, (x1, y1, x2, y2)) in enumerate(BOXES[stem])
    ]
    pictures = [{"id": k, "file_name": f"{stem}.png", "width": 40, "height": 20} for k, stem in enumerate(images)]
    categories = [{"id": k, "name": name} for k, name in enumerate(NAMES)]
    return json.dumps({"images": pictures, "annotations": rows, "categories": categories})


def put(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")


def yolo_set(folder: Path) -> None:
    for part in ("train", "val"):
        for stem, boxes in BOXES.items():
            picture(folder / f"images/{part}/{stem}.png")
            put(folder, f"labels/{part}/{stem}.txt", "".join(yolo_row(*box) for box in boxes))
    put(folder, "data.yaml", f"train: images/train\nval: images/val\nnc: 2\nnames: {list(NAMES)}\n")


def voc_set(folder: Path) -> None:
    for stem, boxes in BOXES.items():
        picture(folder / f"JPEGImages/{stem}.png")
        put(folder, f"Annotations/{stem}.xml", voc(stem, "".join(voc_object(NAMES[k], c) for k, c in boxes)))
    for part in ("train", "val"):
        put(folder, f"ImageSets/Main/{part}.txt", "a\nb\n")


def labelled_set(folder: Path, beside: bool = False) -> None:
    """As labelling tools write one: no `data.yaml`, and a list of classes with a line for each."""
    for stem, boxes in BOXES.items():
        picture(folder / ("" if beside else "images") / f"{stem}.png")
        put(folder, f"{'' if beside else 'labels/'}{stem}.txt", "".join(yolo_row(*box) for box in boxes))
    put(folder, "classes.txt" if beside else "labels/classes.txt", "dog\ncat\n\n")


def xml_set(folder: Path, annotations: str, images: str) -> None:
    for stem, boxes in BOXES.items():
        picture(folder / images / f"{stem}.png")
        put(folder, f"{annotations}/{stem}.xml", voc(stem, "".join(voc_object(NAMES[k], c) for k, c in boxes)))


def coco_set(folder: Path) -> None:
    for stem in BOXES:
        picture(folder / f"images/{stem}.png")
    for part in ("train", "val"):
        put(folder, f"annotations/instances_{part}.json", coco(["a", "b"]))


def roboflow(kind: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        for part in ("train", "valid", "test"):
            for stem, boxes in BOXES.items():
                inside = "images/" if kind == "yolo" else ""
                picture(folder / part / f"{inside}{stem}.png")
                if kind == "yolo":
                    put(folder, f"{part}/labels/{stem}.txt", "".join(yolo_row(*box) for box in boxes))
                if kind == "voc":
                    objects = "".join(voc_object(NAMES[k], c) for k, c in boxes)
                    put(folder, f"{part}/{stem}.xml", voc(stem, objects))
            if kind == "coco":
                put(folder, f"{part}/_annotations.coco.json", coco(["a", "b"]))
        if kind == "yolo":
            paths = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n"
            put(folder, "data.yaml", f"{paths}nc: 2\nnames: ['dog', 'cat']\nroboflow:\n  version: 1\n")

    return make


SETS: dict[str, tuple[Callable[[Path], object], str]] = {
    "coco": (coco_set, "COCO JSON (annotations/instances_train.json, annotations/instances_val.json)"),
    "yolo": (yolo_set, "YOLO (data.yaml; train: images/train, val: images/val)"),
    "voc": (voc_set, "Pascal VOC (ImageSets/Main/train.txt, ImageSets/Main/val.txt)"),
    "yolo, parts in folders": (
        lambda folder: (yolo_set(folder), (folder / "data.yaml").unlink(), put(folder, "classes.txt", "dog\ncat\n")),
        "YOLO (classes.txt; train: images/train, val: images/val)",
    ),
    "yolo, dataset.yaml": (
        lambda folder: (yolo_set(folder), (folder / "data.yaml").rename(folder / "dataset.yaml")),
        "YOLO (dataset.yaml; train: images/train, val: images/val)",
    ),
    "yolo, classes.txt": (labelled_set, "YOLO (classes.txt; train: images)"),
    "yolo, one folder": (lambda folder: labelled_set(folder, beside=True), "YOLO (classes.txt; train: .)"),
    "voc, small letters": (
        lambda folder: xml_set(folder, "annotations", "images"),
        "Pascal VOC (annotations, without ImageSets: all pictures are to train on)",
    ),
    "voc, one folder": (
        lambda folder: xml_set(folder, ".", "."),
        "Pascal VOC (XML files beside their pictures: all pictures are to train on)",
    ),
    "roboflow coco": (roboflow("coco"), "a Roboflow export, COCO JSON (train/, valid/, test/)"),
    "roboflow yolo": (roboflow("yolo"), "a Roboflow export, YOLO (data.yaml; train: ../train/images"),
    "roboflow voc": (roboflow("voc"), "a Roboflow export, Pascal VOC (train/, valid/, test/)"),
}
