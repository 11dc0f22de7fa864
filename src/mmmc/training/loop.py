"""A run, from top to bottom: for each epoch predict, assign, criterion, backward, step; evaluate, save."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from itertools import islice

from lightning_fabric import Fabric
from rich.console import Console
from torch import nn

from mmmc.checkpoint import Weights, load_state, save_checkpoint, save_weights
from mmmc.data.changes import write_repairs
from mmmc.data.coco import CocoSet
from mmmc.data.formats import look
from mmmc.data.transforms import unlike_sizes
from mmmc.evaluate import Scores, score
from mmmc.recipe import Recipe, digest
from mmmc.training.folder import RunFolder
from mmmc.training.journal import Journal, keep_epochs
from mmmc.training.optim import EMA, build_optimizer, lr_factor, set_lr, take_step
from mmmc.training.record import write_record
from mmmc.training.scoring import detect_set
from mmmc.training.setup import Setup
from mmmc.training.state import data_digest, read_state
from mmmc.training.step import backward_step


@dataclass
class Progress:
    """How far a run has come; what a checkpoint holds besides tensors."""

    epoch: int = 0
    step: int = 0
    best: float = -1.0
    since_best: int = 0
    seconds: float = 0.0


class Run:
    """The loop over the parts of a training; to be begun or resumed first.

    Args:
        fabric: devices and processes, launched.
        recipe: what to do.
        folder: where all of it is left.
        train_set: pictures to train on.
        val_set: pictures to score.
        setup: the parts.
        deadline: no epoch is begun after it, by `time.perf_counter`.
        console: for people; None for none.
    """

    def __init__(
        self,
        fabric: Fabric,
        recipe: Recipe,
        folder: RunFolder,
        train_set: CocoSet,
        val_set: CocoSet,
        setup: Setup,
        *,
        deadline: float | None = None,
        console: Console | None = None,
    ) -> None:
        self.fabric, self.recipe, self.folder, self.deadline = fabric, recipe, folder, deadline
        self.train_set, self.val_set = train_set, val_set
        self.categories = train_set.categories
        self.data = data_digest(train_set, val_set)
        self.detector, self.model, self.probe = setup.detector, setup.model, setup.probe
        self.loader, self.val_loader = setup.loader, setup.val_loader
        config = recipe.train
        self.optimizer = build_optimizer(self.detector, recipe.optimizer, config.batch_size)
        self.ema = None if config.ema is None else EMA(self.detector, config.ema)
        self.total = config.iterations or config.epochs * self.loader.steps_per_epoch
        self.progress = Progress()
        self.journal = Journal(fabric, folder.metrics, self.total, config.log_every, console)

    def begin(self) -> None:
        """Write what the run does, and a checkpoint to resume from.

        Raises:
            InputError: the folder cannot be written to.
        """
        if self.fabric.is_global_zero:
            self._describe()
        self._save_checkpoint(finished=False)

    def resume(self) -> None:
        """Go on after the last finished epoch.

        Raises:
            InputError: the checkpoint cannot be used, or is of another recipe or of other data.
        """
        state = read_state(self.folder, self.recipe, self.categories, self.data)
        load_state(self.detector, state["model"], self.folder.checkpoint)
        self.optimizer.load_state_dict(state["optimizer"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        self.progress = Progress(**state["progress"])
        if self.probe is not None:
            self.probe.labels = state["labels"]
        if self.fabric.is_global_zero:
            keep_epochs(self.folder.metrics, self.progress.epoch)
        self.fabric.barrier()

    def __call__(self) -> Scores:
        """Train to the end; the scores of the last epoch's (averaged) weights."""
        epochs = math.ceil(self.total / self.loader.steps_per_epoch)
        scores: Scores | None = None
        with self.journal:
            while self.progress.epoch < epochs:
                epoch, began = self.progress.epoch, time.perf_counter()
                self._train_epoch(epoch)
                self._diagnose(epoch)
                self.progress.epoch += 1
                every = self.recipe.train.evaluate_every
                last = self.progress.epoch == epochs or self._out_of_time()
                if last or (every and self.progress.epoch % every == 0):
                    scores = self._evaluate(epoch)
                    last = last or self._stalled()
                self.progress.seconds += time.perf_counter() - began
                self._save(scores if last else None)
                if last:
                    break
        assert scores is not None, "the last epoch is always evaluated"
        return scores

    def _train_epoch(self, epoch: int) -> None:
        self.journal.begin(epoch, self.progress.step)
        self.model.train()
        remaining = self.total - self.progress.step
        steps = min(self.loader.steps_per_epoch, remaining)
        for index, parts in enumerate(islice(self.loader.epoch(epoch), steps)):
            set_lr(self.optimizer, lr_factor(self.progress.step, self.total, self.recipe.optimizer))
            parts = [batch.to(self.fabric.device) for batch in parts]
            self.optimizer.zero_grad()
            recipe = self.recipe.at(self.progress.step, self.total)
            result = backward_step(self.fabric, self.model, parts, recipe, self.progress.step / self.total)
            take_step(self.optimizer, self.detector.parameters(), self.recipe.optimizer.clip)
            if self.ema is not None:
                self.ema.update(self.detector)
            self.progress.step += 1
            self.journal.step(
                epoch,
                self.progress.step,
                self.optimizer.param_groups[0]["lr"],
                self.recipe.train.batch_size,
                result,
                last=index == steps - 1,
            )

    def _diagnose(self, epoch: int) -> None:
        if self.probe is not None and self.recipe.train.diagnose:
            assigner = self.recipe.at(self.progress.step - 1, self.total).assigner
            found = self.probe(self.detector, assigner)
            self.journal.write({"kind": "assign", "epoch": epoch + 1, "step": self.progress.step, **found})

    @property
    def _scored(self) -> nn.Module:
        """The weights that are scored and saved: averaged, if they are averaged."""
        return self.ema.model if self.ema is not None else self.detector

    def _evaluate(self, epoch: int) -> Scores:
        model = self._scored.eval()
        began = time.perf_counter()
        results = detect_set(self.fabric, model, self.val_loader, self.recipe.postprocess, self.categories.ids)
        scores = score(self.val_set.to_coco(), results)
        numbers = {name: value for name, value in scores.numbers().items() if value is not None}
        self.journal.write(
            {
                "kind": "val",
                "epoch": epoch + 1,
                "step": self.progress.step,
                **numbers,
                "seconds": time.perf_counter() - began,
            }
        )
        self.journal.say(
            f"epoch {epoch + 1}: AP {100 * scores.AP:.1f}  AP50 {100 * scores.AP50:.1f}  AP75 {100 * scores.AP75:.1f}"
        )
        # Without any object to score AP is not a number, and no epoch is better than another.
        ap = 0.0 if math.isnan(scores.AP) else scores.AP
        if ap > self.progress.best:
            self.progress.best, self.progress.since_best = ap, 0
            self._save_weights("best")
        else:
            self.progress.since_best += 1
        return scores

    def _out_of_time(self) -> bool:
        # All processes go by the clock of the first.
        return self.deadline is not None and self.fabric.broadcast(time.perf_counter() > self.deadline)

    def _stalled(self) -> bool:
        patience = self.recipe.train.early_stop
        if patience is None or self.progress.since_best < patience:
            return False
        self.journal.say(f"No better AP in {patience} evaluations: the run ends here (train.early_stop).")
        return True

    def _save_weights(self, which: str) -> None:
        if self.fabric.is_global_zero:
            weights = Weights(self._scored.state_dict(), self.recipe, self.categories)
            save_weights(self.folder.weights(which), weights)

    def _save(self, final: Scores | None) -> None:
        """Weights first, then the checkpoint: a kill in between repeats the epoch and writes the same weights again."""
        self._save_weights("last")
        if final is not None and self.fabric.is_global_zero:
            write_record(self.folder, self.recipe, self.val_set, final, self.progress.step, self.progress.seconds)
        self._save_checkpoint(finished=final is not None)

    def _save_checkpoint(self, *, finished: bool) -> None:
        if self.fabric.is_global_zero:
            content = {
                "model": self.detector.state_dict(),
                "ema": self.ema.state_dict() if self.ema is not None else None,
                "optimizer": self.optimizer.state_dict(),
                "progress": asdict(self.progress),
                "labels": self.probe.labels if self.probe is not None else [],
                "categories": self.categories.to_dict(),
                "data": self.data,
                "recipe": digest(self.recipe),
                "finished": finished,
            }
            save_checkpoint(self.folder.checkpoint, content)
        self.fabric.barrier()

    def _describe(self) -> None:
        self.folder.describe(self.recipe)
        data = self.recipe.data
        if data.path is not None:
            self.journal.say(f"{data.path} is {look(data.path, data.format).seen}.")
        unlike = unlike_sizes(self.recipe.augmentation, self.recipe.resize)
        for note in dict.fromkeys(self.train_set.notes + self.val_set.notes + ((unlike,) if unlike else ())):
            self.journal.say(f"{note}.")
        repairs = self.train_set.repairs + self.val_set.repairs
        if repairs:
            write_repairs(self.folder.repairs, repairs)
            self.journal.say(f"{len(repairs)} boxes were dropped or clipped: {self.folder.repairs}")
