"""Command lines, recipes, run folders and files of results that cannot be used."""

from __future__ import annotations

import pickle

import torch
from bad_inputs import (
    A_PLAN,
    FILES,
    NO_OBJECT,
    NO_SCORE,
    TRAIN,
    VAL,
    Case,
    Payload,
    first,
    gone,
    results,
    text,
)
from PIL import Image
from safetensors.torch import save_file

CASES = {
    # Commands and options
    "unknown command": Case("trian", "no command 'trian'. Did you mean 'train'? Allowed: assigners, compare, data"),
    "unknown action": Case("data mak {at}/new", "no command 'data mak'. Did you mean 'make'?"),
    "unknown flag": Case("train {data} --recpie small", "--recpie … Did you mean 'recipe'? Allowed: accelerator"),
    "help of no section": Case("train --help optimiser", "Did you mean 'optimizer'? Allowed: all, assigner"),
    "unknown flag of info": Case("info small --siz 64x64", "Did you mean 'size'? Allowed: classes, size."),
    "unknown flag of predict": Case("predict {run} {data} --treshold 1", "Did you mean 'threshold'?"),
    "unknown option": Case("train {data} --train.epoch 3", "--train.epoch … Did you mean 'train.epochs'?"),
    "option without section": Case("train {data} --epochs 3", "--epochs … Did you mean 'train.epochs'?"),
    "unknown section": Case("train {data} --trian.epochs 3", "--trian.epochs … Did you mean 'train.epochs'?"),
    "unknown option of a class": Case("train {data} --assigner.range 3", "'range' … Did you mean 'range_strides'?"),
    "no such assigner": Case("train {data} --assigner NoSuch", "NoSuch … Allowed: APS, ATSS, AutoAssign"),
    "no class": Case("train {data} --assigner nope.X", "assigner … nope"),
    "wrong type": Case("train {data} --train.epochs many", "train.epochs: 'many' … allowed: a whole number."),
    "no number": Case("train {data} --optimizer.clip x", "optimizer.clip: 'x' … allowed: a number or null."),
    "no list": Case(
        "train {data} --augmentation.short 512",
        "augmentation.short: '512' cannot be used; allowed: a list in brackets, '[512]'.",
    ),
    "no item of a list": Case("train {data} --augmentation.short [a]", "augmentation.short: 'a' … a whole number."),
    "no yes or no": Case("train {data} --quiet maybe", "quiet: 'maybe' cannot be used; allowed: true or false."),
    "no such format": Case("train {data} --data.format x", "data.format: 'x' … 'coco', 'yolo', 'voc' or null."),
    "nothing to predict": Case("predict {run}", "predict: the following arguments are required: PATH."),
    "one run to compare": Case("compare {run}", "compare: the following arguments are required: RUN_B."),
    "not one of the choices": Case("train {data} --optimizer.kind adam", "kind: 'adam' … allowed: 'sgd', 'adamw'."),
    "unknown logger": Case("train {data} --train.loggers [paper]", "train.loggers: 'paper' … 'tensorboard'"),
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
    "recipe's type": Case("recipes {at}/r.yaml", "depth: 'deep' … a whole", text("r.yaml", "model: {depth: deep}")),
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
    "init: no run": Case("train {data} --init {data}", "{data} is no finished run and no folder of a hub"),
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
    "run missing": Case("predict {at}/no {data}", "no run folder or weights file {at}/no"),
    "run not finished": Case("predict {data} {data}", "{data} is no finished run and no folder of a hub: no best"),
    "weights: foreign": Case(
        "predict {at}/w.safetensors {data}", "{at}/w.safetensors was not written by mmmc … allowed: 'mmmc 1'",
        lambda at: save_file({"x": torch.zeros(1)}, at / "w.safetensors"),
    ),
    "weights: payload": Case(
        "predict {at}/w.safetensors {data}", "{at}/w.safetensors is no safetensors file",
        lambda at: (at / "w.safetensors").write_bytes(pickle.dumps(Payload(at / "executed"))),
    ),
    "picture and run swapped": Case(
        "predict {data}/images/train_00000.png {run}", "train_00000.png is no safetensors file … a run folder, or a"
    ),
    "weights: checkpoint": Case("predict {run}/checkpoint.pt {data}", "checkpoint.pt is no safetensors file"),
    "picture not there": Case("predict {run} {at}/no.png", "{at}/no.png leads to nothing. Allowed: pictures, videos"),
    "folder without pictures": Case("predict {run} {data}/annotations", "annotations is a folder without pictures"),
    "glob without match": Case("predict {run} {data}/images/*.gif", "images/*.gif leads to nothing"),
    "a text to predict": Case("predict {run} {at}/" + TRAIN, TRAIN + ": not a picture"),
    "threshold too high": Case("predict {run} {data} --threshold 1.5", "--threshold is '1.5'; allowed: 0 to 1, or f1"),
    "threshold no number": Case("predict {run} {data} --threshold abc", "--threshold is 'abc'; allowed"),
    "no such device": Case("predict {run} {data} --device gpu7", "--device is 'gpu7', which cannot be used here"),
    "copies over originals": Case(
        "predict {run} {at}/x.jpg --out {at}", "copy of {at}/x.jpg would overwrite",
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
    "picture not in the set": Case("show {run} val_99.png", "no picture 'val_99.png' among … Did you mean"),
    "unknown kind": Case("show {run} --kinds lables", "'lables'. Did you mean 'labels'?"),
    # Diagnosis
    "diagnose: nothing": Case("diagnose", "A run and --detections: neither is given; allowed: one of them"),
    "diagnose: both": Case("diagnose {run} --detections {at}/r.json", "both are given; allowed: one of them"),
    "diagnose: no annotations": Case("diagnose --detections {at}/r.json", "--detections needs --annotations"),
    "diagnose: two sets": Case("diagnose {run} --data {data} --annotations {at}/x", "--data and --annotations both"),
    "diagnose: no set to score": Case("diagnose {run} --data {data}", "{data} has no pictures to score: it", gone(VAL)),
    "diagnose: boxes of a run": Case("diagnose {run} --before-nms {at}/r.json", "--before-nms is for --detections"),
    "diagnose: the same": Case("diagnose {run} --before_nms {at}/r.json", "--before-nms is for --detections"),
    "diagnose: pictures of files": Case(FILES + " --images {data}", "--images is for a run", results()),
    "diagnose: device of files": Case(FILES + " --device cpu", "--device is for a run", results()),
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
    # Two runs
    "compare: two files": Case("compare {at}/a.json {at}/b.json", "Two files of results need --annotations"),
    "compare: no resample": Case("compare {run} {run} --resamples 0", "--resamples is 0; allowed: at least 1"),
    "compare: file missing": Case("compare {run} {at}/b.json", "{at}/b.json: there is no such file"),
    "compare: no object": Case(
        "compare {at}/r.json {at}/r.json --annotations {at}/" + VAL, VAL + ": no object to find", results(), NO_OBJECT
    ),
    # Export
    "export: opset": Case("export {run} --out {at}/a.onnx --opset 18", "opset is 18; allowed: 19 to 23"),
    "export: name": Case("export {run} --out {at}/a.pt", "{at}/a.pt cannot be the name of the file; allowed: one"),
    "export: format": Case("export {run} --format tflite", "--format … 'tflite' … 'onnx'"),
    "export: place": Case("export {run} --out {at}/f/a.onnx", "{at}/f/a.onnx could not … {at}/f is no", text("f", "")),
    "export: pictures": Case("export {run} --pictures 1", "--pictures is 1; allowed: 0, or at least 2"),
    "export: no set to compare on": Case("export {run} --data {at}/no", "{at}/no"),
    "set: something there": Case("data make {at}", "{at} exists already. Allowed: a new or an empty folder"),
    "set: no picture": Case("data make {at}/new --train 0", "train is 0; allowed: 1 picture or more"),
    "collect: not finished": Case(
        "study collect {at}/r --records {at}/f", "{at}/r is not finished: it has no record.json",
        lambda at: ((at / "r").mkdir(), (at / "r/recipe.yaml").write_text("")),
    ),
    "collect: broken record": Case(
        "study collect {at}/r --records {at}/f", "{at}/r/record.json is not JSON",
        lambda at: ((at / "r").mkdir(), text("r/recipe.yaml", "")(at), text("r/record.json", "{")(at)),
    ),
    "collect: no file of records": Case("study collect {at}/r", "are required: --records"),
    "claims: no plan": Case("study claims", "are required: --plan"),
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
    "table: format of records": Case("study table {at}/f --format csv", "--format needs the number of a table"),
    "table: choice of records": Case("study table {at}/f --only x", "--only needs a plan, or the number of a table"),
    "table: format of a plan": Case("study table {at}/p.yaml --format csv", "--format needs the number of a table"),
    "table: against": Case("study table 2 --plan {at}/p --against x", "--against, --resolution and --metrics are for"),
    "table: no record": Case("study table {at}/f", "{at}/f, line 1: not JSON", text("f", "hello")),
}  # fmt: skip
