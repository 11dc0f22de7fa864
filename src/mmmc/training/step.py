"""One optimiser step: predict, assign, criterion, divide, backward."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mmmc.assign import ignore_crowds
from mmmc.losses import Losses, Term
from mmmc.recipe import Recipe
from mmmc.structures import Assignment, Batch, Prediction, Supervision, Target


@dataclass(frozen=True)
class StepResult:
    """What a step leaves for the log: tensors on the device, so that nobody waits for them.

    Attributes:
        losses: this process's share of each divided loss, times the number of processes: their mean is the loss.
        watched: shares of this process that are only reported.
        positives: positive points of this process.
        objects: objects of this process.
        image_ids: its pictures.
        assigned: its assignments with their targets, to be asked what was not finite; without pairs.
    """

    losses: dict[str, Tensor]
    watched: dict[str, Tensor]
    positives: Tensor
    objects: int
    image_ids: list[int]
    assigned: Sequence[tuple[Assignment, Sequence[Target]]] = ()

    @property
    def finite(self) -> Tensor:
        """Whether all that the assigner looked at was finite, as 1 or 0."""
        flags = [assignment.finite.all() for assignment, _ in self.assigned]
        return torch.stack(flags).all().to(self.positives.dtype) if flags else torch.ones_like(self.positives)


def training_losses(
    fabric: Fabric, model: nn.Module, batch: Batch, recipe: Recipe, progress: float = 0.0
) -> tuple[Losses, Assignment]:
    """Losses of a batch, and the assignment that they are of, when this share of the training is done."""
    with fabric.autocast():
        points, prediction = model(batch.images, Supervision(batch.targets, progress))
    assignment = recipe.assigner(points, prediction, batch.targets)
    assignment = ignore_crowds(points, assignment, batch.targets)
    losses = recipe.criterion(points, prediction, batch.targets, assignment)
    if isinstance(model, DistributedDataParallel):
        losses = reaching_all(losses, prediction)
    return losses, assignment


def reaching_all(losses: Losses, prediction: Prediction) -> Losses:
    """The same losses, with a gradient of 0 for further outputs that none of them reads.

    Several processes wait for a gradient of every parameter, and what a method starts with may not use its part.
    """
    name, term = next(iter(losses.terms.items()))
    unused = [0 * value.sum() for value in prediction.extra.values() if value.requires_grad]
    return replace(losses, terms={**losses.terms, name: replace(term, sum=sum(unused, term.sum))})


def backward_step(
    fabric: Fabric, model: nn.Module, parts: Sequence[Batch], recipe: Recipe, progress: float = 0.0
) -> StepResult:
    """Gradients of one optimiser step, exact however many processes and parts the batch is cut into.

    Each term is divided by its norm over all processes and parts. With several parts these norms are learned first,
    by predicting without gradient, since all parts must be divided by the same number.
    """
    divisors: dict[str, Tensor] | None = None
    if len(parts) > 1:
        with torch.no_grad(), fixed_statistics(model):
            first = [training_losses(fabric, model, batch, recipe, progress)[0] for batch in parts]
        divisors = step_divisors(fabric, first)
    shares: list[dict[str, Tensor]] = []
    watched: list[Losses] = []
    assigned: list[tuple[Assignment, Sequence[Target]]] = []
    for index, batch in enumerate(parts):
        with gradients_kept_back(model, index < len(parts) - 1):
            losses, assignment = training_losses(fabric, model, batch, recipe, progress)
            divisors = divisors or step_divisors(fabric, [losses])
            # Where the assigner met what is not finite no gradient may be either, in any process: `take_step` then
            # leaves the weights as they are. Points without an object have no box loss that would show it.
            sound = torch.where(assignment.finite.all(), 1.0, torch.nan)
            (losses.total(divisors) * sound).backward()
        shares.append({name: loss.detach() for name, loss in losses.divided(divisors).items()})
        watched.append(losses)
        # The log keeps many steps, and the weights of all pairs of objects and points take much memory.
        assigned.append((replace(assignment, pairs=None), batch.targets))
    return StepResult(
        losses={name: torch.stack([share[name] for share in shares]).sum() for name in shares[0]},
        watched={name: _share([losses.watched[name] for losses in watched]) for name in watched[0].watched},
        positives=torch.stack([assignment.positive.sum() for assignment, _ in assigned]).sum(),
        objects=sum(len(target.boxes) for batch in parts for target in batch.targets),
        image_ids=[target.image_id for batch in parts for target in batch.targets],
        assigned=assigned,
    )


def _share(terms: Sequence[Term]) -> Tensor:
    """One share of all parts of a step."""
    total = torch.stack([term.sum.detach() for term in terms]).sum()
    return total / torch.stack([term.norm.detach() for term in terms]).sum().clamp(min=terms[0].floor)


def step_divisors(fabric: Fabric, parts: Sequence[Losses]) -> dict[str, Tensor]:
    """What each term's sum is divided by: its norm over all parts and processes, over the number of processes.

    The last because averaging gradients over processes divides by that number once more.
    """
    terms = parts[0].terms
    norms = torch.stack([torch.stack([losses[name].norm for losses in parts]).sum() for name in terms])
    total = fabric.all_reduce(norms.detach(), reduce_op="sum")
    assert isinstance(total, Tensor)
    return {
        name: norm.clamp(min=term.floor) / fabric.world_size
        for (name, term), norm in zip(terms.items(), total.unbind(), strict=True)
    }


def gradients_kept_back(model: nn.Module, keep: bool) -> AbstractContextManager[None]:
    """While `keep`, gradients stay with this process; they are averaged over processes once, with the last part."""
    return model.no_sync() if keep and isinstance(model, DistributedDataParallel) else nullcontext()


@contextmanager
def fixed_statistics(model: nn.Module) -> Iterator[None]:
    """Keep a prediction in training mode from moving BatchNorm's running statistics."""
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    tracked = [norm.track_running_stats for norm in norms]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm, value in zip(norms, tracked, strict=True):
            norm.track_running_stats = value
