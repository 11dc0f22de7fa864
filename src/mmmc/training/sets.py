"""The sets of a recipe, read and checked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mmmc.data.coco import CocoSet, check_agreement
from mmmc.data.formats import Found, Source, look, read, source_of
from mmmc.errors import InputError
from mmmc.recipe import DataConfig


def open_sets(config: DataConfig) -> tuple[CocoSet, CocoSet]:
    """The pictures to train on and those to score.

    With `holdout` both are parts of the training pictures. Without validation pictures and without `holdout` there is
    nothing to score, which is an error.

    Raises:
        InputError: files or folders are missing, cannot be used, or disagree.
    """
    found = look(config.path, config.format) if config.path is not None else None
    train = _source(config, found, "train", config.train_annotations, config.train_images)
    if train is None:
        raise InputError(
            "There is nothing to train on: name a folder of data, or both data.train_annotations and data.train_images."
        )
    train_set = read_part(config, train)
    if config.holdout:
        rest, held = train_set.holdout(config.holdout)
        if not (rest.used & ~rest.crowds).any():
            raise InputError(
                f"{train.annotations}: data.holdout is {config.holdout}, which leaves no object to train on. "
                "Allowed: a share that leaves one."
            )
        return rest, held
    val = _source(config, found, "val", config.val_annotations, config.val_images)
    if val is None:
        raise InputError(
            f"{config.path or config.train_annotations} has no pictures to score. Deal some out by "
            "`mmmc data split`, keep a fifth of the training pictures aside by --data.holdout 0.2, or name others by "
            "--data.val_annotations and --data.val_images."
        )
    return train_set, check_agreement(train_set, read_part(config, val))


def read_part(config: DataConfig, source: Source, *, require_objects: bool = True) -> CocoSet:
    """A part of a set, as strictly as the recipe says.

    Raises:
        InputError: it cannot be used.
    """
    return read(
        source,
        bad_boxes=config.bad_boxes,
        crowd=config.crowd,
        unlabelled=config.unlabelled,
        require_objects=require_objects,
    )


def _source(
    config: DataConfig, found: Found | None, part: str, annotations: str | None, images: str | None
) -> Source | None:
    """Where a part lies: what the recipe names, and what was found for the rest."""
    seen = found.part(part) if found else None
    if annotations is None:
        return replace(seen, images=Path(images)) if seen and images else seen
    if images is None and seen is None and not annotations.endswith((".yaml", ".yml")):
        return None
    return source_of(annotations, images or str(seen.images if seen else ""), part, config.format)
