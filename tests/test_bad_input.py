"""Bad input ends with status 2 and a message: file, field, value, what is allowed. Nothing stays behind."""

from __future__ import annotations

import errno
import json
import os
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from tiny_run import TINY

from mmmc import checkpoint
from mmmc.cli import main

Spoil = Callable[[Path], object]
"""What is done to the case's folder before; `data/` in it is a set without faults."""


class Case(NamedTuple):
    """A command line, what its message says (parts in this order, with … between), what was spoiled before."""

    line: str
    says: str
    spoil: Spoil = lambda _: None
    also: Spoil = lambda _: None


class Payload:
    """Unpickling it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def coco(change: Callable[[dict[str, Any]], object], split: str = "train") -> Spoil:
    """Change the content of an annotation file."""

    def spoil(at: Path) -> None:
        file = at / f"data/annotations/instances_{split}.json"
        content = json.loads(file.read_text())
        change(content)
        file.write_text(json.dumps(content))

    return spoil


def first(kind: str, split: str = "train", **fields: Any) -> Spoil:
    """Change fields of the first entry of a list."""
    return coco(lambda content: content[kind][0].update(fields), split)


def box(*xywh: float) -> Spoil:
    return first("annotations", bbox=xywh)


def twice(kind: str) -> Spoil:
    """Give the second entry of a list the id of the first."""
    return coco(lambda content: content[kind][1].update(id=content[kind][0]["id"]))


def text(name: str, content: str) -> Spoil:
    return lambda at: (at / name).write_text(content)


def gone(name: str) -> Spoil:
    return lambda at: (at / name).unlink()


def results(*changes: dict[str, Any], name: str = "r") -> Spoil:
    """Write COCO results: a detection for each change, one without."""
    row = {"image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5], "score": 0.5}
    return text(f"{name}.json", json.dumps([row | change for change in changes or ({},)]))


def yolo(row: str | None = None, more: str = "") -> Spoil:
    """Write a YOLO set of one picture in `y`, with a label file if there is a row for it."""

    def spoil(at: Path) -> None:
        (at / "y/images").mkdir(parents=True)
        (at / "y/labels").mkdir()
        Image.new("RGB", (64, 64)).save(at / "y/images/x.png")
        (at / "y/data.yaml").write_text(f"train: images\n{more}names: [a]\n")
        if row is not None:
            (at / "y/labels/x.txt").write_text(row)

    return spoil


TRAIN, VAL = "data/annotations/instances_train.json", "data/annotations/instances_val.json"
PICTURE = "data/images/train_00003.png"
FILES = "diagnose --detections {at}/r.json --annotations {at}/" + VAL
NO_SCORE = '[{"image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5]}]'
NO_OBJECT = coco(lambda content: content.update(annotations=[]), "val")
A_PLAN = "{data: x, recipe: small, records: r.jsonl, seeds: [0], variants: {fcos: {}}}"

CASES = {
    # Files of the set
    "folder missing": Case("train {at}/no", "{at}/no: there is no such folder … Allowed: a folder with annotations"),
    "folder is a file": Case("train {at}/a", "{at}/a: there is no such folder", text("a", "")),
    "no annotations": Case("train {data}", "{data}: looked for annotations/instances_train*.json, found", gone(TRAIN)),
    "nothing to train on": Case("train", "name a folder of data, or both data.train_annotations and"),
    "data named twice": Case("train {data} --data.path {data}", "named twice: {data} and data.path {data}"),
    "named file missing": Case(
        "train {data} --data.train_annotations {at}/no.json", "{at}/no.json: there is no such file"
    ),
    "nothing to score": Case("train {data}", "{data} has no pictures to score … --data.holdout 0.2", gone(VAL)),
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
    "box empty": Case("train {data}", "width and height above 0 … bad_boxes=drop … is [9, 9, 0, 5]", box(9, 9, 0, 5)),
    "box outside": Case("train {data}", "bbox is [70, 9, 5, 5]: outside the picture of 64 × 64", box(70, 9, 5, 5)),
    "no object": Case("train {data}", TRAIN + ": no object to train on", coco(lambda c: c.update(annotations=[]))),
    # Pictures
    "picture missing": Case("train {data}", "{at}/" + PICTURE + ": the file is missing", gone(PICTURE)),
    "picture of another size": Case(
        "train {data}", PICTURE + ": the JSON says width 64, height 64; the picture has width 32, height 16",
        lambda at: Image.new("RGB", (32, 16)).save(at / PICTURE),
    ),
    "not a picture": Case("train {data}", PICTURE + ": not a picture", text(PICTURE, "hello")),
    # Commands and options
    "unknown command": Case("trian", "no command 'trian'. Did you mean 'train'? Allowed: assigners, compare, data"),
    "unknown action": Case("data mak {at}/new", "no command 'data mak'. Did you mean 'make'?"),
    "unknown flag": Case("train {data} --recpie small", "--recpie … Did you mean 'recipe'? Allowed: accelerator"),
    "unknown flag of predict": Case("predict {run} {data} --treshold 1", "Did you mean 'threshold'?"),
    "unknown option": Case("train {data} --train.epoch 3", "--train.epoch … Did you mean 'train.epochs'?"),
    "option without section": Case("train {data} --epochs 3", "--epochs … Did you mean 'train.epochs'?"),
    "unknown section": Case("train {data} --trian.epochs 3", "--trian.epochs … Did you mean 'train.epochs'?"),
    "unknown option of a class": Case("train {data} --assigner.range 3", "'range' … Did you mean 'range_strides'?"),
    "no class": Case("train {data} --assigner nope.X", "assigner … nope"),
    "wrong type": Case("train {data} --train.epochs many", "train.epochs … int … many"),
    "not one of the choices": Case("train {data} --optimizer.kind adam", "optimizer.kind … 'sgd', 'adamw' … adam"),
    "unknown logger": Case("train {data} --train.loggers [paper]", "train.loggers … 'tensorboard' … paper"),
    "no epoch": Case("train {data} --train.epochs 0", "train.epochs is 0; allowed: at least 1"),
    "learning rate": Case("train {data} --optimizer.lr -1", "optimizer.lr is -1.0; allowed: a finite number above 0"),
    "suppression": Case("train {data} --postprocess.nms 1.5", "postprocess.nms is 1.5; allowed: 0 to 1"),
    "flip": Case("train {data} --augmentation.flip 2", "flip = 2.0 cannot be used. Allowed: 0..1"),
    "size": Case("train {data} --resize.short 0", "short = 0 cannot be used. Allowed: at least 1"),
    "assigner": Case("train {data} --assigner.center_radius 0", "center_radius is 0.0; allowed: a number above 0"),
    "criterion": Case("train {data} --criterion.alpha 2", "alpha is 2.0; allowed: 0 to 1"),
    "groups": Case("train {data} --model.groups 5", "model.channels is 16; allowed: a multiple of model.groups = 5"),
    "unknown backbone": Case("train {data} --model.backbone resnet81", "'resnet81' … Did you mean 'resnet18'?"),
    "backbone without maps": Case("train {data} --model.backbone test_vit", "maps at strides [16, 16, 16]; needed: [8"),
    "weights not here": Case("train {data} --model.weights {at}/no.pth", "model.weights is '{at}/no.pth'; allowed"),
    "batch not dealt": Case("train {data} --train.accumulate 3", "batch_size = 4 … Allowed: a multiple of 3"),
    "no time": Case("train {data} --time soon", "--time is 'soon'; allowed: a number above 0 with s, m or h"),
    "too little time": Case("train {data} --time 0.01s", "too short … Allow more time"),
    "devices": Case("train {data} --devices none", "--devices is 'none'; allowed: auto, or a number"),
    "nodes": Case("train {data} --nodes 0", "nodes 0"),
    # Recipes
    "unknown recipe": Case("train {data} --recipe smal", "no recipe 'smal'. Did you mean 'small'? … .yaml file"),
    "recipe missing": Case("train {data} --recipe {at}/no.yaml", "{at}/no.yaml cannot be read: No such file"),
    "recipe no YAML": Case("recipes {at}/r.yaml", "{at}/r.yaml is not YAML … line 1, column 5", text("r.yaml", "a: [")),
    "recipe no mapping": Case("recipes {at}/r.yaml", "{at}/r.yaml: a recipe is a mapping", text("r.yaml", "- 1")),
    "recipe's section": Case(
        "recipes {at}/r.yaml", "{at}/r.yaml: … no section 'modell'. Did you mean 'model'?", text("r.yaml", "modell: {}")
    ),
    "recipe's option": Case(
        "recipes {at}/r.yaml", "/r.yaml: … 'chanels'. Did you mean 'channels'?", text("r.yaml", "model: {chanels: 3}")
    ),
    "recipe's type": Case("recipes {at}/r.yaml", "model.depth … int … deep", text("r.yaml", "model: {depth: deep}")),
    "recipe's base": Case("recipes {at}/r.yaml", "no recipe 'smal'", text("r.yaml", "base: smal")),
    # Run folders
    "another run there": Case("train {data} --out {run}", "{run} holds another run … or go on with a run by --resume"),
    "something else there": Case("train {data} --out {data}", "{data} holds something else. Name a new folder"),
    "out is a file": Case("train {data} --out {at}/a", "{at}/a holds something else", text("a", "")),
    "out below a file": Case("train {data} --out {at}/a/b", "{at}/a/b cannot be made", text("a", "")),
    "resume: finished": Case("train --resume {run}", "{run} is finished; there is nothing to resume"),
    "resume: no run": Case("train --resume {data}", "{data} holds no run: there is no recipe.yaml in it"),
    "resume: options": Case("train --resume {run} --train.epochs 9", "--train.epochs cannot be given with it; allowed"),
    "init: missing": Case("train {data} --init {at}/no.pth", "no checkpoint {at}/no.pth"),
    "init: no run": Case("train {data} --init {data}", "no weights file {data}/best.safetensors"),
    "init: text": Case("train {data} --init {at}/a.pth", "{at}/a.pth is no checkpoint", text("a.pth", "hello")),
    "init: other tensors": Case(
        "train {data} --init {at}/a.pth", "{at}/a.pth: 'x' is no tensor of torchvision's FCOS",
        lambda at: torch.save({"x": torch.zeros(1)}, at / "a.pth"),
    ),
    "init: other model": Case("train {data} --init {run} --model.channels 32", "best.safetensors does not fit"),
    "init: payload": Case(
        "train {data} --init {at}/a.pth", "{at}/a.pth is no checkpoint that can be read safely",
        lambda at: (at / "a.pth").write_bytes(pickle.dumps(Payload(at / "executed"), protocol=2)),
    ),
    # Prediction
    "run missing": Case("predict {at}/no {data}", "no weights file {at}/no"),
    "run not finished": Case("predict {data} {data}", "{data} is no finished run: it holds no best.safetensors"),
    "weights: foreign": Case(
        "predict {at}/w.safetensors {data}", "{at}/w.safetensors was not written by mmmc … allowed: 'mmmc 1'",
        lambda at: save_file({"x": torch.zeros(1)}, at / "w.safetensors"),
    ),
    "weights: payload": Case(
        "predict {at}/w.safetensors {data}", "{at}/w.safetensors is no safetensors file",
        lambda at: (at / "w.safetensors").write_bytes(pickle.dumps(Payload(at / "executed"))),
    ),
    "weights: checkpoint": Case("predict {run}/checkpoint.pt {data}", "checkpoint.pt is no safetensors file"),
    "picture not there": Case("predict {run} {at}/no.png", "{at}/no.png leads to nothing. Allowed: pictures, folders"),
    "folder without pictures": Case("predict {run} {data}/annotations", "annotations is a folder without pictures"),
    "glob without match": Case("predict {run} {data}/images/*.gif", "images/*.gif leads to nothing"),
    "a text to predict": Case("predict {run} {at}/" + TRAIN, TRAIN + ": not a picture"),
    "threshold too high": Case("predict {run} {data} --threshold 1.5", "--threshold is '1.5'; allowed: 0 to 1, or f1"),
    "threshold no number": Case("predict {run} {data} --threshold abc", "--threshold is 'abc'; allowed"),
    "no such device": Case("predict {run} {data} --device gpu7", "--device is 'gpu7', which cannot be used here"),
    "copies over originals": Case(
        "predict {run} {at}/x.jpg --out {at}", "copy of {at}/x.jpg would overwrite the picture",
        lambda at: Image.new("RGB", (64, 64)).save(at / "x.jpg"),
    ),
    "predictions into a file": Case("predict {run} {data}/images --out {at}/a", "{at}/a", text("a", "")),
    # Scores, pictures, records
    "categories of another set": Case(
        "eval {run} --annotations {at}/" + VAL + " --images {data}/images",
        VAL + ": categories disagree with the trained detector … 'cat'", first("categories", "val", name="cat"),
    ),
    "which weights": Case("eval {run} --weights first", "--weights … 'first' … 'best', 'last'"),
    "no batch": Case("eval {run} --batch_size 0", "batch_size = 0 cannot be used. Allowed: 1 or more"),
    "results below a file": Case("eval {run} --results {at}/a/r.json", "r.json could not be written", text("a", "")),
    "picture not in the set": Case("show {run} val_99.png", "no picture 'val_99.png' among its 4. Did you mean"),
    "unknown kind": Case("show {run} --kinds lables", "'lables'. Did you mean 'labels'?"),
    # Diagnosis
    "diagnose: nothing": Case("diagnose", "A run and --detections: neither is given; allowed: one of them"),
    "diagnose: both": Case("diagnose {run} --detections {at}/r.json", "both are given; allowed: one of them"),
    "diagnose: no annotations": Case("diagnose --detections {at}/r.json", "--detections needs --annotations"),
    "diagnose: two sets": Case("diagnose {run} --data {data} --annotations {at}/x", "--data and --annotations both"),
    "diagnose: no set to score": Case("diagnose {run} --data {data}", "{data} has no pictures to score: it", gone(VAL)),
    "diagnose: boxes of a run": Case("diagnose {run} --before-nms {at}/r.json", "--before-nms is for --detections"),
    "diagnose: pictures of files": Case(FILES + " --images {data}", "--images is for a run", results()),
    "diagnose: file missing": Case(FILES, "{at}/r.json: there is no such file"),
    "diagnose: annotations missing": Case(
        "diagnose --detections {at}/r.json --annotations {at}/no/a.json", "/no/a.json: there is no such file", results()
    ),
    "diagnose: boxes missing": Case(FILES + " --before-nms {at}/no.json", "/no.json: there is no such file", results()),
    "diagnose: no list": Case(FILES, "{at}/r.json: the top level is no list. Allowed: COCO", text("r.json", "{}")),
    "diagnose: no entry": Case(FILES, "{at}/r.json: entry 1 is no object", text("r.json", "[3]")),
    "diagnose: unknown picture": Case(
        FILES, "r.json: wrong image_id. Allowed: the id of an image of {at}/" + VAL + " … detection number 2 … is 99",
        results({}, {"image_id": 99}),
    ),
    "diagnose: unknown category": Case(
        FILES, "r.json: wrong category_id. Allowed: the id of a category of … is 77", results({"category_id": 77})
    ),
    "diagnose: score": Case(FILES, "wrong score. Allowed: a finite number … is NaN", results({"score": float("nan")})),
    "diagnose: score missing": Case(FILES, "wrong score … is missing", text("r.json", NO_SCORE)),
    "diagnose: box": Case(FILES, "wrong bbox … not negative … is [1, 1, -5, 5]", results({"bbox": [1, 1, -5, 5]})),
    "diagnose: before": Case(
        FILES + " --before-nms {at}/b.json", "{at}/b.json: wrong score", results(), results({"score": "x"}, name="b")
    ),
    "diagnose: no object": Case(FILES, VAL + ": no object to find", results(), NO_OBJECT),
    # Other formats
    "format unknown": Case("train {data} --data.format tfrecord", "data.format … 'coco', 'yolo', 'voc' … tfrecord"),
    "format not there": Case("train {data} --data.format voc", "{data}: nothing to read as voc; looked for"),
    "two formats": Case(
        "train {data}", "can be read as coco: COCO JSON … yolo: YOLO … Say which by --data.format coco|yolo",
        text("data/data.yaml", "train: images\nnames: [a]"),
    ),
    "yolo: no labels": Case(
        "train {at}/y/data.yaml", "there is no {at}/y/labels/x.txt. Allowed: a label file for every picture", yolo()
    ),
    "yolo: columns": Case(
        "train {at}/y", "{at}/y/labels/x.txt, line 1: `0 1 1` has 3 columns. Allowed: a row `class x y", yolo("0 1 1")
    ),
    "yolo: box": Case(
        "train {at}/y", "wrong boxes … bad_boxes=drop … x.txt, line 1: `0 9 1 1 1`: outside", yolo("0 9 1 1 1")
    ),
    "yolo: no val": Case("train {at}/y", "{at}/y has no pictures to score", yolo("0 .5 .5 .5 .5")),
    "eval: two sets": Case("eval {run} --data {data} --annotations {at}/x", "--data and --annotations both name a set"),
    "eval: other names": Case(
        "eval {run} --data {at}/y", "categories disagree with the trained detector … not in train: 'a'",
        yolo("0 .5 .5 .5 .5", "val: images\n"),
    ),
    "convert: out exists": Case("data convert {data} --to yolo --out {at}", "{at} exists already. Name a folder that"),
    "convert: to what": Case("data convert {data} --to csv --out {at}/o", "--to … 'csv' … 'coco', 'yolo', 'voc'"),
    "split: share": Case("data split {data} --val 2", "--val is 2.0; allowed: a number between 0 and 1"),
    "split: groups": Case("data split {data} --group-by (", "--group-by is '(', no regular expression"),
    "stats: recipe": Case("data stats {data} --recipe smal", "no recipe 'smal'"),
    "check: nothing": Case("data check {at}/no", "{at}/no: there is no such folder"),
    # Two runs
    "compare: two files": Case("compare {at}/a.json {at}/b.json", "Two files of results need --annotations"),
    "compare: no resample": Case("compare {run} {run} --resamples 0", "--resamples is 0; allowed: at least 1"),
    "compare: file missing": Case("compare {run} {at}/b.json", "{at}/b.json: there is no such file"),
    "compare: no object": Case(
        "compare {at}/r.json {at}/r.json --annotations {at}/" + VAL, VAL + ": no object to find", results(), NO_OBJECT
    ),
    "set: something there": Case("data make {at}", "{at}: holds something else. Allowed: a new or an empty folder"),
    "set: no picture": Case("data make {at}/new --train 0", "train is 0; allowed: 1 picture or more"),
    "collect: not finished": Case(
        "study collect {at}/r --records {at}/f", "{at}/r is not finished: it has no record.json",
        lambda at: ((at / "r").mkdir(), (at / "r/recipe.yaml").write_text("")),
    ),
    "collect: broken record": Case(
        "study collect {at}/r --records {at}/f", "{at}/r/record.json is not JSON",
        lambda at: ((at / "r").mkdir(), text("r/recipe.yaml", "")(at), text("r/record.json", "{")(at)),
    ),
    "run: share": Case("study run {at}/p --shard 3/2", "--shard is '3/2'; allowed: K/N with K from 1 to N"),
    "run: minutes": Case("study run {at}/p --minutes 0", "--minutes is 0.0; allowed: a number above 0"),
    "run: variant": Case(
        "study run {at}/p --only fcso", "{at}/p: there is no variant 'fcso'. Did you mean 'fcos'?", text("p", A_PLAN)
    ),
    "status: failures": Case(
        "study status {at}/p", "{at}/r.failed.json: not a list of failed runs", text("p", A_PLAN),
        text("r.failed.json", "[1]"),
    ),
    "status: jobs": Case("study status {at}/p --jobs 0", "--jobs is 0; allowed: at least 1"),
    "table: no plan": Case("study table 2", "Table 2 needs --plan PLAN…, such as studies/coco_table2.yaml"),
    "table: unknown": Case("study table 8 --plan {at}/p", "no table 8; allowed: 1, 2, 3"),
    "table: format of records": Case("study table {at}/f --format csv", "--plan and --format need the number"),
    "table: against": Case("study table 2 --plan {at}/p --against x", "--against and --metrics are for files"),
    "table: no record": Case("study table {at}/f", "{at}/f, line 1: not JSON", text("f", "hello")),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_bad_input_is_refused(
    case: Case, tiny_set: Path, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(tiny_set, tmp_path / "data")
    case.spoil(tmp_path)
    case.also(tmp_path)
    places = {"at": tmp_path, "data": tmp_path / "data", "run": tiny_run}
    verb, *arguments = case.line.format(**places).split(" ")
    if verb == "train" and "--resume" not in arguments:
        arguments = ["--out", str(tmp_path / "out"), *TINY, *arguments]
    if verb in ("predict", "show"):
        arguments = ["--out", str(tmp_path / "out"), *arguments]
    before = content(tmp_path)
    capsys.readouterr()

    assert main([verb, *arguments]) == 2

    message = capsys.readouterr().err
    assert message.startswith("mmmc: ")
    parts = case.says.format(**places).split(" … ")
    assert re.search(".*".join(map(re.escape, parts)), message, re.DOTALL), message
    assert content(tmp_path) == before


def content(folder: Path) -> dict[Path, bytes | None]:
    """All that a folder holds."""
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def test_a_truncated_picture_is_named_when_it_is_first_decoded(
    tiny_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = shutil.copytree(tiny_set, tmp_path / "data"), tmp_path / "out"
    picture = tmp_path / PICTURE
    whole = picture.read_bytes()
    picture.write_bytes(whole[: len(whole) // 2])
    assert main(["train", str(data), "--out", str(out), *TINY]) == 2
    assert f"mmmc: {picture}: cannot be decoded, it may be truncated" in capsys.readouterr().err

    # The run is whole, and goes on once the picture is.
    picture.write_bytes(whole)
    assert main(["train", "--resume", str(out), "--accelerator", "cpu", "--quiet", "true"]) == 0


def test_a_full_disk_leaves_the_older_checkpoint_whole(
    tiny_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save, saved = torch.save, []

    def full_at_the_third(value: Any, path: Path) -> None:
        save(value, path)
        saved.append(path)
        if len(saved) == 3:
            path.write_bytes(path.read_bytes()[:1000])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(torch, "save", full_at_the_third)
    out = tmp_path / "out"
    assert main(["train", str(tiny_set), "--out", str(out), *TINY, "--train.epochs", "2"]) == 2
    message = capsys.readouterr().err
    assert f"{out}/checkpoint.pt could not be written" in message
    assert "No space left on device" in message
    assert checkpoint.load_checkpoint(out / "checkpoint.pt")["progress"]["epoch"] == 1
    assert not list(out.rglob("*.part"))
