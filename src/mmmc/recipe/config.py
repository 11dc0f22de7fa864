"""A recipe: everything that decides what a run does, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from mmmc.assign import FCOS, Assigner
from mmmc.criterion import Criterion, DenseCriterion
from mmmc.data.transforms import Augmentation, Resize
from mmmc.errors import InputError
from mmmc.model import ModelConfig
from mmmc.postprocess import Postprocess


@dataclass(frozen=True)
class DataConfig:
    """Where the pictures are and how strictly they are read.

    Args:
        path: folder of a set, as COCO JSON, YOLO, Pascal VOC or a Roboflow export; the four fields below overrule
            what is found there.
        format: what the set is written in; `null` looks.
        train_annotations: COCO JSON of the training pictures; or a `data.yaml`, or a folder of XML files.
        train_images: their folder.
        val_annotations: likewise of the pictures that are scored.
        val_images: their folder.
        bad_boxes: what happens to boxes that are empty, inverted, not finite or outside: refuse the set, or leave
            them out, or clip them to the picture. What is left out or clipped is counted and listed.
        crowd: regions marked `iscrowd` are taken out of the losses, or trained on as background.
        unlabelled: YOLO and VOC: a picture without a label file is refused, or is one without objects.
        holdout: score this share of the training pictures, always the same ones, and train on the others; the
            validation pictures are not touched. For choosing settings.
    """

    path: str | None = None
    format: Literal["coco", "yolo", "voc"] | None = None
    train_annotations: str | None = None
    train_images: str | None = None
    val_annotations: str | None = None
    val_images: str | None = None
    bad_boxes: Literal["error", "drop", "clip"] = "error"
    crowd: Literal["ignore", "background"] = "ignore"
    unlabelled: Literal["error", "background"] = "error"
    holdout: float = 0.0

    def __post_init__(self) -> None:
        _require(0 <= self.holdout < 1, "data.holdout", self.holdout, "0 (none) to below 1")


@dataclass(frozen=True)
class OptimizerConfig:
    """How weights move.

    Args:
        kind: stochastic gradient descent with momentum, or AdamW.
        lr: learning rate for a step of `lr_batch` pictures; it is scaled with the batch, linearly for SGD and by
            the square root for AdamW.
        lr_batch: pictures of a step for which `lr` is meant.
        momentum: of SGD.
        weight_decay: for weights of convolutions.
        norm_decay: the same for scales of normalisation layers and the head's scales per level.
        bias_decay: the same for biases. FCOS: 0.
        bias_lr: factor on the learning rate of biases. FCOS: 2.
        offset_lr: factor on the learning rate of what predicts the offsets of deformable convolutions. At the full
            rate offsets run away: a tap that has left the map gets no gradient and never returns.
        clip: largest norm of the gradient; `null` for none.
        schedule: `step` multiplies the rate by `gamma` at each of `steps`; `cosine` lets it fall to 0.
        steps: shares of the training.
        gamma: factor at each of `steps`.
        warmup: first iterations with a lower rate, at most a tenth of the training.
        warmup_factor: what the rate begins with, as a share.
        warmup_kind: `linear` rises from there, `constant` stays until the warm-up ends.
    """

    kind: Literal["sgd", "adamw"] = "sgd"
    lr: float = 0.01
    lr_batch: int = 16
    momentum: float = 0.9
    weight_decay: float = 1e-4
    norm_decay: float = 1e-4
    bias_decay: float = 0.0
    bias_lr: float = 2.0
    offset_lr: float = 0.1
    clip: float | None = None
    schedule: Literal["step", "cosine"] = "step"
    steps: tuple[float, ...] = (2 / 3, 8 / 9)
    gamma: float = 0.1
    warmup: int = 500
    warmup_factor: float = 1 / 3
    warmup_kind: Literal["linear", "constant"] = "constant"

    def __post_init__(self) -> None:
        _require(0 < self.lr < float("inf"), "optimizer.lr", self.lr, "a finite number above 0")
        _require(self.lr_batch >= 1, "optimizer.lr_batch", self.lr_batch, "at least 1")
        _require(0 <= self.momentum < 1, "optimizer.momentum", self.momentum, "0 to below 1")
        for name in ("weight_decay", "norm_decay", "bias_decay", "bias_lr", "offset_lr", "warmup"):
            value = getattr(self, name)
            _require(0 <= value < float("inf"), f"optimizer.{name}", value, "a finite number of at least 0")
        _require(self.clip is None or self.clip > 0, "optimizer.clip", self.clip, "a number above 0, or null")
        _require(all(0 < s < 1 for s in self.steps), "optimizer.steps", self.steps, "shares between 0 and 1")
        _require(0 < self.gamma <= 1, "optimizer.gamma", self.gamma, "above 0 to 1")
        _require(0 < self.warmup_factor <= 1, "optimizer.warmup_factor", self.warmup_factor, "above 0 to 1")


@dataclass(frozen=True)
class TrainConfig:
    """How long, on what, and what is kept.

    Args:
        epochs: passes over the training pictures, unless `iterations` is given.
        iterations: optimiser steps.
        batch_size: pictures of one optimiser step, over all devices and all parts of the step.
        accumulate: parts into which a step is cut, so that a small memory holds a large batch. The result is the
            same but for rounding; each part is predicted twice, first only to learn what the losses are divided by.
        precision: `32-true`, `bf16-mixed` or `64-true`, as Fabric names them.
        ema: decay of the averaged weights that are scored and saved; `null` for none. It rises to this value over
            the first iterations.
        seed: of everything random.
        workers: loader processes of each device; 0 loads in the training process.
        evaluate_every: epochs between evaluations; the last epoch is always evaluated. 0 for the last only.
        early_stop: evaluations without a better AP after which the run ends; `null` for never.
        log_every: iterations between lines of the log.
        diagnose: training pictures on which labels, losses and offsets are looked at after each epoch; 0 for none.
        loggers: further places for the metrics, besides the JSON lines that are always written.
    """

    epochs: int = 12
    iterations: int | None = None
    batch_size: int = 16
    accumulate: int = 1
    precision: Literal["32-true", "bf16-mixed", "64-true"] = "32-true"
    ema: float | None = None
    seed: int = 0
    workers: int = 2
    evaluate_every: int = 1
    early_stop: int | None = None
    log_every: int = 10
    diagnose: int = 32
    loggers: tuple[Literal["tensorboard", "mlflow", "wandb"], ...] = ("tensorboard",)

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulate", "log_every"):
            _require(getattr(self, name) >= 1, f"train.{name}", getattr(self, name), "at least 1")
        for name in ("iterations", "early_stop"):
            value = getattr(self, name)
            _require(value is None or value >= 1, f"train.{name}", value, "at least 1, or null")
        for name in ("seed", "workers", "evaluate_every", "diagnose"):
            _require(getattr(self, name) >= 0, f"train.{name}", getattr(self, name), "at least 0")
        _require(self.ema is None or 0 < self.ema < 1, "train.ema", self.ema, "between 0 and 1, or null")


@dataclass(frozen=True)
class WarmStart:
    """Another assigner for the first iterations, for rules that need predictions that already mean something.

    Args:
        assigner: what assigns until then; `null` for no warm start.
        criterion: the losses until then; `null` for those of the recipe.
        share: how long, as a share of the training.
        iterations: how long, in iterations; overrules `share`.
    """

    assigner: Assigner | None = None
    criterion: Criterion | None = None
    share: float = 0.25
    iterations: int | None = None

    def __post_init__(self) -> None:
        _require(0 < self.share <= 1, "warm_start.share", self.share, "above 0 to 1")
        _require(
            self.iterations is None or self.iterations >= 1,
            "warm_start.iterations",
            self.iterations,
            "at least 1, or null",
        )

    def until(self, total: int) -> int:
        """The first iteration, counted from 0, that it no longer decides."""
        if self.assigner is None:
            return 0
        return round(self.share * total) if self.iterations is None else self.iterations


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a run does.

    Args:
        data: pictures and labels.
        model: the detector's parts.
        assigner: which point answers for which object.
        warm_start: what assigns before `assigner` does.
        criterion: the losses.
        augmentation: random changes of training pictures, and their size.
        resize: size of pictures that are scored or predicted.
        optimizer: how weights move.
        train: how long, on what, and what is kept.
        postprocess: from predictions to detections.
    """

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    assigner: Assigner = field(default_factory=FCOS)
    warm_start: WarmStart = field(default_factory=WarmStart)
    criterion: Criterion = field(default_factory=DenseCriterion)
    augmentation: Augmentation = field(default_factory=Augmentation)
    resize: Resize = field(default_factory=Resize)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    postprocess: Postprocess = field(default_factory=Postprocess)

    def __post_init__(self) -> None:
        self.criterion.require(self.assigner, self.model.part)
        start = self.warm_start
        if start.assigner is not None:
            (start.criterion or self.criterion).require(start.assigner, self.model.part)

    def at(self, iteration: int, total: int) -> Recipe:
        """The recipe with the assigner and criterion of this iteration, counted from 0, of `total`."""
        start = self.warm_start
        if start.assigner is None or iteration >= start.until(total):
            return replace(self, assigner=self.assigner.at(iteration / total))
        return replace(
            self,
            assigner=start.assigner.at(iteration / total),
            criterion=self.criterion if start.criterion is None else start.criterion,
        )


def _require(condition: bool, name: str, value: object, allowed: str) -> None:
    if not condition:
        raise InputError(f"{name} is {value!r}; allowed: {allowed}.")
