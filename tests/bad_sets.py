"""Sets that cannot be used."""

from __future__ import annotations

from bad_inputs import (
    PICTURE,
    TRAIN,
    VAL,
    Case,
    box,
    coco,
    first,
    gone,
    text,
    twice,
    yolo,
)
from PIL import Image

CASES = {
    # Files of the set
    "folder missing": Case("train {at}/no", "{at}/no: there is no such folder … Allowed: a folder with annotations"),
    "folder is a file": Case("train {at}/a", "{at}/a: there is no such folder", text("a", "")),
    "no annotations": Case("train {data}", "{data}: looked for … or train.json, found", gone(TRAIN)),
    "nothing to train on": Case("train", "name a folder of data, or both data.train_annotations and"),
    "data named twice": Case("train {data} --data.path {data}", "named twice: {data} and data.path {data}"),
    "named file missing": Case(
        "train {data} --data.train_annotations {at}/no.json", "{at}/no.json: there is no such file"
    ),
    "nothing to score": Case("train {data}", "no pictures to score … data split … --data.holdout 0.2", gone(VAL)),
    "JSON broken": Case("train {data}", "{at}/" + TRAIN + ": broken JSON at line 2, column 2", text(TRAIN, "{\n x")),
    "not COCO": Case("train {data}", TRAIN + ": the top level is [1] … Allowed: an object", text(TRAIN, "[1]")),
    "list missing": Case("train {data}", "field images is missing. Allowed: a list", coco(lambda c: c.pop("images"))),
    "key missing": Case(
        "train {data}",
        TRAIN + ": wrong bbox. Allowed: four numbers … annotation 1 (image 1): bbox is missing",
        coco(lambda c: c["annotations"][0].pop("bbox")),
    ),
    "text for number": Case("train {data}", "wrong width. Allowed: an integer … is \"8\"", first("images", width="8")),
    # Ids
    "unknown category": Case(
        "train {data}", "wrong category_id. Allowed: the id of a category … annotation 1 … is 77",
        first("annotations", category_id=77),
    ),
    "unknown picture": Case("train {data}", "wrong image_id … annotation 1 … is 99", first("annotations", image_id=99)),
    "picture id twice": Case("train {data}", "wrong id … image 1: id is 1", twice("images")),
    "annotation id twice": Case("train {data}", "wrong id … no other annotation has", twice("annotations")),
    "category id twice": Case("train {data}", "wrong id … no other category has", twice("categories")),
    "train and val disagree": Case(
        "train {data}", VAL + ": categories disagree with {at}/" + TRAIN + " … not in train: 'cat'",
        first("categories", "val", name="cat"),
    ),
    # Boxes
    "box NaN": Case("train {data}", "bbox is [NaN, 1, 5, 5]: not four finite numbers", box(float("nan"), 1, 5, 5)),
    "box negative": Case("train {data}", "bbox is [-9, 1, 20, 5]: reaches outside the picture", box(-9, 1, 20, 5)),
    "box inverted": Case("train {data}", "bbox is [9, 9, -5, 5]: without area", box(9, 9, -5, 5)),
    "box empty": Case("train {data}", "above 0 … data check … bad_boxes … is [9, 9, 0, 5]", box(9, 9, 0, 5)),
    "box outside": Case("train {data}", "bbox is [70, 9, 5, 5]: outside the picture of 64 × 64", box(70, 9, 5, 5)),
    "no object": Case("train {data}", TRAIN + ": no object to train on", coco(lambda c: c.update(annotations=[]))),
    # Pictures
    "picture missing": Case("train {data}", "{at}/" + PICTURE + ": the file is missing", gone(PICTURE)),
    "picture of another size": Case(
        "train {data}", PICTURE + ": the JSON says width 64, height 64; the picture has width 32, height 16",
        lambda at: Image.new("RGB", (32, 16)).save(at / PICTURE),
    ),
    "not a picture": Case("train {data}", PICTURE + ": not a picture", text(PICTURE, "hello")),
    # Other formats
    "format unknown": Case("train {data} --data.format tfrecord", "data.format: 'tfrecord' … 'coco', 'yolo', 'voc'"),
    "format not there": Case("train {data} --data.format voc", "{data}: nothing to read as voc; looked for"),
    "two formats": Case(
        "train {data}", "can be read as coco: COCO JSON … yolo: YOLO … Say which by option format=coco|yolo",
        text("data/data.yaml", "train: images\nnames: [a]"),
    ),
    "yolo: no labels": Case(
        "train {at}/y/data.yaml", "there is no {at}/y/labels/x.txt. Allowed: a label file for every picture", yolo()
    ),
    "yolo: columns": Case(
        "train {at}/y", "{at}/y/labels/x.txt, line 1: `0 1 1` has 3 columns. Allowed: a row `class x y", yolo("0 1 1")
    ),
    "yolo: box": Case(
        "train {at}/y", "wrong boxes … data check … x.txt, line 1: `0 9 1 1 1`: numbers outside", yolo("0 9 1 1 1")
    ),
    "yolo: no val": Case("train {at}/y", "{at}/y has no pictures to score", yolo("0 .5 .5 .5 .5")),
    "eval: two sets": Case("eval {run} --data {data} --annotations {at}/x", "--data and --annotations both name a set"),
    "eval: other names": Case(
        "eval {run} --data {at}/y", "categories disagree with the trained detector … not in train: 'a'",
        yolo("0 .5 .5 .5 .5", "val: images\n"),
    ),
    "convert: out exists": Case("data convert {data} --to yolo --out {at}", "{at} exists already. Allowed: a new or"),
    "convert: to what": Case("data convert {data} --to csv --out {at}/o", "--to … 'csv' … 'coco', 'yolo', 'voc'"),
    "tile: share": Case("data tile {data} --out {at}/o --keep 0", "share of a box to keep is 0.0; allowed: above 0"),
    "tile: size": Case("data tile {data} --out {at}/o --size 8", "tile is 8 pixels wide; allowed: at least 32"),
    "tile: out exists": Case("data tile {data} --out {at}", "{at} exists already. Allowed: a new or"),
    "split: share": Case("data split {data} --val 2", "--val is 2.0; allowed: a number between 0 and 1"),
    "split: groups": Case("data split {data} --group-by (", "--group-by is '(', no regular expression"),
    "stats: recipe": Case("data stats {data} --recipe smal", "no recipe 'smal'"),
    "check: format": Case(
        "data check {data} --format csv", "--format: invalid choice: 'csv' (choose from 'coco', 'yolo', 'voc')"
    ),
    "eval: format": Case(
        "eval {run} --data {data} --format csv", "--format: invalid choice: 'csv' (choose from 'coco', 'yolo', 'voc')"
    ),
    "convert: no labels": Case(
        "data convert {at}/y --to coco --out {at}/o", "there is nothing, or option unlabelled=background", yolo()
    ),
    "check: nothing": Case("data check {at}/no", "{at}/no: there is no such folder"),
}  # fmt: skip
