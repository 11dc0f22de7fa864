"""What fewer rounds of the mixture would decide otherwise: a table of docs/performance.md.

Where the host cannot see whether all fits have ended, all of them take the same number of rounds. The labels of a run's
training pictures are chosen again and again with fewer of them, by the run's network at its end and as it began.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import torch

from benchmarks.report import between, put
from mmmc.assign import APS, Assigner
from mmmc.assign.shared import split
from mmmc.cli.arguments import own_sets
from mmmc.data.loading import EvalLoader
from mmmc.errors import InputError
from mmmc.model import Detector
from mmmc.predictor import load
from mmmc.recipe import load_recipe
from mmmc.structures import Assignment, Points, Prediction, Target

Scene = tuple[Points, Prediction, list[Target]]
TRIED = (10, 20, 30, 40, 50)
BATCH = 8


def main(arguments: Sequence[str]) -> int:
    """Print the table, or put it into a page."""
    parser = argparse.ArgumentParser("python -m benchmarks rounds", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folders, whose sets are where they were")
    parser.add_argument("--pictures", type=int, default=96, help="of each (96)")
    parser.add_argument("--into", type=Path, metavar="PAGE", help="replace the table of this page instead of printing")
    config = parser.parse_args(arguments)
    if config.pictures < 1:
        raise InputError(f"--pictures is {config.pictures}; allowed: at least 1.")
    lines = [
        f"| set | network | rule | objects | {' | '.join(f'{count} rounds' for count in TRIED)} |",
        "|---|---|---|---:|" + "---:|" * len(TRIED),
    ]
    for run in config.runs:
        lines += rows(run, config.pictures)
    return put({"rounds": between("rounds", "\n".join(lines), "python -m benchmarks rounds RUN …")}, config.into)


def rows(run: Path, pictures: int) -> list[str]:
    """A line for each state of the network and each rule: objects, and points, whose labels differ, in per cent."""
    predictor = load(run)
    _, train = own_sets(predictor)
    chosen = train.subset(range(min(pictures, len(train))))
    torch.manual_seed(0)
    begun = Detector(predictor.recipe.model, len(predictor.categories)).eval()
    rules: dict[str, Assigner] = {"APS": APS(), "PAA": load_recipe("small_paa").assigner}
    found = []
    for state, network in (("as it began", begun), ("trained", predictor.detector)):
        loader = EvalLoader(chosen, predictor.recipe.resize, batch_size=BATCH)
        with torch.no_grad():
            scenes: list[Scene] = [(*network(batch.images), batch.targets) for batch in loader]
        objects = sum(len(target.boxes) for *_, targets in scenes for target in targets)
        for name, rule in rules.items():
            expected = labels(rule, scenes, split.ROUNDS)
            cells = [told(expected, labels(rule, scenes, count), objects) for count in TRIED]
            found.append(
                f"| {train.annotations.parent.parent.name} | {state} | {name} | {objects} | {' | '.join(cells)} |"
            )
    return found


def labels(rule: Assigner, scenes: Sequence[Scene], rounds: int) -> list[Assignment]:
    """As on a device that cannot be asked, with this number of rounds."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(split, "at_hand", lambda _: False))
        stack.enter_context(patch.object(split, "UNSEEN_ROUNDS", rounds))
        return [rule(*scene) for scene in scenes]


def told(expected: Sequence[Assignment], found: Sequence[Assignment], objects: int) -> str:
    """Shares of objects and of positive points with other labels."""
    others = points = positive = 0
    for one, other in zip(expected, found, strict=True):
        positive += int(one.positive.sum())
        for before, after in zip(one.gt, other.gt, strict=True):
            differs = before != after
            points += int(differs.sum())
            others += len({*before[differs].tolist(), *after[differs].tolist()} - {-1, -2})
    return f"{100 * others / objects:.2f} % / {100 * points / positive:.3f} %"
